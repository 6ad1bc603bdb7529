import { quote } from "../types/quote.ts";
import { type ByteReader, createByteReader } from "./byte-reader.ts";
import type { DataRange, EntryBody, EntryType } from "./entry.ts";
import { type PaxRecords, paxInteger, paxTime, paxXattrs } from "./pax.ts";
import { refuseAci, refuseTruncated } from "./refuse.ts";
import { isSparse, readSparseFile, type SparseFile } from "./sparse-map.ts";
import { type Extensions, extend, NO_EXTENSIONS } from "./tar-extensions.ts";
import { BLOCK, decodeHeader, isZeroBlock, type RawHeader } from "./tar-header.ts";

/** An entry as the archive gives it, its extended headers applied. Names are bytes written as Latin-1, unchecked. */
export interface RawEntry {
	readonly name: string;
	readonly linkName: string;
	readonly type: EntryType;
	readonly mode: number;
	readonly uid: number;
	readonly gid: number;
	readonly size: number;
	readonly mtimeNs: bigint;
	readonly major: number;
	readonly minor: number;
	readonly xattrs: ReadonlyMap<string, Buffer>;
	/** Of a sparse file: where it has data. */
	readonly data?: readonly DataRange[];
	/** Bytes of `size` that are not in the archive: the holes of a sparse file. */
	readonly holeBytes: number;
	/** With the zeros of holes. */
	readonly body: EntryBody;
}

const TYPES: Record<string, EntryType> = {
	"0": "file",
	"7": "file",
	S: "file",
	"1": "hardlink",
	"2": "symlink",
	"3": "character-device",
	"4": "block-device",
	"5": "directory",
	"6": "fifo",
};

export interface TarRules {
	/** The data may stop after any entry: for archives whose digest is known, which tells whether they are whole. */
	readonly endMarkOptional?: boolean;
}

const NO_RECORDS: PaxRecords = new Map();
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

/**
 * Calls `visit` for each entry of a tar stream. Written for hostile input: every length is checked before anything is
 * buffered, what two programs could read differently is refused (bodies of links, repeated or contradicting extended
 * headers, data behind the end). Sparse files of GNU tar have their zeros in `body`. The body of an entry may be left unread. As long as data is
 * there and `visit` returns nothing to wait for, nothing is awaited: this makes a million small entries bearable.
 * Errors: `aci-invalid`, `aci-truncated`.
 */
export async function readTar(
	chunks: AsyncIterable<Buffer>,
	source: string,
	visit: (entry: RawEntry) => Promise<void> | void,
	{ endMarkOptional = false }: TarRules = {},
): Promise<void> {
	const reader = createByteReader(chunks);
	try {
		let extensions = NO_EXTENSIONS;
		for (;;) {
			const block = reader.readNow(BLOCK) ?? (await reader.read(BLOCK));
			if (block.length === 0 && endMarkOptional) break;
			const header = readHeader(block, source);
			if (header === undefined) break;
			if ("xgLK".includes(header.flag)) {
				extensions = await extend(reader, header, extensions, source);
				continue;
			}
			const size = applySize(header, extensions, source);
			const { pax } = extensions;
			const sparse = isSparse(header, pax)
				? await readSparseFile(reader, block, { header, pax, body: size }, source)
				: undefined;
			const body = createBody(reader, sparse?.stored ?? size, source);
			const pending = visit(combine(header, extensions, body, sparse, source));
			if (pending !== undefined) await pending;
			if (!body.finishNow()) await body.finish();
			extensions = NO_EXTENSIONS;
		}
		if (extensions !== NO_EXTENSIONS) refuseAci(source, "an extended header has no entry");
		await checkRest(reader, source);
	} finally {
		await reader.close();
	}
}

function readHeader(block: Buffer, source: string): RawHeader | undefined {
	if (block.length < BLOCK) refuseTruncated(source, "where another entry or the end mark should be");
	if (isZeroBlock(block)) return undefined;
	const header = decodeHeader(block);
	return typeof header === "string" ? refuseAci(source, header) : header;
}

/** The end mark is followed by zeros up to the record size of the writer, and by nothing else. */
async function checkRest(reader: ByteReader, source: string): Promise<void> {
	for (;;) {
		const chunk = await reader.chunk(Number.MAX_SAFE_INTEGER);
		if (chunk === undefined) return;
		if (!chunk.equals(Buffer.alloc(chunk.length))) refuseAci(source, "data follows the end of the archive");
	}
}

function applySize(header: RawHeader, { pax }: Extensions, source: string): number {
	const record = pax?.get("size");
	const size = record === undefined ? header.size : paxInteger(record);
	if (size === undefined || size < 0)
		return refuseAci(source, `${quote(header.name)} has an impossible size`);
	return size;
}

function combine(
	header: RawHeader,
	extensions: Extensions,
	body: Body,
	sparse: SparseFile | undefined,
	source: string,
): RawEntry {
	const { pax = NO_RECORDS } = extensions;
	const name = sparse?.name ?? longText(pax.get("path"), extensions.longName, header.name, source);
	const type = header.flag === "0" && name.endsWith("/") ? "directory" : TYPES[header.flag];
	if (type === undefined) {
		return refuseAci(source, `${quote(name)} is of the unsupported entry type ${quote(header.flag)}`);
	}
	const record = <T>(keyword: string, decode: (value: Buffer) => T | undefined, fallback: T): T => {
		const value = pax.get(keyword);
		if (value === undefined) return fallback;
		return decode(value) ?? refuseAci(source, `${quote(name)} has a malformed ${keyword}`);
	};
	return {
		name,
		type,
		linkName: longText(pax.get("linkpath"), extensions.longLink, header.linkName, source),
		mode: header.mode & 0o7777,
		uid: record("uid", paxInteger, header.uid),
		gid: record("gid", paxInteger, header.gid),
		mtimeNs: record("mtime", paxTime, BigInt(header.mtime) * 1_000_000_000n),
		major: header.major,
		minor: header.minor,
		xattrs: pax === NO_RECORDS ? NO_XATTRS : paxXattrs(pax),
		...(sparse
			? {
					size: sparse.size,
					data: sparse.ranges,
					holeBytes: sparse.size - sparse.stored,
					body: withHoles(sparse, body.take),
				}
			: { size: body.size, holeBytes: 0, body: body.chunks }),
	};
}

const ZEROS = Buffer.alloc(64 * 1024);

/** The whole content of a sparse file; `take` gives the stored data piece by piece. */
async function* withHoles(
	{ size, ranges }: SparseFile,
	take: (maxBytes: number) => Promise<Buffer>,
): AsyncGenerator<Buffer> {
	let at = 0;
	for (const { offset, length } of ranges) {
		yield* zeros(offset - at);
		at = offset + length;
		for (let left = length; left > 0; ) {
			const piece = await take(left);
			left -= piece.length;
			yield piece;
		}
	}
	yield* zeros(size - at);
}

function* zeros(length: number): Generator<Buffer> {
	for (let left = length; left > 0; left -= ZEROS.length)
		yield left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS;
}

function longText(pax: Buffer | undefined, gnu: string | undefined, short: string, source: string): string {
	const text = pax?.toString("latin1");
	if (text !== undefined && gnu !== undefined && text !== gnu)
		refuseAci(source, `${quote(text)} has two names`);
	return text ?? gnu ?? short;
}

interface Body {
	readonly size: number;
	readonly chunks: EntryBody;
	/** At most that many of the bytes that remain. */
	take(maxBytes: number): Promise<Buffer>;
	/** Passes over what was not read and over the padding, if all of it is here. */
	finishNow(): boolean;
	/** The same, waiting for it. */
	finish(): Promise<void>;
}

function createBody(reader: ByteReader, size: number, source: string): Body {
	let remaining = size;
	const take = async (maxBytes: number): Promise<Buffer> => {
		const chunk = await reader.chunk(Math.min(maxBytes, remaining));
		if (chunk === undefined) return refuseTruncated(source, "inside a file");
		remaining -= chunk.length;
		return chunk;
	};
	async function* chunks(): AsyncGenerator<Buffer> {
		while (remaining > 0) yield await take(remaining);
	}
	const rest = (): number => remaining + (-size & (BLOCK - 1));
	const finish = async (): Promise<void> => {
		const left = rest();
		if ((await reader.skip(left)) < left) refuseTruncated(source, "inside a file");
	};
	return {
		size,
		chunks: { [Symbol.asyncIterator]: chunks },
		take,
		finishNow: () => reader.skipNow(rest()),
		finish,
	};
}
