import * as fs from "node:fs";
import { isErrno } from "../../lib/errors.ts";
import { lstatIfExists } from "../../lib/files.ts";
import { type Lock, lockPath } from "../../lib/lock.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { type PodPlace, podPlace } from "./pod-directories.ts";
import { POD_DIRECTORIES, type PodState, stateOf } from "./states.ts";

/** A pod that this process has locked: its state changes only through us. */
export interface LockedPod extends PodPlace {
	readonly lock: Lock;
}

/** A pod with the state it had when we looked. */
export interface ObservedPod extends PodPlace {
	readonly state: PodState;
}

const RETRY_MS = 2;
const RETRIES = 20;

/**
 * Takes the exclusive lock of a pod without waiting for its owner. Another command that only looks at the
 * state holds a shared lock for a moment: that one is waited for.
 * Undefined when somebody owns the pod, or when it has moved to another state or is gone.
 */
export function tryLockPod(syscall: Syscall, place: PodPlace): LockedPod | undefined {
	for (let attempt = 0; attempt < RETRIES; attempt += 1) {
		const lock = tryLockOnce(syscall, place.directory);
		if (lock === "gone") return undefined;
		if (lock !== "held") return { ...place, lock };
		if (isOwned(syscall, place.directory)) return undefined;
		sleep(RETRY_MS);
	}
	return undefined;
}

/** A shared lock can be had beside other shared ones, but not beside an owner's. */
function isOwned(syscall: Syscall, directory: string): boolean {
	const lock = lockIfPresent(syscall, directory, true);
	if (lock !== undefined && lock !== "gone") lock.release();
	return lock === undefined;
}

/** The lock counts only when the locked directory is still the one under that path. */
function tryLockOnce(syscall: Syscall, directory: string): Lock | "gone" | "held" {
	const lock = lockIfPresent(syscall, directory, false);
	if (lock === undefined) return "held";
	if (lock === "gone") return "gone";
	if (isSameDirectory(lock.fd, directory)) return lock;
	lock.release();
	return "gone";
}

/**
 * A shared lock on a pod that nobody owns: it stays where it is, and others may look at it too. Undefined when somebody
 * owns the pod, or when it is not there any more.
 */
export function tryHoldPod(syscall: Syscall, { directory }: PodPlace): Lock | undefined {
	const lock = lockIfPresent(syscall, directory, true);
	if (lock === undefined || lock === "gone") return undefined;
	if (isSameDirectory(lock.fd, directory)) return lock;
	lock.release();
	return undefined;
}

/** Where a pod is and what state that is; undefined when there is none of that UUID. */
export function observePod(syscall: Syscall, dataDirectory: string, uuid: string): ObservedPod | undefined {
	for (let attempt = 0; attempt < RETRIES; attempt += 1) {
		const found = POD_DIRECTORIES.map((where) => podPlace(dataDirectory, where, uuid)).find(
			(place) => lstatIfExists(place.directory) !== undefined,
		);
		if (found === undefined && attempt > 0) return undefined;
		const observed = found && observePlace(syscall, found);
		if (observed) return observed;
	}
	return undefined;
}

/** The state of a pod at a place; undefined when it is not there any more. */
export function observePlace(syscall: Syscall, place: PodPlace): ObservedPod | undefined {
	const lock = lockIfPresent(syscall, place.directory, true);
	if (lock === "gone") return undefined;
	const still = lock === undefined || isSameDirectory(lock.fd, place.directory);
	lock?.release();
	return still ? { ...place, state: stateOf(place.where, lock === undefined) } : undefined;
}

function lockIfPresent(syscall: Syscall, directory: string, shared: boolean): Lock | "gone" | undefined {
	try {
		return lockPath(syscall, directory, { shared, noWait: true });
	} catch (error) {
		if (isErrno(error, "ENOENT")) return "gone";
		throw error;
	}
}

function isSameDirectory(fd: number, directory: string): boolean {
	const opened = fs.fstatSync(fd);
	const there = lstatIfExists(directory);
	return there !== undefined && there.ino === opened.ino && there.dev === opened.dev;
}

function sleep(milliseconds: number): void {
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
