import * as path from "node:path";
import { createLog } from "../../lib/log.ts";
import { chooseAccelerator } from "./accelerator.ts";
import { findProgram } from "./find-program.ts";
import { type Hypervisor, type Machine, SHARE_SOCKET } from "./hypervisor.ts";
import { diskParameters, kernelParameters } from "./kernel-parameters.ts";
import { requireKernel } from "./require-kernel.ts";

const HINT = "on Debian: apt-get install qemu-system-x86";

/** QEMU, with the hardware's virtualization or by emulation. */
export const qemu: Hypervisor = {
	find: ({ programs, environment, syscall }) => {
		const program = findProgram("QEMU", ["/usr/bin/qemu-system-x86_64"], HINT);
		const helper = findProgram("virtiofsd", ["/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"], HINT);
		requireKernel(kernelPath(programs));
		const accelerator = chooseAccelerator(syscall, environment);
		if (accelerator.reason !== undefined) {
			createLog("run", false).info(`no hardware virtualization (${accelerator.reason}): the pod is emulated`);
		}
		return (machine) => ({
			helper: [helper, ...shareArguments(machine)],
			hypervisor: [program, ...qemuArguments(machine, accelerator.name)],
			cid: undefined,
			qmp: true,
			init: false,
			environment: {},
		});
	},
};

/** virtiofsd(1) of QEMU 7.2: it leaves the host's file system and keeps a few capabilities. */
function shareArguments(machine: Machine): string[] {
	return [
		"--fd=3",
		"-o",
		`source=${escaped(machine.root)}`,
		"-o",
		"sandbox=namespace,cache=auto,xattr,flock,posix_lock,announce_submounts,log_level=err",
	];
}

/**
 * Emulated processors take turns: with a thread each, one may execute what another has just patched in the kernel, and the
 * guest panics while it starts (`int3`, once in some twenty times).
 */
const ACCELERATORS = {
	kvm: ["-accel", "kvm", "-cpu", "host"],
	tcg: ["-accel", "tcg,thread=single", "-cpu", "max"],
} as const;

/** qemu(1). Nothing of it comes from an image: names and paths are the host's own. */
export function qemuArguments(machine: Machine, accelerator: "kvm" | "tcg"): string[] {
	return [
		...ACCELERATORS[accelerator],
		...["-smp", String(machine.cpus)],
		...["-machine", "q35,usb=off,hpet=off,smbus=off,memory-backend=memory"],
		...["-object", `memory-backend-memfd,id=memory,size=${machine.memoryMiB}M,share=on`],
		...["-m", String(machine.memoryMiB), "-uuid", machine.uuid, "-name", `rkt-${machine.uuid}`],
		...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none"],
		...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
		...["-chardev", `socket,id=root,path=${SHARE_SOCKET}`],
		...["-device", "vhost-user-fs-pci,chardev=root,tag=root"],
		...["-device", "virtio-serial-pci"],
		...["-chardev", "stdio,id=console,signal=off", "-device", "virtconsole,chardev=console"],
		...["-chardev", "socket,id=qmp,fd=4", "-mon", "chardev=qmp,mode=control"],
		...["-chardev", "socket,id=control,fd=3"],
		...["-device", "virtserialport,chardev=control,name=rkt.control"],
		...["-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random"],
		...machine.nics.flatMap(({ tap, mac, mtu }, index) => [
			"-netdev",
			`tap,id=net${index},ifname=${tap},script=no,downscript=no`,
			"-device",
			`virtio-net-pci,netdev=net${index},mac=${mac},host_mtu=${mtu},romfile=`,
		]),
		...machine.disks.flatMap(({ name, node, readOnly }, index) => [
			"-blockdev",
			`host_device,node-name=disk${index},filename=${node},read-only=${readOnly ? "on" : "off"}`,
			"-device",
			`virtio-blk-pci,drive=disk${index},serial=${name}`,
		]),
		...["-kernel", kernelPath(machine.programs)],
		...["-append", parameters(machine, accelerator).join(" ")],
	];
}

function parameters(machine: Machine, accelerator: "kvm" | "tcg"): string[] {
	return [
		"console=hvc0",
		"root=root",
		"rootfstype=virtiofs",
		"rw",
		// Restarts at once, which QEMU is told to take for the end.
		"panic=-1",
		"noreplace-smp",
		"no_timer_check",
		// Mitigations guard against what emulation does not do.
		...(accelerator === "tcg" ? ["mitigations=off"] : ["tsc=reliable"]),
		...diskParameters(machine.disks, "vd"),
		...kernelParameters(machine.debug, machine.environment, machine.parameters),
	];
}

/** An ELF image, which starts faster than a compressed one. */
function kernelPath(programs: string): string {
	return path.join(programs, "vmlinux");
}

/** A comma separates QEMU's options, two stand for one. */
function escaped(value: string): string {
	return value.replaceAll(",", ",,");
}
