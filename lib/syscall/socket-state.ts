/** What the kernel knows about a descriptor that is a socket. */
export interface SocketState {
	readonly type: "stream" | "datagram" | "seqpacket" | "other";
	/** It accepts connections; never true for datagrams. */
	readonly listening: boolean;
	readonly address: SocketAddress;
}

/** Where a socket is bound. A Unix path of an abstract socket begins with `@`; without a path it is not bound. */
export type SocketAddress =
	| { readonly family: "inet" | "inet6"; readonly host: string; readonly port: number }
	| { readonly family: "unix"; readonly path: string }
	| { readonly family: "other"; readonly number: number };

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const TYPES: Readonly<Record<number, SocketState["type"]>> = { 1: "stream", 2: "datagram", 5: "seqpacket" };

/** SOCK_STREAM and so on, socket(2). */
export function socketType(number: number): SocketState["type"] {
	return TYPES[number] ?? "other";
}

/** Reads what getsockname(2) wrote: a struct sockaddr of this machine, cut to its length. */
export function decodeSocketAddress(sockaddr: Buffer): SocketAddress {
	const family = sockaddr.readUInt16LE(0);
	if (family === AF_INET) {
		return { family: "inet", host: sockaddr.subarray(4, 8).join("."), port: sockaddr.readUInt16BE(2) };
	}
	if (family === AF_INET6) {
		return { family: "inet6", host: ipv6Text(sockaddr.subarray(8, 24)), port: sockaddr.readUInt16BE(2) };
	}
	return family === AF_UNIX
		? { family: "unix", path: unixPath(sockaddr.subarray(2)) }
		: { family: "other", number: family };
}

/** Shortened as URLs do it, without brackets. */
function ipv6Text(bytes: Buffer): string {
	const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16)).join(
		":",
	);
	return new URL(`http://[${groups}]/`).hostname.slice(1, -1);
}

/** A path ends at its NUL; an abstract name begins with one and is as long as the address says, unix(7). */
function unixPath(bytes: Buffer): string {
	if (bytes.length === 0) return "";
	if (bytes[0] === 0) return `@${bytes.subarray(1).toString("latin1")}`;
	const end = bytes.indexOf(0);
	return bytes.subarray(0, end < 0 ? bytes.length : end).toString();
}
