import * as fs from "node:fs";
import { messageOf } from "../../lib/errors.ts";
import {
	AT_EMPTY_PATH,
	AT_FDCWD,
	MOUNT_ATTR_RDONLY,
	O_CLOEXEC,
	O_PATH,
	OPEN_TREE_CLOEXEC,
	OPEN_TREE_CLONE,
} from "../../lib/syscall/syscall.ts";
import { type DoctorHost, type Finding, missing, ok } from "./finding.ts";

/** setns(2) with a descriptor of a process, the newest of what programs inside of pods call without another way. */
const SETNS_OF_PROCESS = [5, 8] as const;

const NEWER = "use a newer kernel: Linux 5.12 or later has all of it";

/** The kernel calls that every pod needs. */
export function probeKernel(host: DoctorHost): Finding[] {
	return [version(host), openat2(host), mountSetattr(host), seccomp(host)];
}

function version(host: DoctorHost): Finding {
	const release = host.read("/proc/sys/kernel/osrelease")?.trim() ?? "unknown";
	const [major, minor] = release.split(".").map(Number);
	const [wantedMajor, wantedMinor] = SETNS_OF_PROCESS;
	const name = "process descriptors";
	const known = major !== undefined && minor !== undefined;
	if (known && (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor))) {
		return ok(name, `Linux ${release} has pidfd_open, pidfd_getfd and setns with them`);
	}
	return missing(name, `Linux ${release} is older than 5.8: rkt enter does not work`, NEWER);
}

function openat2({ syscall }: DoctorHost): Finding {
	return calls("openat2", () => syscall.openat2(AT_FDCWD, "/", { flags: O_PATH | O_CLOEXEC }));
}

/** On a copy of a mount that is not attached anywhere. */
function mountSetattr({ syscall }: DoctorHost): Finding {
	return calls("mount_setattr", () => {
		const tree = syscall.openTree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		try {
			syscall.mountSetattr(tree, "", AT_EMPTY_PATH, { set: MOUNT_ATTR_RDONLY });
		} catch (error) {
			fs.closeSync(tree);
			throw error;
		}
		return tree;
	});
}

function calls(name: string, call: () => number): Finding {
	try {
		fs.closeSync(call());
		return ok(name, "works");
	} catch (error) {
		return missing(name, messageOf(error), NEWER);
	}
}

function seccomp(host: DoctorHost): Finding {
	const actions = host.read("/proc/sys/kernel/seccomp/actions_avail")?.trim();
	if (actions?.split(/\s+/).includes("errno")) return ok("seccomp", `filters of system calls: ${actions}`);
	return missing(
		"seccomp",
		"the kernel has no filters of system calls",
		"use a kernel with CONFIG_SECCOMP_FILTER",
	);
}
