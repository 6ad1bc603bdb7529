import type { DataRange, EntryType, TarEntry } from "./entry.ts";
import { encodePax, formatPaxTime, xattrKeyword } from "./pax.ts";
import { BLOCK } from "./tar-header.ts";

const FLAGS: Record<EntryType, string> = {
	file: "0",
	hardlink: "1",
	symlink: "2",
	"character-device": "3",
	"block-device": "4",
	directory: "5",
	fifo: "6",
};

/** Largest values of the octal fields of 7 and 11 digits. */
const LARGEST_SHORT = 0o7777777;
const LARGEST_LONG = 0o77777777777;

/**
 * The header blocks of an entry in the pax format (POSIX pax(1)): one extended header where the short fields do not
 * hold everything, then the header itself. The same entry always gives the same bytes.
 */
export function encodeEntry(entry: TarEntry): Buffer {
	const name = entry.type === "directory" ? `${entry.path}/` : entry.path;
	const records = paxRecords(entry, name);
	if (entry.data) return encodeSparse(entry, entry.data, records);
	return encodeParts(entry, name, records);
}

/** What of a file follows its header: the whole content, or the data of a sparse file. */
export function storedBytes({ size, data }: TarEntry): number {
	return data ? data.reduce((sum, { length }) => sum + length, 0) : size;
}

/** Version 1.0 of GNU's sparse files: the true name and size in the extended header, the map in front of the data. */
function encodeSparse(entry: TarEntry, data: readonly DataRange[], records: Map<string, Buffer>): Buffer {
	const end = data.at(-1);
	const covered = end ? end.offset + end.length : 0;
	// An empty range at the end makes tar give the file its length.
	const ranges = covered < entry.size || !end ? [...data, { offset: entry.size, length: 0 }] : data;
	const lines = ranges.map(({ offset, length }) => `${offset}\n${length}\n`);
	const map = Buffer.from(`${ranges.length}\n${lines.join("")}`);
	const mapBlocks = Buffer.concat([map, padding(map.length)]);
	const size = mapBlocks.length + storedBytes(entry);
	records.set("GNU.sparse.major", Buffer.from("1"));
	records.set("GNU.sparse.minor", Buffer.from("0"));
	records.set("GNU.sparse.name", Buffer.from(entry.path));
	records.set("GNU.sparse.realsize", Buffer.from(String(entry.size)));
	records.delete("path");
	records.delete("size");
	if (size > LARGEST_LONG) records.set("size", Buffer.from(String(size)));
	return Buffer.concat([encodeParts({ ...entry, size }, "GNUSparseFile.0", records), mapBlocks]);
}

function encodeParts(entry: TarEntry, name: string, records: ReadonlyMap<string, Buffer>): Buffer {
	const header = encodeHeader(entry, name, FLAGS[entry.type]);
	if (records.size === 0) return header;
	const data = encodePax(records);
	const pax: TarEntry = {
		path: "././@PaxHeader",
		type: "file",
		mode: 0o644,
		uid: 0,
		gid: 0,
		size: data.length,
		mtimeNs: 0n,
	};
	return Buffer.concat([encodeHeader(pax, pax.path, "x"), data, padding(data.length), header]);
}

/** The zeros that follow `size` bytes of content. */
export function padding(size: number): Buffer {
	return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** The two zero blocks at the end of an archive. */
export const END_OF_ARCHIVE: Buffer = Buffer.alloc(2 * BLOCK);

function paxRecords(entry: TarEntry, name: string): Map<string, Buffer> {
	const records = new Map<string, Buffer>();
	const { linkTarget = "", mtimeNs } = entry;
	if (!fitsName(name)) records.set("path", Buffer.from(name));
	if (!fitsName(linkTarget)) records.set("linkpath", Buffer.from(linkTarget));
	if (entry.size > LARGEST_LONG) records.set("size", Buffer.from(String(entry.size)));
	if (entry.uid > LARGEST_SHORT) records.set("uid", Buffer.from(String(entry.uid)));
	if (entry.gid > LARGEST_SHORT) records.set("gid", Buffer.from(String(entry.gid)));
	if (mtimeNs % 1_000_000_000n !== 0n || shortTime(mtimeNs) === undefined) {
		records.set("mtime", Buffer.from(formatPaxTime(mtimeNs)));
	}
	const xattrs = [...(entry.xattrs ?? [])].sort(([one], [other]) => (one < other ? -1 : 1));
	for (const [key, value] of xattrs) records.set(xattrKeyword(key), value);
	return records;
}

function fitsName(name: string): boolean {
	return name.length <= 100 && /^[ -~]*$/.test(name);
}

function shortTime(mtimeNs: bigint): number | undefined {
	const seconds = mtimeNs / 1_000_000_000n;
	return mtimeNs >= 0n && seconds <= BigInt(LARGEST_LONG) ? Number(seconds) : undefined;
}

/** Fields that do not fit hold what old programs survive: a cut name, 0. The extended header has the truth. */
function encodeHeader(entry: TarEntry, name: string, flag: string): Buffer {
	const block = Buffer.alloc(BLOCK);
	const octal = (value: number, at: number, digits: number): void => {
		const fitting = value < 8 ** digits ? value : 0;
		block.write(fitting.toString(8).padStart(digits, "0"), at, "latin1");
	};
	block.write(name, 0, 100, "utf8");
	octal(entry.mode, 100, 7);
	octal(entry.uid, 108, 7);
	octal(entry.gid, 116, 7);
	octal(entry.size, 124, 11);
	octal(shortTime(entry.mtimeNs) ?? 0, 136, 11);
	block.write(flag, 156, "latin1");
	block.write(entry.linkTarget ?? "", 157, 100, "utf8");
	block.write("ustar\0" + "00", 257, "latin1");
	octal(entry.device?.major ?? 0, 329, 7);
	octal(entry.device?.minor ?? 0, 337, 7);
	block.fill(" ", 148, 156);
	const sum = block.reduce((total, byte) => total + byte, 0);
	block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
	return block;
}
