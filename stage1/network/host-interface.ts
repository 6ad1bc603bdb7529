import * as fs from "node:fs";
import { isErrno } from "../../lib/errors.ts";

const RTF_UP = 0x1;
const RTF_REJECT = 0x200;

/** The interface over which the host reaches an IPv4 address, from its main routing table (proc(5)). */
export function interfaceTowards(address: string): string | undefined {
	return chooseRoute(fs.readFileSync("/proc/net/route", "utf8"), address);
}

/** The longest prefix wins, then the lowest metric. */
export function chooseRoute(table: string, address: string): string | undefined {
	const target = bytesToNumber(address.split(".").map(Number));
	const routes = table.split("\n").slice(1).flatMap(parseRoute);
	const matching = routes.filter(({ mask, destination }) => (target & mask) >>> 0 === destination);
	matching.sort((a, b) => b.mask - a.mask || a.metric - b.metric);
	return matching[0]?.name;
}

/** route_localnet of an interface: "0" or "1"; undefined when the interface is gone. */
export function readRouteLocalnet(hostInterface: string): string | undefined {
	try {
		return fs.readFileSync(routeLocalnetPath(hostInterface), "utf8").trim();
	} catch (error) {
		if (isErrno(error, "ENOENT")) return undefined;
		throw error;
	}
}

export function writeRouteLocalnet(hostInterface: string, value: string): void {
	try {
		fs.writeFileSync(routeLocalnetPath(hostInterface), value, { flag: "r+" });
	} catch (error) {
		if (!isErrno(error, "ENOENT")) throw error;
	}
}

interface Route {
	readonly name: string;
	readonly destination: number;
	readonly mask: number;
	readonly metric: number;
}

function parseRoute(line: string): Route[] {
	const [name = "", destination = "", , flags = "", , , metric = "", mask = ""] = line.trim().split(/\s+/);
	const bits = Number.parseInt(flags, 16);
	if (name === "" || (bits & RTF_UP) === 0 || (bits & RTF_REJECT) !== 0) return [];
	return [
		{ name, destination: fromTable(destination), mask: fromTable(mask), metric: Number.parseInt(metric, 10) },
	];
}

/** The table prints addresses as the machine's own integers. */
function fromTable(hex: string): number {
	const bytes = [...Buffer.from(hex.padStart(8, "0"), "hex")];
	return bytesToNumber(LITTLE_ENDIAN ? bytes.reverse() : bytes);
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function bytesToNumber(bytes: readonly number[]): number {
	return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

function routeLocalnetPath(hostInterface: string): string {
	return `/proc/sys/net/ipv4/conf/${hostInterface}/route_localnet`;
}
