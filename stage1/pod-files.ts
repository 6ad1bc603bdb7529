import * as fs from "node:fs";
import { isErrno } from "../lib/errors.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

/** Nothing that is read back from a pod is larger. */
const DEFAULT_LIMIT = 64 * 1024;

/** What a pod left under a name: never more than one file of it is opened, and no link is followed. */
const NOTHING = ["ENOENT", "ENOTDIR", "ELOOP", "ENXIO"];

/**
 * Reads a file that the pod can write: every component below `root` is opened without following symlinks, and
 * only a regular file up to `limit` bytes counts. Anything else is undefined, as if it were missing.
 */
export function readPodFile(root: string, relative: string, limit = DEFAULT_LIMIT): string | undefined {
	return withPodParent(root, relative, (parent, name) => {
		const fd = fs.openSync(`${parent}/${name}`, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
		try {
			const stat = fs.fstatSync(fd);
			if (!stat.isFile() || stat.size > limit) return undefined;
			const buffer = Buffer.alloc(limit);
			return buffer.subarray(0, fs.readSync(fd, buffer, 0, limit, 0)).toString("utf8");
		} finally {
			fs.closeSync(fd);
		}
	});
}

/** The target of a symlink that the pod can write; undefined when there is none. */
export function readPodLink(root: string, relative: string): string | undefined {
	return withPodParent(root, relative, (parent, name) => {
		try {
			return fs.readlinkSync(`${parent}/${name}`);
		} catch (error) {
			if (isErrno(error, "EINVAL")) return undefined;
			throw error;
		}
	});
}

/** Walks to the parent by descriptors; /proc/self/fd stands in for openat(2), which Node lacks. */
function withPodParent<T>(
	root: string,
	relative: string,
	read: (parent: string, name: string) => T,
): T | undefined {
	const parts = relative.split("/").filter((part) => part !== "");
	const name = parts.pop() as string;
	let directory: number | undefined;
	try {
		directory = fs.openSync(root, O_RDONLY | O_DIRECTORY);
		for (const part of parts) {
			const next = fs.openSync(`/proc/self/fd/${directory}/${part}`, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
			fs.closeSync(directory);
			directory = next;
		}
		return read(`/proc/self/fd/${directory}`, name);
	} catch (error) {
		if (isErrno(error, ...NOTHING)) return undefined;
		throw error;
	} finally {
		if (directory !== undefined) fs.closeSync(directory);
	}
}
