import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../../lib/errors.ts";
import { lstatIfExists } from "../../lib/files.ts";
import { listPodPlaces, podPlace } from "./pod-directories.ts";
import { POD_DIRECTORIES } from "./states.ts";
import { readUserRange, USER_RANGE_SIZE } from "./user-range.ts";

/*
 * `<data>/user-ranges` has a link for each range of ids that was ever given, named by its first id and pointing at the UUID
 * of the pod. So choosing a range looks at one name and not at all pods. A link whose pod is gone is free again: nothing has
 * to be undone when a pod is removed.
 */

export function claimsDirectory(dataDirectory: string): string {
	return path.join(dataDirectory, "user-ranges");
}

/** Call it with the lock of ranges. Pods from before there were links get theirs. */
export function prepareClaims(dataDirectory: string): void {
	const directory = claimsDirectory(dataDirectory);
	if (fs.existsSync(directory)) return;
	const temporary = `${directory}.new`;
	fs.rmSync(temporary, { recursive: true, force: true });
	fs.mkdirSync(temporary, { mode: 0o750 });
	for (const { uuid, directory: pod } of listPodPlaces(dataDirectory, POD_DIRECTORIES).places) {
		const range = readUserRange(pod);
		if (range === undefined) continue;
		for (const first of windowsOf(range)) linkUnlessThere(uuid, path.join(temporary, String(first)));
	}
	fs.renameSync(temporary, directory);
}

function windowsOf({ shift, count }: { readonly shift: number; readonly count: number }): number[] {
	const first = Math.floor(shift / USER_RANGE_SIZE);
	const last = Math.floor((shift + Math.max(count, 1) - 1) / USER_RANGE_SIZE);
	return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * USER_RANGE_SIZE);
}

function linkUnlessThere(target: string, file: string): boolean {
	try {
		fs.symlinkSync(target, file);
		return true;
	} catch (error) {
		if (isErrno(error, "EEXIST")) return false;
		throw error;
	}
}

/** Takes the range that begins at `shift` for a pod; false when another pod has it. Call it with the lock of ranges. */
export function claim(dataDirectory: string, shift: number, uuid: string): boolean {
	const file = path.join(claimsDirectory(dataDirectory), String(shift));
	if (linkUnlessThere(uuid, file)) return true;
	if (podExists(dataDirectory, fs.readlinkSync(file))) return false;
	fs.unlinkSync(file);
	return linkUnlessThere(uuid, file);
}

/** Pods move only from one of these directories to a later one, so that one which moves meanwhile is seen. */
function podExists(dataDirectory: string, uuid: string): boolean {
	return POD_DIRECTORIES.some(
		(where) => lstatIfExists(podPlace(dataDirectory, where, uuid).directory) !== undefined,
	);
}
