import { fail } from "../../lib/errors.ts";
import { runCommand } from "../../lib/process.ts";
import type { ForwardedPort, Protocol } from "./types.ts";

/** The chains of the plugin portmap that all pods share; it makes them and never removes them. */
const SHARED_CHAINS = ["CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-MASQ", "CNI-HOSTPORT-SETMARK"];
const DNAT_CHAIN = "CNI-HOSTPORT-DNAT";

/** The tables nat and raw in the format of iptables-save(8); other tables are not ours. */
export interface Firewall {
	readonly nat: readonly string[];
	readonly raw: readonly string[];
}

/** A host port that the rules of some CNI runtime lead to a container. */
export interface ForwardingRule {
	readonly containerId: string;
	readonly port: ForwardedPort;
}

/** Errors: `firewall-failed`, `program-missing`. */
export function readFirewall(): Firewall {
	return parseFirewall(run("iptables-save", []));
}

export function parseFirewall(saved: string): Firewall {
	const tables: Record<string, string[]> = {};
	let current: string[] = [];
	for (const line of saved.split("\n")) {
		if (line.startsWith("*")) {
			current = [];
			tables[line.slice(1)] = current;
		} else if (/^[:-]/.test(line)) current.push(line);
	}
	return { nat: tables.nat ?? [], raw: tables.raw ?? [] };
}

/**
 * Keeps the loopback addresses of the host to itself. Forwarding from 127.0.0.1 needs route_localnet on the
 * interface towards the pod, and with it the kernel takes packets from there that are addressed to 127.0.0.0/8
 * (CVE-2020-8558). Ports on a loopback address are translated before the kernel looks at the address at all,
 * so for them every interface but lo is refused. Appended behind the rules of the host.
 */
export function addLoopbackGuards(
	uuid: string,
	hostInterface: string,
	ports: readonly ForwardedPort[],
): void {
	const mark = `-m comment --comment "${guardComment(uuid)}" -j DROP`;
	const onLoopback = ports.filter((port) => port.hostIP?.startsWith("127."));
	restore("raw", [
		`-A PREROUTING -d 127.0.0.0/8 -i ${hostInterface} ${mark}`,
		...onLoopback.map(
			({ hostIP, protocol, hostPort }) =>
				`-A PREROUTING -d ${hostIP} ! -i lo -p ${protocol} --dport ${hostPort} ${mark}`,
		),
	]);
}

/** Nothing there is no error. */
export function removeLoopbackGuards(firewall: Firewall, uuid: string): void {
	const own = firewall.raw.filter((line) => line.includes(`"${guardComment(uuid)}"`));
	restore("raw", own.map(toDeletion));
}

export function hasSharedChains(firewall: Firewall): boolean {
	return firewall.nat.some((line) => line.startsWith(`:${DNAT_CHAIN} `));
}

/** Removes the shared chains of portmap when no forwarding is left in them. */
export function removeSharedChains(firewall: Firewall): void {
	if (firewall.nat.some((line) => line.startsWith(`-A ${DNAT_CHAIN} `))) return;
	const jumps = firewall.nat.filter((line) => {
		const [, chain = "", target] = /^-A (\S+) .*-j (\S+)/.exec(line) ?? [];
		return SHARED_CHAINS.includes(target ?? "") && !SHARED_CHAINS.includes(chain);
	});
	const chains = SHARED_CHAINS.filter((chain) => firewall.nat.some((line) => line.startsWith(`:${chain} `)));
	restore("nat", [...jumps.map(toDeletion), ...chains.flatMap((chain) => [`-F ${chain}`, `-X ${chain}`])]);
}

/**
 * Removes the rules of a pod that its plugins could not remove, because its namespace was gone before them.
 * Plugins put the container's id into the comment of each rule.
 */
export function sweepRules(firewall: Firewall, uuid: string): void {
	const own = firewall.nat.filter((line) => line.includes(`id: \\"${uuid}\\"`));
	const chains = [...new Set(own.flatMap((line) => / -j (CNI-[0-9a-zA-Z-]+)/.exec(line)?.[1] ?? []))].filter(
		(chain) => !SHARED_CHAINS.includes(chain) && firewall.nat.some((line) => line.startsWith(`:${chain} `)),
	);
	const outside = own.filter((line) => !chains.some((chain) => line.startsWith(`-A ${chain} `)));
	restore("nat", [
		...outside.map(toDeletion),
		...chains.map((chain) => `-F ${chain}`),
		...chains.map((chain) => `-X ${chain}`),
	]);
}

/** What portmap, ours or another runtime's, has set up; the container id is in the jump to its chain. */
export function forwardingRules(firewall: Firewall): ForwardingRule[] {
	const containers = new Map<string, string>();
	for (const line of firewall.nat) {
		const match = /^-A CNI-HOSTPORT-DNAT .*id: \\"([^"\\]*)\\".* -j (\S+)$/.exec(line);
		if (match) containers.set(match[2] as string, match[1] as string);
	}
	const rule = /^-A (\S+) (?:-d (\S+)\/32 )?-p (tcp|udp) .*--dport (\d+) -j DNAT --to-destination \S+:(\d+)$/;
	return firewall.nat.flatMap((line) => {
		const [, chain = "", hostIP, protocol, hostPort, podPort] = rule.exec(line) ?? [];
		const containerId = containers.get(chain);
		if (containerId === undefined) return [];
		const address = hostIP === undefined ? {} : { hostIP };
		const numbers = { hostPort: Number(hostPort), podPort: Number(podPort) };
		return [{ containerId, port: { protocol: protocol as Protocol, ...address, ...numbers } }];
	});
}

/** The pods whose guards name this interface. */
export function guardsOfInterface(firewall: Firewall, hostInterface: string): string[] {
	return firewall.raw.flatMap((line) => {
		const [, name, uuid] = /^-A PREROUTING .*-i (\S+) .*--comment "rkt (\S+)"/.exec(line) ?? [];
		return name === hostInterface && uuid !== undefined ? [uuid] : [];
	});
}

function guardComment(uuid: string): string {
	return `rkt ${uuid}`;
}

function toDeletion(rule: string): string {
	return rule.replace(/^-A /, "-D ");
}

/** One transaction: all of the lines or none. */
function restore(table: string, lines: readonly string[]): void {
	if (lines.length === 0) return;
	run("iptables-restore", ["--noflush", "-w", "5"], `*${table}\n${lines.join("\n")}\nCOMMIT\n`);
}

function run(program: string, args: readonly string[], input = ""): string {
	const environment = { PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C" };
	const result = runCommand(program, args, { input, environment });
	if (result.status === 0) return result.stdout;
	return fail("firewall-failed", `${program}: ${result.stderr.trim() || `exit status ${result.status}`}`, {
		hint: "check that iptables works on this machine: iptables -t nat -S",
	});
}
