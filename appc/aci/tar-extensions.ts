import { quote } from "../types/quote.ts";
import type { ByteReader } from "./byte-reader.ts";
import { type PaxRecords, parsePax } from "./pax.ts";
import { refuseAci, refuseTruncated } from "./refuse.ts";
import { BLOCK, type RawHeader } from "./tar-header.ts";

/** Longest extended header: several extended attributes of the 64 KiB that Linux allows, and a path. */
const PAX_LIMIT = 1024 * 1024;
/** Longest name that GNU tar may give: PATH_MAX with its NUL. */
const LONG_NAME_LIMIT = 4096;

/** What the headers before an entry say about it. Names are bytes written as Latin-1. */
export interface Extensions {
	pax?: PaxRecords;
	longName?: string;
	longLink?: string;
}

export const NO_EXTENSIONS: Extensions = {};

/** The extensions of the next entry with one more header of the flags x, g, L or K. Errors: `aci-invalid`, `aci-truncated`. */
export async function extend(
	reader: Pick<ByteReader, "read">,
	header: RawHeader,
	extensions: Extensions,
	source: string,
): Promise<Extensions> {
	const long = header.flag === "L" || header.flag === "K";
	const limit = long ? LONG_NAME_LIMIT : PAX_LIMIT;
	if (header.size < 0 || header.size > limit) {
		refuseAci(source, `an extended header of ${header.size} bytes, at most ${limit} are allowed`);
	}
	const data = await readPadded(reader, header.size, source);
	if (long) return extendName(header.flag, data, extensions, source);
	const records = parsePax(data);
	if (typeof records === "string") return refuseAci(source, records);
	checkRecords(records, header.flag === "g", source);
	if (header.flag === "g") return extensions;
	if (extensions.pax) refuseAci(source, "two extended headers for one entry");
	return { ...extensions, pax: records };
}

function extendName(flag: string, data: Buffer, extensions: Extensions, source: string): Extensions {
	const member = flag === "L" ? "longName" : "longLink";
	if (extensions[member] !== undefined) refuseAci(source, "two long names for one entry");
	const end = data.indexOf(0);
	return { ...extensions, [member]: data.toString("latin1", 0, end === -1 ? data.length : end) };
}

async function readPadded(reader: Pick<ByteReader, "read">, size: number, source: string): Promise<Buffer> {
	const padded = Math.ceil(size / BLOCK) * BLOCK;
	const data = await reader.read(padded);
	if (data.length < padded) refuseTruncated(source, "inside an extended header");
	return Buffer.from(data.subarray(0, size));
}

/** Sparse files and types of star, which no other program reads. */
const STAR = /^SCHILY\.(?:realsize|filetype|devmajor|devminor)$/;
const MEANINGFUL = /^(?:path|linkpath|size|uid|gid|hdrcharset|GNU\.|SCHILY\.|LIBARCHIVE\.)/;

function checkRecords(records: PaxRecords, global: boolean, source: string): void {
	for (const keyword of records.keys()) {
		if (STAR.test(keyword)) refuseAci(source, `the extended header ${quote(keyword)} is not supported`);
		if (global && MEANINGFUL.test(keyword)) {
			refuseAci(source, `the extended header ${quote(keyword)} may not apply to the whole archive`);
		}
	}
}
