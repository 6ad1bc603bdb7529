import * as path from "node:path";
import { createLog } from "../../lib/log.ts";
import { PROGRAMS_ARCHIVE } from "../guest-paths.ts";
import { chooseAccelerator } from "./accelerator.ts";
import { findProgram } from "./find-program.ts";
import { type Hypervisor, type Machine, machineUser } from "./hypervisor.ts";
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
			passed: passedFiles(machine),
			rights: { user: machineUser(machine.uuid), capabilities: 0n },
			qmp: true,
			mconsole: undefined,
			init: false,
			environment: {},
		});
	},
};

/** The number of the first descriptor of {@link passedFiles}; the control channel and QMP are before it. */
const FIRST_PASSED = 5;

/** QEMU is of a user who may open nothing of the host's. */
function passedFiles({ programs, nics, disks }: Machine): string[] {
	return [
		"share",
		`read:${kernelPath(programs)}`,
		`read:${path.join(programs, PROGRAMS_ARCHIVE)}`,
		...nics.map(({ tap }) => `tap:${tap}`),
		...disks.map(({ node, readOnly }) => `${readOnly ? "read" : "write"}:${node}`),
	];
}

/**
 * virtiofsd(1) of QEMU 7.2: it leaves the host's file system and keeps a few capabilities. Locks are the guest's own: with
 * `flock` and `posix_lock` it would set them on the host, and refuse all that wait (EOPNOTSUPP).
 */
export function shareArguments(machine: Machine): string[] {
	return [
		"--fd=3",
		"-o",
		`source=${escaped(machine.root)}`,
		"-o",
		"sandbox=namespace,cache=auto,xattr,announce_submounts,log_level=err",
	];
}

/**
 * One processor is emulated: with a thread each, one may execute what another has just patched in the kernel, and the guest
 * panics while it starts (`int3`, once in some twenty times); on one thread, several only take turns.
 */
const ACCELERATORS = {
	kvm: (cpus: number) => ["-accel", "kvm", "-cpu", "host", "-smp", String(cpus)],
	// Told that these are fast, the guest copies and clears with string instructions, which are emulated byte by byte.
	tcg: () => ["-accel", "tcg,thread=single,tb-size=32", "-cpu", "max,-erms", "-smp", "1"],
} as const;

/** qemu(1). Nothing of it comes from an image: names and paths are the host's own. */
export function qemuArguments(machine: Machine, accelerator: "kvm" | "tcg"): string[] {
	const firstNic = FIRST_PASSED + 3;
	const firstDisk = firstNic + machine.nics.length;
	return [
		...ACCELERATORS[accelerator](machine.cpus),
		...["-machine", "q35,usb=off,hpet=off,smbus=off,memory-backend=memory"],
		...["-object", `memory-backend-memfd,id=memory,size=${machine.memoryMiB}M,share=on`],
		...["-m", String(machine.memoryMiB), "-uuid", machine.uuid, "-name", `rkt-${machine.uuid}`],
		...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none"],
		...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
		...["-chardev", `socket,id=root,fd=${FIRST_PASSED}`],
		...["-device", "vhost-user-fs-pci,chardev=root,tag=root"],
		...["-device", "virtio-serial-pci"],
		...["-chardev", "stdio,id=console,signal=off", "-device", "virtconsole,chardev=console"],
		...["-chardev", "socket,id=qmp,fd=4", "-mon", "chardev=qmp,mode=control"],
		...["-chardev", "socket,id=control,fd=3"],
		...["-device", "virtserialport,chardev=control,name=rkt.control"],
		...["-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random"],
		// What the guest frees, the host has again two seconds later.
		...["-device", "virtio-balloon-pci,free-page-reporting=on"],
		...machine.nics.flatMap(({ mac, mtu }, index) => [
			"-netdev",
			`tap,id=net${index},fd=${firstNic + index}`,
			"-device",
			`virtio-net-pci,netdev=net${index},mac=${mac},host_mtu=${mtu},romfile=`,
		]),
		...machine.disks.flatMap(({ name, readOnly }, index) => [
			"-add-fd",
			`fd=${firstDisk + index},set=${index}`,
			"-blockdev",
			`host_device,node-name=disk${index},filename=/dev/fdset/${index},read-only=${readOnly ? "on" : "off"}`,
			"-device",
			`virtio-blk-pci,drive=disk${index},serial=${name}`,
		]),
		...["-kernel", `/proc/self/fd/${FIRST_PASSED + 1}`, "-initrd", `/proc/self/fd/${FIRST_PASSED + 2}`],
		...["-append", parameters(machine, accelerator).join(" ")],
	];
}

/**
 * Four fifths of what Debian's kernel executes until its first program. Its cryptography tests itself, RSA and elliptic
 * curves above all; a source of random numbers measures its own jitter, though the processor and the host have better ones;
 * certificates are checked that sign modules, and the guest loads only ours; names are prepared for tracing. A kernel
 * without one of these functions only says so.
 */
const NOT_WANTED = [
	"cryptomgr.notests",
	"initcall_blacklist=jent_mod_init,load_system_certificate_list,trace_eval_init,ftrace_check_for_weak_functions",
];

function parameters(machine: Machine, accelerator: "kvm" | "tcg"): string[] {
	return [
		"console=hvc0",
		"rdinit=/rkt/vm/init",
		"rkt_root=virtiofs",
		// Restarts at once, which QEMU is told to take for the end.
		"panic=-1",
		"noreplace-smp",
		"no_timer_check",
		// Single pages too, not only blocks of two MiB, which the start leaves few of.
		"page_reporting.page_reporting_order=0",
		...NOT_WANTED,
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

/** A comma separates options of virtiofsd, and a backslash takes the meaning of what follows it. */
function escaped(value: string): string {
	return value.replace(/[\\,]/g, "\\$&");
}
