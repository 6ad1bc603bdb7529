import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import * as path from "node:path";
import { createGunzip, type ZlibOptions } from "node:zlib";
import { messageOf, RktError } from "../../lib/errors.ts";
import { startFeed } from "./feed.ts";
import { refuseAci, refuseTruncated } from "./refuse.ts";

export type Compression = "gzip" | "bzip2" | "xz" | "none";

const SNIFFED = 512;
/** What zlib produces at once. Smaller pieces cost calls, larger ones fall out of the processor's cache. */
const GUNZIP_CHUNK = 256 * 1024;

interface Format {
	readonly compression: Compression | "zstd";
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

function formatOf(head: Buffer): Compression | "zstd" | undefined {
	return FORMATS.find(({ offset, magic }) => head.subarray(offset, offset + magic.length).equals(magic))
		?.compression;
}

interface Sniffed {
	readonly head: Buffer;
	readonly chunks: AsyncIterable<Buffer>;
	/** Lets go of the stream when `chunks` are not wanted. */
	close(): Promise<void>;
}

/** The first bytes of a stream, and the whole stream again. */
async function sniff(input: AsyncIterable<Buffer>): Promise<Sniffed> {
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

function expand(
	compression: "gzip" | "bzip2" | "xz",
	input: AsyncIterable<Buffer>,
	source: string,
): AsyncIterable<Buffer> {
	switch (compression) {
		case "gzip":
			return gunzip(input, source);
		case "xz":
			// A dictionary may claim 4 GiB; xz -9 needs 65 MiB.
			return filter(
				"xz",
				["--decompress", "--stdout", "--format=xz", "--memlimit-decompress=512MiB"],
				input,
				source,
			);
		case "bzip2":
			return filter("bzip2", ["--decompress", "--stdout"], input, source);
	}
}

async function* gunzip(input: AsyncIterable<Buffer>, source: string): AsyncGenerator<Buffer> {
	// The large high-water mark lets zlib's thread work on while this one hashes.
	const options: ZlibOptions & { highWaterMark: number } = {
		chunkSize: GUNZIP_CHUNK,
		highWaterMark: 8 * GUNZIP_CHUNK,
	};
	const engine = createGunzip(options);
	const feed = startFeed(input, engine);
	try {
		yield* engine as AsyncIterable<Buffer>;
	} catch (error) {
		feed.check();
		throw gzipError(error, source);
	} finally {
		engine.destroy();
	}
	feed.check();
	if (engine.bytesWritten !== feed.bytes()) refuseAci(source, "data follows the end of the gzip data");
}

function gzipError(error: unknown, source: string): unknown {
	const code = (error as NodeJS.ErrnoException).code ?? "";
	if (code === "Z_BUF_ERROR") return caught(() => refuseTruncated(source, "inside the gzip data"));
	if (!code.startsWith("Z_")) return error;
	return caught(() => refuseAci(source, `the gzip data is damaged (${messageOf(error)})`));
}

function caught(thrower: () => never): unknown {
	try {
		return thrower();
	} catch (error) {
		return error;
	}
}

/** Sends a stream through a program of the host. The program is killed when nobody reads on. */
async function* filter(
	name: string,
	args: readonly string[],
	input: AsyncIterable<Buffer>,
	source: string,
): AsyncGenerator<Buffer> {
	const child = spawn(findProgram(name), args, {
		stdio: "pipe",
		env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
	});
	const exit = once(child, "close") as Promise<[number | null]>;
	const feed = startFeed(input, child.stdin);
	let complaint = "";
	child.stderr.on("data", (text: Buffer) => {
		if (complaint.length < 1000) complaint += text.toString("latin1");
	});
	try {
		yield* child.stdout as AsyncIterable<Buffer>;
		const [status] = await exit;
		feed.check();
		if (status !== 0) refuseProgram(name, complaint, source);
	} finally {
		child.kill("SIGKILL");
		child.stdin.destroy();
	}
}

function refuseProgram(name: string, complaint: string, source: string): never {
	if (/unexpected end|ends unexpectedly/i.test(complaint)) refuseTruncated(source, `inside the ${name} data`);
	const line = complaint
		.split("\n")
		.find((text) => text.trim() !== "")
		?.trim();
	return refuseAci(source, `the ${name} data is damaged (${line ?? "no reason given"})`);
}

/** The absolute path of a program of the host. Errors: `program-missing`. */
function findProgram(name: string): string {
	const directories = (process.env.PATH ?? "").split(":").filter((directory) => directory.startsWith("/"));
	for (const directory of [...directories, "/usr/bin", "/bin"]) {
		const file = path.join(directory, name);
		try {
			accessSync(file, constants.X_OK);
			return file;
		} catch {
			// Not in this directory.
		}
	}
	throw new RktError("program-missing", `the program ${name} is needed to read this image`, {
		hint: `install ${name}`,
	});
}
