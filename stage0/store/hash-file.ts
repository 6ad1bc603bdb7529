import type { Hash } from "node:crypto";
import * as fs from "node:fs";

/** Feeds a hash with an open file from where it is to its end, through the buffer; returns the bytes. */
export function hashFile(hash: Hash, fd: number, buffer: Buffer): number {
	let size = 0;
	for (;;) {
		const length = fs.readSync(fd, buffer, 0, buffer.length, null);
		if (length === 0) return size;
		hash.update(buffer.subarray(0, length));
		size += length;
	}
}
