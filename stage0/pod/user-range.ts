import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { readTextIfExists } from "../../lib/files.ts";
import { waitForLock } from "../../lib/lock.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { privateUsersPath } from "../../stage1/pod-paths.ts";
import type { OwnerRange } from "../store/owner-range.ts";
import { listPodPlaces } from "./pod-directories.ts";
import { POD_DIRECTORIES } from "./states.ts";

/** The ids of the host that are those from 0 on in a pod. */
export type UserRange = OwnerRange;

const COUNT = 65536;
/** With the highest bit set, devpts refuses the ids as a mount option. */
const LAST_WINDOW = 0x7fff;

/**
 * Chooses a range that no other pod of this data directory and no entry of /etc/subuid and /etc/subgid has, and
 * records it in the pod, all under one lock: two pods never share ids.
 */
export function allocateUserRange(syscall: Syscall, dataDirectory: string, pod: string): UserRange {
	const locks = path.join(dataDirectory, "locks");
	fs.mkdirSync(locks, { recursive: true, mode: 0o750 });
	const lock = waitForLock(syscall, path.join(locks, "userRanges"));
	try {
		const range = chooseRange([...rangesOfPods(dataDirectory), ...rangesOfHost()]);
		fs.writeFileSync(privateUsersPath(pod), formatUserRange(range), { mode: 0o640 });
		return range;
	} finally {
		lock.release();
	}
}

export function formatUserRange(range: UserRange): string {
	return `${range.shift}:${range.count}`;
}

/** The range that a pod was prepared with; undefined for the host's own ids. */
export function readUserRange(pod: string): UserRange | undefined {
	const match = /^(\d{1,10}):(\d{1,10})\s*$/.exec(readTextIfExists(privateUsersPath(pod)) ?? "");
	return match ? { shift: Number(match[1]), count: Number(match[2]) } : undefined;
}

function chooseRange(taken: readonly UserRange[]): UserRange {
	const first = 1 + Math.floor(Math.random() * LAST_WINDOW);
	for (let step = 0; step < LAST_WINDOW; step += 1) {
		const window = 1 + ((first - 1 + step) % LAST_WINDOW);
		const range = { shift: window * COUNT, count: COUNT };
		if (!taken.some((other) => overlaps(range, other))) return range;
	}
	return fail("user-ranges-exhausted", "every range of user ids is taken", {
		hint: "remove pods with rkt gc, or shorten /etc/subuid and /etc/subgid",
	});
}

/** How many ranges a text in the form of /etc/subuid leaves. */
export function freeUserRanges(text: string): number {
	const taken = parseSubordinates(text);
	const windows = Array.from({ length: LAST_WINDOW }, (_, index) => ({
		shift: (index + 1) * COUNT,
		count: COUNT,
	}));
	return windows.filter((window) => !taken.some((other) => overlaps(window, other))).length;
}

function overlaps(a: UserRange, b: UserRange): boolean {
	return a.shift < b.shift + b.count && b.shift < a.shift + a.count;
}

function rangesOfPods(dataDirectory: string): UserRange[] {
	const { places } = listPodPlaces(dataDirectory, POD_DIRECTORIES);
	return places.flatMap((place) => readUserRange(place.directory) ?? []);
}

function rangesOfHost(): UserRange[] {
	const text = ["/etc/subuid", "/etc/subgid"].map((file) => readTextIfExists(file) ?? "").join("\n");
	return parseSubordinates(text);
}

/** subuid(5): `NAME:FIRST:COUNT`. */
function parseSubordinates(text: string): UserRange[] {
	return [...text.matchAll(/^[^:\n]+:(\d+):(\d+)$/gm)].map((match) => ({
		shift: Number(match[1]),
		count: Number(match[2]),
	}));
}
