import type { Writable } from "node:stream";
import { RktError } from "../../lib/errors.ts";
import { quote } from "../types/quote.ts";
import type { DataRange, EntryBody, TarEntry } from "./entry.ts";
import { drained } from "./feed.ts";
import { END_OF_ARCHIVE, encodeEntry, padding, storedBytes } from "./tar-encode.ts";

/** Takes the bytes of an archive in order; the packer waits for the promise. */
export type Sink = (chunk: Buffer) => Promise<void> | void;

export interface TarPacker {
	/** Writes one entry; a file's body must have exactly `entry.size` bytes. Errors: `archive-size`. */
	add(entry: TarEntry, body?: EntryBody | Buffer): Promise<void>;
	/** Writes the end mark. */
	finish(): Promise<void>;
}

const BATCH = 256 * 1024;

/**
 * Writes checked entries as a tar stream of our own making, so that whichever program unpacks it never parses a
 * header that a stranger wrote. Small pieces are gathered into larger writes.
 */
export function createTarPacker(sink: Sink): TarPacker {
	let batch: Buffer = Buffer.allocUnsafe(BATCH);
	let filled = 0;

	const flush = async (): Promise<void> => {
		if (filled === 0) return;
		const full = batch.subarray(0, filled);
		batch = Buffer.allocUnsafe(BATCH);
		filled = 0;
		await sink(full);
	};
	const put = async (chunk: Buffer): Promise<void> => {
		if (filled + chunk.length > BATCH) await flush();
		if (chunk.length > BATCH / 4) {
			await flush();
			await sink(chunk);
			return;
		}
		filled += chunk.copy(batch, filled);
	};

	return {
		add: async (entry, body) => {
			await put(encodeEntry(entry));
			const dataOf = entry.data && createDataFilter(entry.data);
			let read = 0;
			for await (const chunk of Buffer.isBuffer(body) ? [body] : (body ?? [])) {
				read += chunk.length;
				if (read > entry.size) break;
				if (dataOf) for (const piece of dataOf(chunk)) await put(piece);
				else await put(chunk);
			}
			if (read !== entry.size) refuseSizeChange(entry);
			await put(padding(storedBytes(entry)));
		},
		finish: async () => {
			await put(END_OF_ARCHIVE);
			await flush();
		},
	};
}

/** Of each piece of a sparse file in turn, what lies in ranges with data. */
function createDataFilter(ranges: readonly DataRange[]): (chunk: Buffer) => Buffer[] {
	let at = 0;
	let next = 0;
	return (chunk) => {
		const pieces: Buffer[] = [];
		const end = at + chunk.length;
		for (let range = ranges[next]; range && range.offset < end; range = ranges[next]) {
			const rangeEnd = range.offset + range.length;
			pieces.push(chunk.subarray(Math.max(0, range.offset - at), Math.min(chunk.length, rangeEnd - at)));
			if (rangeEnd > end) break;
			next++;
		}
		at = end;
		return pieces;
	};
}

function refuseSizeChange(entry: TarEntry): never {
	throw new RktError(
		"archive-size",
		`${quote(entry.path)} does not have the ${entry.size} bytes that it should`,
		{
			hint: "the file changed while it was read: try again when nothing writes to it",
		},
	);
}

/** A sink that writes to a stream and waits while it is full. Errors of the stream are thrown. */
export function writableSink(stream: Writable): Sink {
	return async (chunk) => {
		if (stream.errored) throw stream.errored;
		if (stream.destroyed) throw new Error("the stream was closed while an archive was written to it");
		if (!stream.write(chunk)) await drained(stream);
	};
}

/** An entry of an image as it lies below its root directory: `rootfs/etc` becomes `etc`, `rootfs` itself `.`. */
export function belowRootfs(entry: TarEntry): TarEntry {
	const strip = (path: string): string => (path === "rootfs" ? "." : path.slice("rootfs/".length));
	if (entry.type !== "hardlink") return { ...entry, path: strip(entry.path) };
	return { ...entry, path: strip(entry.path), linkTarget: strip(entry.linkTarget ?? "") };
}
