import * as fs from "node:fs";
import { isErrno } from "./errors.ts";
import type { Syscall } from "./syscall/syscall.ts";
import { MNT_DETACH, UMOUNT_NOFOLLOW } from "./syscall/syscall.ts";

/** One line of /proc/PID/mountinfo (proc(5)) with the escapes decoded. */
export interface Mount {
	readonly target: string;
	readonly type: string;
	readonly source: string;
}

/** The mounts of this process's namespace, in the order in which they were made. */
export function readMounts(file = "/proc/self/mountinfo"): Mount[] {
	const lines = fs.readFileSync(file, "latin1").split("\n");
	return lines.filter((line) => line !== "").map(parseLine);
}

function parseLine(line: string): Mount {
	const [front = "", back = ""] = line.split(" - ", 2);
	const [type = "", source = ""] = back.split(" ");
	return { target: decode(front.split(" ")[4] ?? ""), type, source: decode(source) };
}

/** The kernel writes space, tab, newline and backslash as three octal digits; names are bytes. */
function decode(text: string): string {
	const bytes = text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
		String.fromCharCode(Number.parseInt(digits, 8)),
	);
	return Buffer.from(bytes, "latin1").toString("utf8");
}

/** The mounts on a directory and below it; `directory` is an absolute path without symbolic links. */
export function mountsBelow(directory: string, mounts: readonly Mount[] = readMounts()): Mount[] {
	return mounts.filter(({ target }) => target === directory || target.startsWith(`${directory}/`));
}

export function isMountPoint(directory: string): boolean {
	return readMounts().some((mount) => mount.target === directory);
}

/** A mount on a mount needs a round for each layer; more of them are an attack or a bug. */
const ROUNDS = 64;

/**
 * Detaches every mount on a directory and below it, the latest first, so that what lies under the mounts is
 * what a following removal sees. Errors: those of umount(2), such as EPERM.
 */
export function unmountBelow(syscall: Syscall, directory: string): void {
	for (let round = 0; round < ROUNDS; round += 1) {
		const mounts = mountsBelow(directory);
		if (mounts.length === 0) return;
		for (const { target } of mounts.reverse()) detach(syscall, target);
	}
	throw new Error(`mounts keep appearing below ${directory}`);
}

/** A mount that went away with the one it stood on is no error. */
function detach(syscall: Syscall, target: string): void {
	try {
		syscall.umount(target, MNT_DETACH | UMOUNT_NOFOLLOW);
	} catch (error) {
		if (!isErrno(error, "EINVAL", "ENOENT")) throw error;
	}
}
