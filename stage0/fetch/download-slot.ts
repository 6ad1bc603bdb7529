import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout } from "node:timers/promises";
import { isErrno } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { LOCK_EX, LOCK_NB, type Syscall } from "../../lib/syscall/syscall.ts";

/** The one place on this machine where a URL is downloaded to, locked until it is discarded. */
export interface DownloadSlot {
	/** The file, which holds what a killed download left. */
	readonly file: string;
	readonly fd: number;
	/** Beside the file: what a download must know to go on. */
	readonly stateFile: string;
	/** Removes both files and lets the next one in. */
	discard(): void;
	/** Leaves the files, so that the next one can go on with them, and lets it in. */
	keep(): void;
}

export interface SlotOptions {
	/** `cas/tmp`. */
	readonly directory: string;
	readonly syscall: Syscall;
	readonly log: Log;
}

const POLL_MS = 50;

/** Waits until nobody else downloads this URL. */
export async function acquireSlot(
	url: string,
	{ directory, syscall, log }: SlotOptions,
): Promise<DownloadSlot> {
	const file = path.join(directory, `sha512-${createHash("sha512").update(url).digest("hex")}`);
	const stateFile = `${file}.state`;
	let told = false;
	for (;;) {
		const fd = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW, 0o660);
		if (!tryLock(syscall, fd)) {
			fs.closeSync(fd);
			if (!told) log.info("another rkt instance is downloading this file, waiting...");
			told = true;
			await setTimeout(POLL_MS);
			continue;
		}
		if (isStillThere(fd, file)) {
			const keep = () => fs.closeSync(fd);
			return { file, fd, stateFile, discard: () => discard(fd, file, stateFile), keep };
		}
		fs.closeSync(fd);
	}
}

function tryLock(syscall: Syscall, fd: number): boolean {
	try {
		syscall.flock(fd, LOCK_EX | LOCK_NB);
		return true;
	} catch (error) {
		if (isErrno(error, "EAGAIN", "EWOULDBLOCK")) return false;
		throw error;
	}
}

/** The one that held the lock before removed the file: a lock on a name that is gone protects nothing. */
function isStillThere(fd: number, file: string): boolean {
	return fs.statSync(file, { throwIfNoEntry: false })?.ino === fs.fstatSync(fd).ino;
}

function discard(fd: number, file: string, stateFile: string): void {
	fs.rmSync(stateFile, { force: true });
	fs.rmSync(file, { force: true });
	fs.closeSync(fd);
}
