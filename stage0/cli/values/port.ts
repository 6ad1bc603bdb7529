import { isIPv4 } from "node:net";
import type { ExposedPort } from "../../../appc/schema/pod-manifest.ts";
import { isACName } from "../../../appc/types/ac-name.ts";
import { invalidValue, parseInteger } from "./scalars.ts";

/** `--port`: `NAME:[HOSTIP:]HOSTPORT`, IPv4 only as the port mapping is. Errors: `flag-value-invalid`. */
export function parsePort(value: string): ExposedPort {
	const parts = value.split(":");
	const [name = "", ...rest] = parts;
	if (value.includes("[") || parts.length > 3) refuse(value, "the address must be IPv4");
	if (parts.length < 2) refuse(value, "the port of the host is missing");
	if (!isACName(name)) refuse(value, `${JSON.stringify(name)} is not the name of a port`);
	const word = rest.at(-1) ?? "";
	const hostPort = /^\d+$/.test(word) ? parseInteger(word, 0, 65535) : undefined;
	if (hostPort === undefined) return refuse(value, `${JSON.stringify(word)} is no port from 0 to 65535`);
	if (rest.length === 1) return { name, hostPort };
	const hostIP = rest[0] as string;
	if (!isIPv4(hostIP)) refuse(value, `${JSON.stringify(hostIP)} is no IPv4 address`);
	return { name, hostPort, hostIP };
}

function refuse(value: string, reason: string): never {
	return invalidValue("port", value, reason, "write NAME:HOSTPORT or NAME:HOSTIP:HOSTPORT");
}
