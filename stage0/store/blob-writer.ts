import * as fs from "node:fs";
import * as path from "node:path";
import { randomSuffix } from "../../lib/files.ts";
import { LOCK_EX, type Syscall } from "../../lib/syscall/syscall.ts";

/** A temporary file that is written while its content is hashed. Locked, so that nobody takes it for left over. */
export interface BlobWriter {
	readonly file: string;
	/** Resolves when more may be written; errors of earlier writes come here too. */
	write(chunk: Buffer): Promise<void> | void;
	/** Waits until everything is on the disk. */
	finish(): Promise<void>;
	/** Closes, and removes the file unless it was renamed. */
	close(): void;
}

/** What may wait for the disk; hashing and unpacking go on meanwhile. */
const MAX_PENDING_BYTES = 2 * 1024 * 1024;
/** Flushing begins early, or the whole image would have to be waited for at the end. */
const FLUSH_BYTES = 64 * 1024 * 1024;

export function createBlobWriter(directory: string, syscall: Syscall): BlobWriter {
	const { file, fd } = createLocked(directory, syscall);
	const state = { position: 0, pending: 0, unflushed: 0, error: undefined as unknown };
	const tasks = new Set<Promise<void>>();

	const track = (task: Promise<void>): void => {
		const settled = task.catch((error) => {
			state.error ??= error;
		});
		tasks.add(settled);
		settled.finally(() => tasks.delete(settled));
	};
	const flushSometimes = (length: number): void => {
		state.unflushed += length;
		if (state.unflushed < FLUSH_BYTES) return;
		state.unflushed = 0;
		track(flush(fd));
	};
	const settle = async (limit: number): Promise<void> => {
		while (tasks.size > 0 && state.pending >= limit) await Promise.race(tasks);
		if (state.error !== undefined) throw state.error;
	};

	return {
		file,
		write: (chunk) => {
			const position = state.position;
			state.position += chunk.length;
			state.pending += chunk.length;
			track(
				writeAll(fd, chunk, position).finally(() => {
					state.pending -= chunk.length;
				}),
			);
			flushSometimes(chunk.length);
			if (state.pending >= MAX_PENDING_BYTES || state.error !== undefined) return settle(MAX_PENDING_BYTES);
		},
		finish: async () => {
			await Promise.all(tasks);
			await settle(0);
			fs.fchmodSync(fd, 0o660);
			await flush(fd);
		},
		close: () => {
			fs.rmSync(file, { force: true });
			Promise.all(tasks).then(() => fs.closeSync(fd));
		},
	};
}

/** Between making and locking a file, a sweep may take it for left over and remove it: then another is made. */
function createLocked(directory: string, syscall: Syscall): { file: string; fd: number } {
	for (;;) {
		const file = path.join(directory, `import-${process.pid}-${randomSuffix()}`);
		const fd = fs.openSync(file, "wx", 0o660);
		syscall.flock(fd, LOCK_EX);
		if (fs.fstatSync(fd).nlink > 0) return { file, fd };
		fs.closeSync(fd);
	}
}

async function writeAll(fd: number, chunk: Buffer, position: number): Promise<void> {
	let written = 0;
	while (written < chunk.length) written += await writeSome(fd, chunk.subarray(written), position + written);
}

function writeSome(fd: number, chunk: Buffer, position: number): Promise<number> {
	return new Promise((resolve, reject) => {
		fs.write(fd, chunk, 0, chunk.length, position, (error, written) =>
			error ? reject(error) : resolve(written),
		);
	});
}

function flush(fd: number): Promise<void> {
	return new Promise((resolve, reject) => {
		fs.fdatasync(fd, (error) => (error ? reject(error) : resolve()));
	});
}
