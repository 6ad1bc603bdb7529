/** Extended header records: keywords as Latin-1, values as bytes. */
export type PaxRecords = ReadonlyMap<string, Buffer>;

const SPACE = 0x20;
const NEWLINE = 0x0a;

/** Reads `LENGTH KEYWORD=VALUE\n` records (POSIX pax(1), "pax Header Block"). Returns what is wrong instead when they are malformed. */
export function parsePax(data: Buffer): PaxRecords | string {
	const records = new Map<string, Buffer>();
	const sparse: [keyword: string, value: Buffer][] = [];
	let at = 0;
	while (at < data.length) {
		if (data[at] === 0 && data.subarray(at).every((byte) => byte === 0)) break;
		const space = data.indexOf(SPACE, at);
		const length = space === -1 ? Number.NaN : decimal(data.toString("latin1", at, space));
		const end = at + length;
		const equals = data.indexOf(0x3d, space);
		if (!(end <= data.length) || equals === -1 || equals >= end || data[end - 1] !== NEWLINE) {
			return "an extended header is malformed";
		}
		const keyword = data.toString("latin1", space + 1, equals);
		const value = data.subarray(equals + 1, end - 1);
		at = end;
		if (keyword === SPARSE_OFFSET || keyword === SPARSE_LENGTH) sparse.push([keyword, value]);
		else if (records.has(keyword)) return "an extended header has a keyword twice";
		else records.set(keyword, value);
	}
	return sparse.length === 0 ? records : withSparseMap(records, sparse);
}

const SPARSE_OFFSET = "GNU.sparse.offset";
const SPARSE_LENGTH = "GNU.sparse.numbytes";
const SPARSE_MAP = "GNU.sparse.map";

/** Version 0.0 of sparse files alone repeats keywords, in turn; joined, they are the map of version 0.1. */
function withSparseMap(
	records: Map<string, Buffer>,
	pairs: readonly (readonly [keyword: string, value: Buffer])[],
): PaxRecords | string {
	const inTurn = pairs.every(
		([keyword], index) => keyword === (index % 2 === 0 ? SPARSE_OFFSET : SPARSE_LENGTH),
	);
	if (!inTurn || pairs.length % 2 !== 0 || records.has(SPARSE_MAP)) {
		return "an extended header has a malformed map of a sparse file";
	}
	const map = pairs.map(([, value]) => value.toString("latin1")).join(",");
	return records.set(SPARSE_MAP, Buffer.from(map, "latin1"));
}

function decimal(text: string): number {
	return /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
}

export function encodePax(records: PaxRecords): Buffer {
	return Buffer.concat([...records].map(([keyword, value]) => encodeRecord(keyword, value)));
}

function encodeRecord(keyword: string, value: Buffer): Buffer {
	const rest = keyword.length + value.length + 3;
	let length = rest + String(rest).length;
	if (String(length).length > String(rest).length) length++;
	return Buffer.concat([Buffer.from(`${length} ${keyword}=`, "latin1"), value, Buffer.from("\n")]);
}

/** A whole number, or undefined. */
export function paxInteger(value: Buffer): number | undefined {
	const text = value.toString("latin1");
	return /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Seconds with a fraction, in nanoseconds; undefined when malformed. */
export function paxTime(value: Buffer): bigint | undefined {
	const match = /^(-?)([0-9]{1,12})(?:\.([0-9]*))?$/.exec(value.toString("latin1"));
	if (match === null) return undefined;
	const [, sign, seconds = "", fraction = ""] = match;
	const nanoseconds = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
	return sign === "-" ? -nanoseconds : nanoseconds;
}

export function formatPaxTime(nanoseconds: bigint): string {
	const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds;
	const fraction = String(magnitude % 1_000_000_000n)
		.padStart(9, "0")
		.replace(/0+$/, "");
	const text = `${magnitude / 1_000_000_000n}${fraction && `.${fraction}`}`;
	return nanoseconds < 0n ? `-${text}` : text;
}

const XATTR = "SCHILY.xattr.";

/** Extended attributes among the records. GNU tar writes `=` and `%` of their names as `%3D` and `%25`. */
export function paxXattrs(records: PaxRecords): Map<string, Buffer> {
	const xattrs = new Map<string, Buffer>();
	for (const [keyword, value] of records) {
		if (!keyword.startsWith(XATTR)) continue;
		const name = keyword.slice(XATTR.length).replaceAll("%3D", "=").replaceAll("%25", "%");
		xattrs.set(Buffer.from(name, "latin1").toString("utf8"), value);
	}
	return xattrs;
}

/** The keyword of an extended attribute, as Latin-1. */
export function xattrKeyword(name: string): string {
	const bytes = Buffer.from(name.replaceAll("%", "%25").replaceAll("=", "%3D"));
	return XATTR + bytes.toString("latin1");
}
