import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { stage1Rootfs } from "../../stage1/pod-paths.ts";
import { requireHardware } from "./accelerator.ts";
import { FILE_SERVER_RIGHTS } from "./file-server.ts";
import { findProgram } from "./find-program.ts";
import { type Hypervisor, type Machine, WORKING_DIRECTORY } from "./hypervisor.ts";
import { diskParameters, kernelParameters } from "./kernel-parameters.ts";
import { requireKernel } from "./require-kernel.ts";

/** MAX_DISK_IMAGES of kvmtool. */
const MOST_DISKS = 4;
/** kvmtool has 2048 bytes, writes its own parameters first and cuts off what is too much. */
const MOST_PARAMETERS = 1600;
const VHOST = "/dev/vhost-vsock";
/** Everything below, vsock(7), is taken: by the hypervisor, the host and local connections. */
const FIRST_CID = 3;

/** kvmtool, a small hypervisor for KVM alone. It serves the files itself, and its guest speaks to us by vsock(7). */
export const lkvm: Hypervisor = {
	find: ({ programs, environment, syscall }) => {
		requireHardware("lkvm", syscall, environment);
		const places = [programs, ...(environment.PATH ?? "").split(":").filter(path.isAbsolute)];
		const program = findProgram(
			"lkvm",
			places.map((place) => path.join(place, "lkvm")),
			"put kvmtool's program lkvm on PATH, or use --stage1-image=kvm",
		);
		requireKernel(kernelPath(programs), "npm run kernel -- x86_64 makes it, and npm run build puts it in");
		if (!fs.existsSync(VHOST)) {
			fail("hypervisor-unusable", `lkvm needs ${VHOST}`, { hint: "modprobe vhost_vsock" });
		}
		return (machine) => ({
			helper: [],
			hypervisor: [program, ...lkvmArguments(machine)],
			cid: contextId(machine.uuid),
			passed: [`read:${kernelPath(programs)}`],
			rights: FILE_SERVER_RIGHTS,
			qmp: false,
			mconsole: undefined,
			init: false,
			environment: { HOME: WORKING_DIRECTORY },
		});
	},
};

/** Random, as the UUID is; a number that another machine of the host has is refused when this one starts. */
export function contextId(uuid: string): number {
	return FIRST_CID + (Number.parseInt(uuid.slice(0, 8), 16) % (0x8000_0000 - FIRST_CID));
}

/**
 * builtin-run.c of kvmtool, which splits at commas and cannot escape them: the shared directory is named relative to the
 * working directory, devices of the network and of disks have names of our own, and all other words are taken as they are.
 */
export function lkvmArguments(machine: Machine): string[] {
	if (machine.disks.length > MOST_DISKS) {
		fail(
			"own-kernel-refuses",
			`the pod has ${machine.disks.length} disks as volumes, with lkvm at most ${MOST_DISKS}`,
			{ hint: "make several pods of it, or use --stage1-image=kvm" },
		);
	}
	return [
		"run",
		"--name=vm",
		`--cpus=${machine.cpus}`,
		`--mem=${machine.memoryMiB}`,
		"--console=virtio",
		"--rng",
		"--no-dhcp",
		`--vsock=${contextId(machine.uuid)}`,
		// The first that is passed: the channel is no descriptor.
		"--kernel=/proc/self/fd/3",
		`--disk=${stage1Rootfs("")}`,
		...machine.disks.map(({ node, readOnly }) => `--disk=${node}${readOnly ? ",ro" : ""}`),
		...(machine.nics.length === 0
			? ["--network=mode=none"]
			: machine.nics.map(({ tap, mac }) => `--network=mode=tap,tapif=${tap},guest_mac=${mac}`)),
		`--params=${parameters(machine)}`,
	];
}

function parameters(machine: Machine): string {
	const text = [
		"console=hvc0",
		"root=/dev/root",
		"rootfstype=9p",
		"rootflags=trans=virtio,version=9p2000.L,cache=mmap",
		"rw",
		"panic=-1",
		"noreplace-smp",
		"no_timer_check",
		"tsc=reliable",
		// There is no ACPI that could switch the machine off. lkvm ends when it is started again, by the keyboard's chip.
		"reboot=k",
		"rkt_off=reboot",
		...diskParameters(machine.disks, "vd"),
		...(machine.disks.length === 0 ? [] : ["rkt_disks_in_order=1"]),
		...kernelParameters(machine.debug, machine.environment, machine.parameters),
	].join(" ");
	if (Buffer.byteLength(text) <= MOST_PARAMETERS) return text;
	return fail(
		"kernel-parameters-invalid",
		`${text.length} bytes of kernel parameters are too long for lkvm`,
		{
			hint: `shorten RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS; all together may have ${MOST_PARAMETERS} bytes`,
		},
	);
}

/** A bzImage, nothing else is loaded on x86. */
function kernelPath(programs: string): string {
	return path.join(programs, "bzImage");
}
