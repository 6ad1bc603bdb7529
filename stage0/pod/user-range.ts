import { readTextIfExists } from "../../lib/files.ts";
import { privateUsersPath } from "../../stage1/pod-paths.ts";
import type { OwnerRange } from "../store/owner-range.ts";

/** The ids of the host that are those from 0 on in a pod. */
export type UserRange = OwnerRange;

/** Every range has so many ids and begins at a multiple of it. */
export const USER_RANGE_SIZE = 65536;

export function formatUserRange(range: UserRange): string {
	return `${range.shift}:${range.count}`;
}

/** The range that a pod was prepared with; undefined for the host's own ids. */
export function readUserRange(pod: string): UserRange | undefined {
	const match = /^(\d{1,10}):(\d{1,10})\s*$/.exec(readTextIfExists(privateUsersPath(pod)) ?? "");
	return match ? { shift: Number(match[1]), count: Number(match[2]) } : undefined;
}
