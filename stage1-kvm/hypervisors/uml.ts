import * as path from "node:path";
import { stage1Rootfs } from "../../stage1/pod-paths.ts";
import { FILE_SERVER_RIGHTS } from "./file-server.ts";
import { findProgram } from "./find-program.ts";
import { type Hypervisor, type Machine, WORKING_DIRECTORY } from "./hypervisor.ts";
import { diskParameters, kernelParameters } from "./kernel-parameters.ts";

/** What it calls itself: a directory of its files. */
const NAME = "vm";

/** User-Mode Linux: the guest's kernel is an ordinary program, which needs no hardware. */
export const uml: Hypervisor = {
	find: ({ programs }) => {
		const own = path.join(programs, "linux");
		const program = findProgram(
			"User-Mode Linux",
			[own, "/usr/bin/linux.uml"],
			"on Debian: apt-get install user-mode-linux",
		);
		return (machine) => ({
			helper: [],
			hypervisor: [program, ...umlArguments(machine)],
			cid: undefined,
			passed: [],
			rights: FILE_SERVER_RIGHTS,
			qmp: false,
			mconsole: `${WORKING_DIRECTORY}/${NAME}/mconsole`,
			init: true,
			environment: { TMPDIR: "/dev/shm" },
		});
	},
};

/**
 * Most of the time until the first program would go into measurements and into old terminals: which code for RAID 6 is the
 * fastest, how long a loop takes that waits for hardware, and 256 devices that nobody opens.
 */
const NOT_MEASURED = ["initcall_blacklist=raid6_select_algo", "lpj=5000000", "pty.legacy_count=0"];

/** linux/Documentation/virt/uml; it parses its words itself, at white space and commas. */
export function umlArguments(machine: Machine): string[] {
	return [
		`mem=${machine.memoryMiB}M`,
		"con0=fd:0,fd:1",
		"con=null",
		"ssl0=fd:3,fd:3",
		"ssl=null",
		"root=/dev/root",
		"rootfstype=hostfs",
		`rootflags=${stage1Rootfs(WORKING_DIRECTORY)}`,
		"rw",
		...NOT_MEASURED,
		`umid=${NAME}`,
		`uml_dir=${WORKING_DIRECTORY}`,
		// Without `gro` it has room for one frame of the MTU, and loses those that the host's kernel has not cut up.
		...machine.nics.map(
			({ tap, mac, mtu }, index) =>
				`vec${index}:transport=tap,ifname=${tap},mac=${mac},mtu=${mtu},gro=1,depth=64`,
		),
		// Without `d` it would open what the content of the disk names as another file to read from.
		...machine.disks.map(({ node, readOnly }, index) => `ubd${index}${readOnly ? "r" : ""}d=${node}`),
		...diskParameters(machine.disks, "ubd"),
		...kernelParameters(machine.debug, machine.environment, machine.parameters),
	];
}
