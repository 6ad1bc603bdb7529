import * as fs from "node:fs";
import { fail, isErrno } from "../../lib/errors.ts";
import {
	AT_FDCWD,
	O_CLOEXEC,
	O_PATH,
	RESOLVE_NO_MAGICLINKS,
	type Syscall,
} from "../../lib/syscall/syscall.ts";

/** Directories, without links; a host volume must be in one of each list. */
export type VolumeBounds = readonly (readonly string[])[];

/** Set by stage0 from the policy of the machine: JSON of {@link VolumeBounds}. */
export const VOLUME_BOUNDS_VARIABLE = "RKT_VOLUME_BOUNDS";

export function formatVolumeBounds(bounds: VolumeBounds): string {
	return JSON.stringify(bounds);
}

/** Errors: `stage1-arguments-invalid`. */
export function parseVolumeBounds(text: string | undefined): VolumeBounds {
	if (!text) return [];
	try {
		const value: unknown = JSON.parse(text);
		if (isBounds(value)) return value;
	} catch {
		// Said below.
	}
	return fail("stage1-arguments-invalid", `${VOLUME_BOUNDS_VARIABLE} is no list of lists of directories`);
}

function isBounds(value: unknown): value is VolumeBounds {
	const isList = (list: unknown): boolean =>
		Array.isArray(list) && list.every((one) => typeof one === "string");
	return Array.isArray(value) && value.every(isList);
}

export function isInside(target: string, directories: readonly string[]): boolean {
	return directories.some(
		(directory) => directory === "/" || target === directory || target.startsWith(`${directory}/`),
	);
}

/**
 * Pins a file of the host by a descriptor, so that its place is that of what is used afterwards, whatever happens to
 * the path meanwhile. Not through links such as /proc/PID/root, behind which the same path may be in another mount
 * namespace. Errors: those of openat2(2), ELOOP for such a link.
 */
export function pinHostFile(syscall: Syscall, file: string): { readonly fd: number; readonly place: string } {
	const how = { flags: O_PATH | O_CLOEXEC, resolve: RESOLVE_NO_MAGICLINKS };
	const fd = syscall.openat2(AT_FDCWD, file, how);
	try {
		return { fd, place: fs.readlinkSync(`/proc/self/fd/${fd}`) };
	} catch (error) {
		fs.closeSync(fd);
		throw error;
	}
}

/** Where a path of the host leads to; undefined when it leads nowhere. */
export function placeOfHostFile(syscall: Syscall, file: string): string | undefined {
	try {
		const { fd, place } = pinHostFile(syscall, file);
		fs.closeSync(fd);
		return place;
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "EACCES", "ENAMETOOLONG")) return undefined;
		throw error;
	}
}
