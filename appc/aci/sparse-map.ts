import type { ByteReader } from "./byte-reader.ts";
import type { DataRange } from "./entry.ts";
import { type PaxRecords, paxInteger } from "./pax.ts";
import { refuseAci, refuseTruncated } from "./refuse.ts";
import { BLOCK, numberField, type RawHeader } from "./tar-header.ts";

/** A file whose holes are not in the archive. */
export interface SparseFile {
	/** Where the name does not stand where other files have it; bytes written as Latin-1. */
	readonly name: string | undefined;
	/** With its holes. */
	readonly size: number;
	/** In order, none of them empty. */
	readonly ranges: readonly DataRange[];
	/** Bytes of data that follow in the archive. */
	readonly stored: number;
}

/** Of the map alone: 40,000 ranges and more. GNU tar writes one for each piece of data, so that real files have a few. */
const MAX_MAP_BYTES = 1024 * 1024;
const OLD_FLAG = "S";

export function isSparse({ flag }: Pick<RawHeader, "flag">, pax: PaxRecords | undefined): boolean {
	return flag === OLD_FLAG || (pax !== undefined && hasPaxMap(pax));
}

function hasPaxMap(pax: PaxRecords): boolean {
	for (const keyword of pax.keys()) if (keyword.startsWith("GNU.sparse.")) return true;
	return false;
}

/**
 * The map of a sparse file in one of the four formats of GNU tar: the old one and the versions 0.0, 0.1 and 1.0 of pax
 * (GNU tar manual, "Sparse Formats"). What of it lies between the header `block` and the data is read. `body` is the size
 * of the body by the header. Errors: `aci-invalid`, `aci-truncated`.
 */
export async function readSparseFile(
	reader: Pick<ByteReader, "read">,
	block: Buffer,
	{
		header,
		pax,
		body,
	}: { readonly header: RawHeader; readonly pax: PaxRecords | undefined; readonly body: number },
	source: string,
): Promise<SparseFile> {
	const file =
		pax && hasPaxMap(pax)
			? await readPaxMap(reader, pax, header.flag, body, source)
			: await readOldMap(reader, block, body, source);
	const problem = mapProblem(file);
	if (problem !== undefined) refuseAci(source, `the map of a sparse file ${problem}`);
	return { ...file, ranges: file.ranges.filter(({ length }) => length > 0) };
}

function mapProblem({ ranges, size, stored }: SparseFile): string | undefined {
	let end = 0;
	let data = 0;
	for (const { offset, length } of ranges) {
		if (offset < end) return "is not in order, or its parts overlap";
		end = offset + length;
		data += length;
		if (end > size) return `leaves the file, which has ${size} bytes`;
	}
	return data === stored ? undefined : `has ${data} bytes of data, but the archive ${stored}`;
}

const MAIN_MAP = { at: 386, ranges: 4, more: 482 };
const NEXT_MAP = { at: 0, ranges: 21, more: 504 };
const REAL_SIZE_AT = 483;

/** The map stands in the header, and in as many blocks behind it as it needs. */
async function readOldMap(
	reader: Pick<ByteReader, "read">,
	block: Buffer,
	stored: number,
	source: string,
): Promise<SparseFile> {
	const size = numberField(block, REAL_SIZE_AT, 12);
	if (!(size >= 0)) refuseAci(source, "a sparse file has an impossible size");
	const ranges: DataRange[] = [];
	let more = readOldPart(block, MAIN_MAP, ranges, source);
	for (let bytes = BLOCK; more; bytes += BLOCK) {
		if (bytes > MAX_MAP_BYTES) refuseLongMap(source);
		const next = await reader.read(BLOCK);
		if (next.length < BLOCK) refuseTruncated(source, "inside the map of a sparse file");
		more = readOldPart(next, NEXT_MAP, ranges, source);
	}
	return { name: undefined, size, ranges, stored };
}

/** True when another block follows. */
function readOldPart(block: Buffer, place: typeof MAIN_MAP, ranges: DataRange[], source: string): boolean {
	const more = block[place.more] !== 0;
	for (let index = 0; index < place.ranges; index++) {
		const at = place.at + 24 * index;
		// Programs disagree which of the two says that there are no more.
		const [first, second] = [block[at] === 0, block[at + 12] === 0];
		if (first && second && !more) return false;
		const [offset, length] = [numberField(block, at, 12), numberField(block, at + 12, 12)];
		if (first || second || !(offset >= 0) || !(length >= 0)) refuseMap(source);
		ranges.push({ offset, length });
	}
	return more;
}

async function readPaxMap(
	reader: Pick<ByteReader, "read">,
	pax: PaxRecords,
	flag: string,
	body: number,
	source: string,
): Promise<SparseFile> {
	const text = (keyword: string): string | undefined => pax.get(`GNU.sparse.${keyword}`)?.toString("latin1");
	const version = `${text("major") ?? "0"}.${text("minor") ?? "0"}`;
	if (!["0.0", "0.1", "1.0"].includes(version) || (flag !== "0" && flag !== "7")) {
		return refuseAci(source, `a sparse file of the unknown format ${JSON.stringify(version)} or type`);
	}
	const size = decimal(text("size") ?? text("realsize"));
	if (size === undefined) return refuseAci(source, "a sparse file has an impossible size");
	const name = text("name");
	if (version !== "1.0") {
		const numbers = text("map") ?? "";
		return { name, size, ranges: toRanges(numbers === "" ? [] : numbers.split(","), source), stored: body };
	}
	if (text("map") !== undefined) refuseAci(source, "a sparse file has two maps");
	const { ranges, mapBytes } = await readMapInBody(reader, body, source);
	return { name, size, ranges, stored: body - mapBytes };
}

/** Version 1.0: decimal numbers, each in a line of its own, the first of them the number of ranges; filled up to whole blocks. */
async function readMapInBody(
	reader: Pick<ByteReader, "read">,
	body: number,
	source: string,
): Promise<{ ranges: DataRange[]; mapBytes: number }> {
	const numbers: string[] = [];
	let mapBytes = 0;
	let rest = "";
	let wanted = 1;
	while (numbers.length < wanted) {
		if (mapBytes + BLOCK > body) refuseMap(source);
		if (mapBytes >= MAX_MAP_BYTES) refuseLongMap(source);
		const block = await reader.read(BLOCK);
		if (block.length < BLOCK) refuseTruncated(source, "inside the map of a sparse file");
		mapBytes += BLOCK;
		const lines = (rest + block.toString("latin1")).split("\n");
		rest = lines.pop() ?? "";
		for (const line of lines) numbers.push(line);
		if (numbers.length > 0) wanted = 1 + 2 * (decimal(numbers[0]) ?? refuseMap(source));
	}
	return { ranges: toRanges(numbers.slice(1, wanted), source), mapBytes };
}

function toRanges(numbers: readonly string[], source: string): DataRange[] {
	const ranges: DataRange[] = [];
	for (let index = 0; index < numbers.length; index += 2) {
		const [offset, length] = [decimal(numbers[index]), decimal(numbers[index + 1])];
		if (offset === undefined || length === undefined) return refuseMap(source);
		ranges.push({ offset, length });
	}
	return ranges;
}

function decimal(text = ""): number | undefined {
	return paxInteger(Buffer.from(text, "latin1"));
}

function refuseMap(source: string): never {
	return refuseAci(source, "the map of a sparse file is malformed");
}

function refuseLongMap(source: string): never {
	return refuseAci(source, `the map of a sparse file is longer than ${MAX_MAP_BYTES} bytes`);
}
