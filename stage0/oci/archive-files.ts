import * as fs from "node:fs";
import * as path from "node:path";
import { decompress, formatOf, sniff } from "../../appc/aci/decompress.ts";
import { expand } from "../../appc/aci/expand.ts";
import { DEFAULT_ACI_LIMITS } from "../../appc/aci/limits.ts";
import { refuseSize } from "../../appc/aci/refuse.ts";
import { findMember, indexTar } from "../../appc/oci/tar-index.ts";
import { fail, isErrno } from "../../lib/errors.ts";
import { randomSuffix } from "../../lib/files.ts";
import type { ImageFiles } from "./image-files.ts";
import { missingFile } from "./read-file.ts";

const READ_BYTES = 256 * 1024;
const TAR_MAGIC = { offset: 257, text: "ustar" };

/**
 * The files of a tar archive, compressed or not. A compressed one is expanded into `temporaryDirectory` first, because
 * the files are read in another order than they stand there.
 * Errors: `file-not-found`, `disk-full`, those of {@link decompress} and {@link indexTar}.
 */
export async function archiveFiles(file: string, temporaryDirectory: string): Promise<ImageFiles> {
	const stored = openArchive(file);
	const fd = isPlainTar(stored) ? stored : await expandedCopy(stored, file, temporaryDirectory);
	try {
		const { size } = fs.fstatSync(fd);
		const read = (offset: number, length: number) => readAt(fd, offset, length);
		const members = await indexTar({ size, read }, file);
		const files: ImageFiles = {
			source: file,
			size: (name) => findMember(members, name)?.size,
			open: (name) => {
				const member = findMember(members, name);
				if (!member) throw missingFile(files, name);
				return readMember(fd, member.offset, member.size);
			},
			close: async () => fs.closeSync(fd),
		};
		return files;
	} catch (error) {
		fs.closeSync(fd);
		throw error;
	}
}

function openArchive(file: string): number {
	let fd: number;
	try {
		// Without O_NONBLOCK, opening a FIFO would wait for a writer.
		fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
	} catch (error) {
		if (!isErrno(error, "ENOENT", "ENOTDIR", "EACCES")) throw error;
		return fail("file-not-found", `cannot open the image archive ${file}`, { cause: error });
	}
	if (fs.fstatSync(fd).isFile()) return fd;
	fs.closeSync(fd);
	return fail("file-not-found", `${file} is not a regular file`);
}

function isPlainTar(fd: number): boolean {
	const head = readAt(fd, 0, 512);
	const { offset, text } = TAR_MAGIC;
	return head.toString("latin1", offset, offset + text.length) === text;
}

/** A file without a name. Takes over `stored`. */
async function expandedCopy(stored: number, source: string, directory: string): Promise<number> {
	const { size } = fs.fstatSync(stored);
	const input = fs.createReadStream("", { fd: stored, start: 0, highWaterMark: READ_BYTES });
	const name = path.join(directory, `expand-${process.pid}-${randomSuffix()}`);
	const fd = fs.openSync(name, "wx+", 0o600);
	fs.rmSync(name);
	try {
		await writeChunks(fd, await expanded(input as AsyncIterable<Buffer>, source), size, source);
		return fd;
	} catch (error) {
		fs.closeSync(fd);
		if (!isErrno(error, "ENOSPC", "EDQUOT", "EFBIG")) throw error;
		return fail("disk-full", `no space left to expand ${source} in ${directory}`, {
			hint: "make room on the file system of the data directory, for example with rkt image gc",
			cause: error,
		});
	} finally {
		input.destroy();
	}
}

/** Programs of today compress such archives with zstd too, which ACIs may not be. */
async function expanded(input: AsyncIterable<Buffer>, source: string): Promise<AsyncIterable<Buffer>> {
	const { head, chunks } = await sniff(input);
	if (formatOf(head) === "zstd") return expand("zstd", chunks, source);
	return (await decompress(chunks, source)).chunks;
}

async function writeChunks(
	fd: number,
	chunks: AsyncIterable<Buffer>,
	packedSize: number,
	source: string,
): Promise<void> {
	const { maxExpandedBytes, maxRatio, ratioFloorBytes } = DEFAULT_ACI_LIMITS;
	let size = 0;
	for await (const chunk of chunks) {
		size += chunk.length;
		if (size > maxExpandedBytes) refuseSize(source, `more than ${maxExpandedBytes} bytes when expanded`);
		if (size > ratioFloorBytes && size > packedSize * maxRatio) {
			refuseSize(source, `it expands to more than ${maxRatio} times its size`);
		}
		for (let at = 0; at < chunk.length; ) at += fs.writeSync(fd, chunk, at);
	}
}

function* memberChunks(fd: number, offset: number, size: number): Generator<Buffer> {
	for (let at = 0; at < size; ) {
		const chunk = readAt(fd, offset + at, Math.min(READ_BYTES, size - at));
		if (chunk.length === 0) return;
		at += chunk.length;
		yield chunk;
	}
}

async function* readMember(fd: number, offset: number, size: number): AsyncGenerator<Buffer> {
	yield* memberChunks(fd, offset, size);
}

/** Fewer bytes at the end of the file. */
function readAt(fd: number, offset: number, length: number): Buffer {
	const buffer = Buffer.allocUnsafe(length);
	let filled = 0;
	while (filled < length) {
		const count = fs.readSync(fd, buffer, filled, length - filled, offset + filled);
		if (count === 0) break;
		filled += count;
	}
	return buffer.subarray(0, filled);
}
