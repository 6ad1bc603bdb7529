import { expand } from "./expand.ts";
import { refuseAci, refuseTruncated } from "./refuse.ts";

export type Compression = "gzip" | "bzip2" | "xz" | "none";

const SNIFFED = 512;

export type KnownFormat = Compression | "zstd";

interface Format {
	readonly compression: KnownFormat;
	readonly offset: number;
	readonly magic: Buffer;
}

/** image.md §1: what the first 512 bytes of an image may be. */
const FORMATS: readonly Format[] = [
	{ compression: "gzip", offset: 0, magic: Buffer.from("1f8b", "hex") },
	{ compression: "bzip2", offset: 0, magic: Buffer.from("BZh") },
	{ compression: "xz", offset: 0, magic: Buffer.from("fd377a585a00", "hex") },
	{ compression: "zstd", offset: 0, magic: Buffer.from("28b52ffd", "hex") },
	{ compression: "none", offset: 257, magic: Buffer.from("ustar") },
];

export interface Decompressed {
	readonly compression: Compression;
	readonly chunks: AsyncIterable<Buffer>;
}

/**
 * The tar stream inside `input`, whichever of the compressions of the specification it has. What is compressed
 * twice, or is no archive inside, is refused. Errors: `aci-invalid`, `aci-truncated`, `program-missing`.
 */
export async function decompress(input: AsyncIterable<Buffer>, source: string): Promise<Decompressed> {
	const outer = await sniff(input);
	const compression = formatOf(outer.head);
	if (compression === undefined || compression === "zstd") {
		await outer.close();
		return refuseFormat(outer.head, compression, source);
	}
	if (compression === "none") return { compression, chunks: outer.chunks };
	const inner = await sniff(expand(compression, outer.chunks, source));
	const innerFormat = formatOf(inner.head);
	const tooShort = innerFormat === undefined && inner.head.length < SNIFFED;
	if (innerFormat === "none" || tooShort) return { compression, chunks: inner.chunks };
	await inner.close();
	const problem =
		innerFormat === undefined ? `the ${compression} data holds no tar archive` : "it is compressed twice";
	return refuseAci(source, problem);
}

function refuseFormat(head: Buffer, format: "zstd" | undefined, source: string): never {
	if (format === "zstd")
		refuseAci(source, "it is compressed with zstd, which the App Container format lacks");
	if (head.length === 0) refuseTruncated(source, "before it begins");
	return refuseAci(source, "it is neither a tar archive nor one compressed with gzip, bzip2 or xz");
}

/** What data that begins with these bytes is. */
export function formatOf(head: Buffer): KnownFormat | undefined {
	return FORMATS.find(({ offset, magic }) => head.subarray(offset, offset + magic.length).equals(magic))
		?.compression;
}

export interface Sniffed {
	readonly head: Buffer;
	readonly chunks: AsyncIterable<Buffer>;
	/** Lets go of the stream when `chunks` are not wanted. */
	close(): Promise<void>;
}

/** The first bytes of a stream, and the whole stream again. */
export async function sniff(input: AsyncIterable<Buffer>): Promise<Sniffed> {
	const iterator = input[Symbol.asyncIterator]();
	const first: Buffer[] = [];
	for (let length = 0; length < SNIFFED; ) {
		const { done, value } = await iterator.next();
		if (done) break;
		first.push(value);
		length += value.length;
	}
	async function* chunks(): AsyncGenerator<Buffer> {
		try {
			yield* first;
			for (;;) {
				const { done, value } = await iterator.next();
				if (done) return;
				yield value;
			}
		} finally {
			await iterator.return?.();
		}
	}
	const close = async (): Promise<void> => {
		await iterator.return?.();
	};
	return {
		head: Buffer.concat(first).subarray(0, SNIFFED),
		chunks: { [Symbol.asyncIterator]: chunks },
		close,
	};
}
