import { isIP, isIPv4 } from "node:net";
import * as z from "zod/mini";
import { isErrno, messageOf } from "../../lib/errors.ts";
import { parseJson } from "../../lib/json.ts";

export interface PluginAddress {
	readonly address: string;
	readonly prefixLength: number;
	/** As the plugin says it, else the first address of the subnet, as host-local chooses it. */
	readonly gateway: string;
}

/** What rkt uses of the result of ADD. */
export interface PluginResult {
	/** The first IPv4 address; undefined when the plugin gave none. */
	readonly ipv4: PluginAddress | undefined;
	readonly dns: z.infer<typeof dnsSettings>;
	/** The whole result, for the next plugin of a chain. */
	readonly raw: unknown;
}

/** Thrown for a result that is not one; the caller names network and plugin. */
export class ResultError extends Error {}

const cidr = z.string().check(
	z.refine((value) => {
		const [address = "", prefix = "", ...more] = value.split("/");
		const version = isIP(address);
		const bits = version === 4 ? 32 : 128;
		return version !== 0 && more.length === 0 && /^[0-9]{1,3}$/.test(prefix) && Number(prefix) <= bits;
	}, "must be an address with a prefix length"),
);
/** Words of resolv.conf: whitespace in them would make further lines. */
const word = z.string().check(z.regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces"));
const address = z.string().check(z.refine((value) => isIP(value) !== 0, "must be an IP address"));

/** Only used when it is an IPv4 address. */
const gateway = z.nullish(z.string());

const dnsSettings = z.object({
	nameservers: z.nullish(z.array(address)),
	domain: z.nullish(z.union([word, z.literal("")])),
	search: z.nullish(z.array(word)),
	options: z.nullish(z.array(word)),
});

/** Versions 0.1.0 and 0.2.0 have `ip4`, 0.3.0 to 1.0.0 have `ips` (CNI specification, section 5). */
const addResult = z.looseObject({
	ip4: z.nullish(z.looseObject({ ip: cidr, gateway })),
	ips: z.nullish(z.array(z.looseObject({ address: cidr, gateway }))),
	dns: z.nullish(dnsSettings),
});

/** Errors: {@link ResultError}. */
export function parseResult(text: string): PluginResult {
	const parsed = addResult.safeParse(readJson(text));
	if (!parsed.success) {
		const issue = parsed.error.issues[0];
		throw new ResultError(`result: ${issue?.path.join(".")} ${issue?.message}`);
	}
	const { ip4, ips, dns } = parsed.data;
	const addresses = [...(ip4 ? [{ ...ip4, address: ip4.ip }] : []), ...(ips ?? [])];
	return {
		ipv4: addresses.map(toIPv4).find((found) => found !== undefined),
		dns: dns ?? {},
		raw: parsed.data,
	};
}

function toIPv4(given: {
	readonly address: string;
	readonly gateway?: string | null | undefined;
}): PluginAddress | undefined {
	const [address = "", prefix] = given.address.split("/");
	if (!isIPv4(address)) return undefined;
	const prefixLength = Number(prefix);
	const { gateway } = given;
	const known = gateway && isIPv4(gateway);
	return { address, prefixLength, gateway: known ? gateway : firstAddress(address, prefixLength) };
}

function firstAddress(address: string, prefixLength: number): string {
	const mask = netmask(prefixLength).split(".").map(Number);
	const subnet = address.split(".").map((octet, index) => Number(octet) & (mask[index] ?? 0));
	return [...subnet.slice(0, 3), (subnet[3] ?? 0) + 1].join(".");
}

/** A prefix length as dotted quad. */
export function netmask(prefixLength: number): string {
	const mask = prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
	return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 255).join(".");
}

function readJson(text: string): unknown {
	if (text.trim() === "") throw new ResultError("printed no result");
	try {
		return parseJson(text, "result");
	} catch (error) {
		if (!isErrno(error, "json-invalid")) throw error;
		throw new ResultError(messageOf(error));
	}
}
