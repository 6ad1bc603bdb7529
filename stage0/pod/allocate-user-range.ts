import * as fs from "node:fs";
import * as path from "node:path";
import { crashPoint } from "../../lib/crash-point.ts";
import { fail } from "../../lib/errors.ts";
import { readTextIfExists } from "../../lib/files.ts";
import { waitForLock } from "../../lib/lock.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { privateUsersPath } from "../../stage1/pod-paths.ts";
import { formatUserRange, USER_RANGE_SIZE, type UserRange } from "./user-range.ts";
import { claim, prepareClaims } from "./user-range-claims.ts";

/** Ids from 0x70000000 on are those of hypervisors; from 0x80000000 on devpts refuses them as a mount option. */
const LAST_WINDOW = 0x6fff;

/** Where the ranges of a pod come from; the directory of the pod is named by its UUID. */
export interface RangeRequest {
	readonly syscall: Syscall;
	readonly dataDirectory: string;
	readonly pod: string;
}

/**
 * Chooses a range that no other pod of this data directory and no entry of /etc/subuid and /etc/subgid has, and in which no
 * account of /etc/passwd and /etc/group is; records it in the pod, all under one lock: two pods never share ids. Errors: `user-ranges-exhausted`.
 */
export function allocateUserRange({ syscall, dataDirectory, pod }: RangeRequest): UserRange {
	const locks = path.join(dataDirectory, "locks");
	fs.mkdirSync(locks, { recursive: true, mode: 0o750 });
	const lock = waitForLock(syscall, path.join(locks, "userRanges"));
	try {
		prepareClaims(dataDirectory);
		const range = chooseRange(rangesOfHost(), (shift) => claim(dataDirectory, shift, path.basename(pod)));
		crashPoint("prepare-range-claimed");
		fs.writeFileSync(privateUsersPath(pod), formatUserRange(range), { mode: 0o640 });
		return range;
	} finally {
		lock.release();
	}
}

/** From anywhere on, so that the first names that are looked at are mostly free. */
function chooseRange(host: readonly UserRange[], claim: (shift: number) => boolean): UserRange {
	const first = Math.floor(Math.random() * LAST_WINDOW);
	for (let step = 0; step < LAST_WINDOW; step += 1) {
		const range = windowRange((first + step) % LAST_WINDOW);
		if (!host.some((other) => overlaps(range, other)) && claim(range.shift)) return range;
	}
	return fail("user-ranges-exhausted", "every range of user ids is taken", {
		hint: "remove pods with rkt gc, or shorten /etc/subuid and /etc/subgid",
	});
}

/** The first range begins after the ids of the host's own users. */
function windowRange(index: number): UserRange {
	return { shift: (index + 1) * USER_RANGE_SIZE, count: USER_RANGE_SIZE };
}

/** How many ranges a text in the form of /etc/subuid leaves. */
export function freeUserRanges(text: string): number {
	const taken = parseSubordinates(text);
	const windows = Array.from({ length: LAST_WINDOW }, (_, index) => windowRange(index));
	return windows.filter((window) => !taken.some((other) => overlaps(window, other))).length;
}

function overlaps(a: UserRange, b: UserRange): boolean {
	return a.shift < b.shift + b.count && b.shift < a.shift + a.count;
}

function rangesOfHost(): UserRange[] {
	const read = (...files: string[]): string => files.map((file) => readTextIfExists(file) ?? "").join("\n");
	return [
		...parseSubordinates(read("/etc/subuid", "/etc/subgid")),
		...parseAccounts(read("/etc/passwd", "/etc/group")),
	];
}

/** Users and groups of the host, passwd(5) and group(5): some have numbers as pods have them. */
export function parseAccounts(text: string): UserRange[] {
	return [...text.matchAll(/^[^:\n]+:[^:\n]*:(\d+):/gm)].map((match) => ({
		shift: Number(match[1]),
		count: 1,
	}));
}

/** subuid(5): `NAME:FIRST:COUNT`. */
function parseSubordinates(text: string): UserRange[] {
	return [...text.matchAll(/^[^:\n]+:(\d+):(\d+)$/gm)].map((match) => ({
		shift: Number(match[1]),
		count: Number(match[2]),
	}));
}
