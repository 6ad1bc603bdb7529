import * as fs from "node:fs";
import { isErrno } from "./errors.ts";
import { LOCK_EX, LOCK_NB, LOCK_SH, type Syscall } from "./syscall/syscall.ts";

/** A flock(2) on an open file description; it lives as long as a copy of the descriptor is open anywhere. */
export interface Lock {
	readonly fd: number;
	release(): void;
}

export interface LockOptions {
	readonly shared?: boolean;
	/** Give up at once instead of waiting. */
	readonly noWait?: boolean;
}

/**
 * Locks an existing file or directory. Returns undefined only with `noWait` when it is held elsewhere.
 * Errors: ENOENT and the like from open(2).
 */
export function lockPath(syscall: Syscall, target: string, options: LockOptions = {}): Lock | undefined {
	const fd = fs.openSync(target, fs.constants.O_RDONLY);
	try {
		syscall.flock(fd, (options.shared ? LOCK_SH : LOCK_EX) | (options.noWait ? LOCK_NB : 0));
	} catch (error) {
		fs.closeSync(fd);
		if (isErrno(error, "EAGAIN", "EWOULDBLOCK")) return undefined;
		throw error;
	}
	return { fd, release: () => fs.closeSync(fd) };
}

/** Waits for the lock; the file is made when it does not exist. */
export function waitForLock(syscall: Syscall, file: string, options: { shared?: boolean } = {}): Lock {
	fs.closeSync(fs.openSync(file, "a", 0o660));
	return lockPath(syscall, file, options) as Lock;
}

/** True when some process holds an exclusive lock on it. */
export function isLocked(syscall: Syscall, target: string): boolean {
	const lock = lockPath(syscall, target, { shared: true, noWait: true });
	lock?.release();
	return lock === undefined;
}
