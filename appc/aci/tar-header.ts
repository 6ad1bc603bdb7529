/** The fields of one 512-byte header as they stand there; names are bytes written as Latin-1. */
export interface RawHeader {
	readonly name: string;
	readonly linkName: string;
	/** The type flag as a character; `0` for the NUL of old archives. */
	readonly flag: string;
	readonly mode: number;
	readonly uid: number;
	readonly gid: number;
	readonly size: number;
	readonly mtime: number;
	readonly major: number;
	readonly minor: number;
}

export const BLOCK = 512;
const ZERO_BLOCK = Buffer.alloc(BLOCK);

export function isZeroBlock(block: Buffer): boolean {
	return block[0] === 0 && block.equals(ZERO_BLOCK);
}

/**
 * Decodes a header of the formats ustar, pax and GNU (POSIX pax(1), GNU tar manual "Basic Tar Format").
 * Returns what is wrong with it instead when the check sum, a number or the format is bad.
 */
export function decodeHeader(block: Buffer): RawHeader | string {
	if (!checksumMatches(block)) return "a header has a wrong check sum";
	const magic = block.toString("latin1", 257, 265);
	const gnu = magic === "ustar  \0";
	if (!gnu && magic.slice(0, 6) !== "ustar\0") return "a header is neither ustar, pax nor GNU";
	const device = block[156] === 0x33 || block[156] === 0x34;
	const header: RawHeader = {
		name: fullName(block, gnu),
		linkName: textField(block, 157, 100),
		flag: String.fromCharCode(block[156] || 0x30),
		mode: numberField(block, 100, 8),
		uid: numberField(block, 108, 8),
		gid: numberField(block, 116, 8),
		size: numberField(block, 124, 12),
		mtime: numberField(block, 136, 12),
		major: device ? numberField(block, 329, 8) : 0,
		minor: device ? numberField(block, 337, 8) : 0,
	};
	const { mode, uid, gid, size, mtime, major, minor } = header;
	const malformed = Number.isNaN(mode + uid + gid + size + mtime + major + minor);
	return malformed ? "a header holds a malformed number" : header;
}

/** GNU headers keep other things where ustar has the leading directories of a name; star's prefix is shorter. */
function fullName(block: Buffer, gnu: boolean): string {
	const name = textField(block, 0, 100);
	if (gnu || block[345] === 0) return name;
	const star = block.toString("latin1", 508, 512) === "tar\0";
	return `${textField(block, 345, star ? 131 : 155)}/${name}`;
}

function textField(block: Buffer, start: number, length: number): string {
	const end = block.indexOf(0, start);
	return block.toString("latin1", start, end === -1 || end > start + length ? start + length : end);
}

/** Octal digits between spaces and NULs, or GNU's base 256; NaN when it is neither or beyond 2⁵³. */
export function numberField(block: Buffer, start: number, length: number): number {
	const first = block[start] ?? 0;
	if (first & 0x80) return binaryNumber(block.subarray(start, start + length));
	let at = start;
	const end = start + length;
	while (at < end && block[at] === 0x20) at++;
	let value = 0;
	for (; at < end; at++) {
		const digit = (block[at] ?? 0) - 0x30;
		if (digit < 0 || digit > 7) break;
		value = value * 8 + digit;
	}
	for (; at < end; at++) if (block[at] !== 0x20 && block[at] !== 0) return Number.NaN;
	return value;
}

function binaryNumber(field: Buffer): number {
	const bits = BigInt(field.length * 8 - 1);
	const value = BigInt.asIntN(Number(bits), BigInt(`0x${field.toString("hex")}`));
	const number = Number(value);
	return Number.isSafeInteger(number) ? number : Number.NaN;
}

/** The sum of all bytes with the field itself as spaces; some old programs summed signed bytes. */
function checksumMatches(block: Buffer): boolean {
	let unsigned = 8 * 0x20;
	let high = 0;
	for (let i = 0; i < BLOCK; i++) {
		if (i === 148) i = 156;
		const byte = block[i] ?? 0;
		unsigned += byte;
		if (byte > 127) high++;
	}
	const stored = numberField(block, 148, 8);
	return stored === unsigned || stored === unsigned - 256 * high;
}
