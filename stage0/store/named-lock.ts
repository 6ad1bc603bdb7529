import * as fs from "node:fs";
import { setTimeout } from "node:timers/promises";
import { isErrno } from "../../lib/errors.ts";
import { LOCK_EX, LOCK_NB, type Syscall } from "../../lib/syscall/syscall.ts";

/** An exclusive lock on a file that exists only for locking. */
export interface NamedLock {
	release(): void;
	/** Releases and removes the file, because what it guarded is gone. */
	remove(): void;
}

/** Waits for the lock; makes the file. */
export function acquireLock(syscall: Syscall, file: string): NamedLock {
	return acquire(syscall, file, LOCK_EX) as NamedLock;
}

/** The lock, or undefined when another process has it. */
export function tryLock(syscall: Syscall, file: string): NamedLock | undefined {
	return acquire(syscall, file, LOCK_EX | LOCK_NB);
}

/** A holder may remove the file, so the name must still mean the locked file once the lock is ours. */
function acquire(syscall: Syscall, file: string, operation: number): NamedLock | undefined {
	for (;;) {
		const fd = fs.openSync(
			file,
			fs.constants.O_RDONLY | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW,
			0o660,
		);
		try {
			syscall.flock(fd, operation);
		} catch (error) {
			fs.closeSync(fd);
			if (isErrno(error, "EAGAIN", "EWOULDBLOCK")) return undefined;
			throw error;
		}
		if (fs.statSync(file, { throwIfNoEntry: false })?.ino === fs.fstatSync(fd).ino) {
			return {
				release: () => fs.closeSync(fd),
				remove: () => {
					fs.rmSync(file, { force: true });
					fs.closeSync(fd);
				},
			};
		}
		fs.closeSync(fd);
	}
}

const POLL_MS = 10;

/**
 * Runs an action under the lock. Asks again and again instead of blocking, because the holder may be another action
 * of this process.
 */
export async function withLock<T>(syscall: Syscall, file: string, action: () => T | Promise<T>): Promise<T> {
	let lock = tryLock(syscall, file);
	while (!lock) {
		await setTimeout(POLL_MS);
		lock = tryLock(syscall, file);
	}
	try {
		return await action();
	} finally {
		lock.release();
	}
}
