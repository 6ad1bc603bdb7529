import { isIP } from "node:net";
import { fail } from "../../lib/errors.ts";
import type { HostsMode } from "../arguments.ts";
import { isHostname } from "./names.ts";

/** /etc/hosts of apps whose image has none (hosts(5)). */
export const HOSTS_FALLBACK = `# Static table of host names
127.0.0.1 localhost localhost.domain localhost4 localhost4.localdomain4

::1 ip6-localhost ip6-loopback localhost6 localhost6.localdomain6
fe00::0 ip6-localnet
ff00::0 ip6-mcastprefix
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
ff02::3 ip6-allhosts
`;

/** What --hosts-entry asks for: who writes the file, and its content for mode `stage0`. */
export interface HostsRequest {
	readonly mode: HostsMode;
	readonly content?: string;
}

/**
 * Reads the values of every --hosts-entry flag: `IP=NAME[,IP=NAME...]`, or `host` alone.
 * Errors: `hosts-entry-invalid`.
 */
export function readHostsEntries(values: readonly string[]): HostsRequest {
	const items = values.flatMap((value) => value.split(","));
	if (items.length === 0) return { mode: "default" };
	if (items.every((item) => item === "host")) return { mode: "host" };
	if (items.includes("host")) invalid('"host" cannot be used together with other entries');
	const names = new Map<string, string[]>();
	for (const item of items) {
		const [address, name] = readEntry(item);
		names.set(address, [...(names.get(address) ?? []), name]);
	}
	return { mode: "stage0", content: buildHosts(names) };
}

/** The common entries, then the user's in the order in which their addresses were first given. */
export function buildHosts(names: ReadonlyMap<string, readonly string[]>): string {
	const lines = [...names].map(([address, list]) => `${address} ${list.join(" ")}\n`);
	return `${HOSTS_FALLBACK}\n\n# Added by rkt run --hosts-entry\n${lines.join("")}`;
}

/** Gives the pod's own name to its loopback address: on the first line of 127.0.0.1, made when missing. */
export function addHostname(hosts: string, hostname: string): string {
	const lines = hosts.split("\n");
	const index = lines.findIndex((line) => /^127\.0\.0\.1(?:\s|$)/.test(line));
	if (index === -1) return `127.0.0.1 localhost ${hostname}\n${hosts}`;
	lines[index] = `${lines[index]?.trimEnd()} ${hostname}`;
	return lines.join("\n");
}

function readEntry(item: string): [string, string] {
	const [address = "", name = "", ...more] = item.split("=");
	if (more.length > 0 || name === "") invalid(`${JSON.stringify(item)} is not IP=NAME`);
	if (isIP(address) === 0) invalid(`${JSON.stringify(address)} is no IP address`);
	if (!isHostname(name)) invalid(`${JSON.stringify(name)} is no hostname`);
	return [address, name];
}

function invalid(message: string): never {
	return fail("hosts-entry-invalid", `--hosts-entry: ${message}`, {
		hint: 'give IP=NAME[,IP=NAME...], or "host" for the file of the host',
	});
}
