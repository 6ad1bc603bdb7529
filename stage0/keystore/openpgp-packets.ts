import { createHash } from "node:crypto";

/** One packet of an OpenPGP message (RFC 4880 section 4). */
export interface Packet {
	readonly tag: number;
	readonly body: Uint8Array;
}

export const TAG_SIGNATURE = 2;
export const TAG_PUBLIC_KEY = 6;
export const TAG_PUBLIC_SUBKEY = 14;

type ArmorLabel = "SIGNATURE" | "PUBLIC KEY BLOCK";

/**
 * The binary form of an armored or already binary message. With `strict` nothing but white space may stand
 * around the armored block. Returns undefined when the text holds no such block, more than one, or a damaged one.
 */
export function dearmor(data: Uint8Array, label: ArmorLabel, strict: boolean): Uint8Array | undefined {
	if (data.length === 0) return undefined;
	if ((data[0] as number) & 0x80) return data;
	const text = Buffer.from(data.buffer, data.byteOffset, data.length)
		.toString("latin1")
		.replaceAll("\r\n", "\n");
	const [before, rest, ...more] = text.split(`-----BEGIN PGP ${label}-----`);
	if (before === undefined || rest === undefined || more.length > 0) return undefined;
	const [block, after, ...others] = rest.split(`-----END PGP ${label}-----`);
	if (block === undefined || after === undefined || others.length > 0) return undefined;
	if (strict && (before + after).trim() !== "") return undefined;
	return decodeBlock(block);
}

function decodeBlock(block: string): Uint8Array | undefined {
	const headersEnd = /\n[ \t]*\n/.exec(block);
	if (!headersEnd) return undefined;
	const lines = block
		.slice(headersEnd.index + headersEnd[0].length)
		.split("\n")
		.map((line) => line.trim());
	const content = lines.filter((line) => line !== "");
	const checksum = content.at(-1)?.startsWith("=") ? content.pop()?.slice(1) : undefined;
	const base64 = content.join("");
	if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
	const bytes = Buffer.from(base64, "base64");
	if (checksum !== undefined && encodeChecksum(bytes) !== checksum) return undefined;
	return bytes;
}

/** The armored form, as gpg writes it. */
export function armor(bytes: Uint8Array, label: ArmorLabel): string {
	const base64 = Buffer.from(bytes).toString("base64").replace(/.{64}/g, "$&\n").trimEnd();
	return `-----BEGIN PGP ${label}-----\n\n${base64}\n=${encodeChecksum(bytes)}\n-----END PGP ${label}-----\n`;
}

/** CRC-24 of RFC 4880 section 6.1, in base64. */
function encodeChecksum(bytes: Uint8Array): string {
	let crc = 0xb704ce;
	for (const byte of bytes) {
		crc ^= byte << 16;
		for (let bit = 0; bit < 8; bit++) {
			crc <<= 1;
			if (crc & 0x1000000) crc ^= 0x1864cfb;
		}
	}
	return Buffer.from([(crc >> 16) & 0xff, (crc >> 8) & 0xff, crc & 0xff]).toString("base64");
}

/** Splits a binary message into packets; undefined when it is cut off or uses partial lengths. */
export function readPackets(bytes: Uint8Array): Packet[] | undefined {
	const packets: Packet[] = [];
	let offset = 0;
	while (offset < bytes.length) {
		const header = readPacketHeader(bytes, offset);
		if (!header || header.end > bytes.length) return undefined;
		packets.push({ tag: header.tag, body: bytes.subarray(header.start, header.end) });
		offset = header.end;
	}
	return packets;
}

function readPacketHeader(bytes: Uint8Array, offset: number) {
	const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
	const first = view[offset] as number;
	if (!(first & 0x80)) return undefined;
	const isNew = (first & 0x40) !== 0;
	const tag = isNew ? first & 0x3f : (first >> 2) & 0x0f;
	const length = isNew ? newLength(view, offset + 1) : oldLength(view, offset + 1, first & 3);
	if (!length) return undefined;
	const start = offset + 1 + length.octets;
	return { tag, start, end: start + length.value };
}

interface PacketLength {
	readonly octets: number;
	readonly value: number;
}

function newLength(view: Buffer, at: number): PacketLength | undefined {
	const first = view[at];
	if (first === undefined) return undefined;
	if (first < 192) return { octets: 1, value: first };
	if (first < 224) {
		const second = view[at + 1];
		return second === undefined ? undefined : { octets: 2, value: ((first - 192) << 8) + second + 192 };
	}
	if (first !== 255 || at + 5 > view.length) return undefined;
	return { octets: 5, value: view.readUInt32BE(at + 1) };
}

function oldLength(view: Buffer, at: number, type: number): PacketLength | undefined {
	const octets = [1, 2, 4][type];
	if (octets === undefined || at + octets > view.length) return undefined;
	return { octets, value: view.readUIntBE(at, octets) };
}

/**
 * The version-4 fingerprints of all keys in a binary key block, the primary key first, as 40 lower-case hex digits
 * (RFC 4880 section 12.2). Undefined when it is not exactly one block that starts with its primary key.
 */
export function keyFingerprints(block: Uint8Array): string[] | undefined {
	const packets = readPackets(block);
	if (packets?.[0]?.tag !== TAG_PUBLIC_KEY) return undefined;
	if (packets.filter((packet) => packet.tag === TAG_PUBLIC_KEY).length !== 1) return undefined;
	const keys = packets.filter((packet) => packet.tag === TAG_PUBLIC_KEY || packet.tag === TAG_PUBLIC_SUBKEY);
	return keys.every((packet) => packet.body[0] === 4) ? keys.map(({ body }) => fingerprint(body)) : undefined;
}

function fingerprint(body: Uint8Array): string {
	const prefix = Buffer.from([0x99, body.length >> 8, body.length & 0xff]);
	return createHash("sha1").update(prefix).update(body).digest("hex");
}
