/** A header field by field, so that tests can put anything into it. Text is Latin-1. */
export interface RawFields {
	readonly name?: string;
	readonly flag?: string;
	readonly mode?: string;
	readonly uid?: string | Buffer;
	readonly gid?: string | Buffer;
	/** Default: the octal length of the body. */
	readonly size?: string | Buffer;
	readonly mtime?: string | Buffer;
	readonly link?: string;
	readonly magic?: string;
	readonly major?: number;
	readonly minor?: number;
	readonly prefix?: string;
	readonly trailer?: string;
	/** Default: the right sum. */
	readonly checksum?: number;
	readonly body?: string | Buffer;
}

/** One header block and its padded body. */
export function tarEntry(fields: RawFields): Buffer {
	const body = Buffer.from(fields.body ?? "");
	const block = Buffer.alloc(512);
	const put = (value: string | Buffer, at: number, length: number): void => {
		(Buffer.isBuffer(value) ? value : Buffer.from(value, "latin1")).copy(block, at, 0, length);
	};
	put(fields.name ?? "", 0, 100);
	put(fields.mode ?? "0000644\0", 100, 8);
	put(fields.uid ?? "0000000\0", 108, 8);
	put(fields.gid ?? "0000000\0", 116, 8);
	put(fields.size ?? `${octal(body.length, 11)}\0`, 124, 12);
	put(fields.mtime ?? "00000000000\0", 136, 12);
	put(fields.flag ?? "0", 156, 1);
	put(fields.link ?? "", 157, 100);
	put(fields.magic ?? "ustar\x0000", 257, 8);
	put(`${octal(fields.major ?? 0, 7)}\0`, 329, 8);
	put(`${octal(fields.minor ?? 0, 7)}\0`, 337, 8);
	put(fields.prefix ?? "", 345, 155);
	put(fields.trailer ?? "", 508, 4);
	block.fill(" ", 148, 156);
	const sum = fields.checksum ?? block.reduce((total, byte) => total + byte, 0);
	put(`${octal(sum, 6)}\0 `, 148, 8);
	return Buffer.concat([block, body, Buffer.alloc(-body.length & 511)]);
}

export function octal(value: number, digits: number): string {
	return value.toString(8).padStart(digits, "0");
}

/** GNU's base 256 in a field of this length. */
export function base256(value: bigint, length: number): Buffer {
	const field = Buffer.from(
		BigInt.asUintN(length * 8 - 1, value)
			.toString(16)
			.padStart(length * 2, "0"),
		"hex",
	);
	field[0] = (field[0] ?? 0) | 0x80;
	return field;
}

/** `KEYWORD=VALUE` records with their lengths; values as Latin-1. */
export function paxRecords(records: Readonly<Record<string, string>>): Buffer {
	const lines = Object.entries(records).map(([keyword, value]) => {
		const rest = ` ${keyword}=${value}\n`;
		let length = rest.length + 1;
		while (String(length).length + rest.length !== length) length++;
		return `${length}${rest}`;
	});
	return Buffer.from(lines.join(""), "latin1");
}

export function paxHeader(records: Readonly<Record<string, string>>, flag = "x"): Buffer {
	return tarEntry({ name: "PaxHeader", flag, body: paxRecords(records) });
}

/** A name too long for a header, as GNU tar writes it: flag L for names, K for link targets. */
export function gnuLong(text: string, flag = "L"): Buffer {
	return tarEntry({ name: "././@LongLink", flag, magic: "ustar  \0", body: `${text}\0` });
}

export const TAR_END: Buffer = Buffer.alloc(1024);

export const MANIFEST_TEXT = '{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/app"}';
export const MANIFEST_ENTRY: Buffer = tarEntry({ name: "manifest", body: MANIFEST_TEXT });
export const ROOTFS_ENTRY: Buffer = tarEntry({ name: "rootfs/", flag: "5", mode: "0000755\0" });

/** A whole image: manifest, rootfs, these blocks, the end mark. */
export function aciBytes(...blocks: Buffer[]): Buffer {
	return Buffer.concat([MANIFEST_ENTRY, ROOTFS_ENTRY, ...blocks, TAR_END]);
}

/** The bytes in pieces of a size, as a stream. */
export async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
	for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
