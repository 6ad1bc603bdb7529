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
	const refused = onLoopback.map(
		({ hostIP, protocol, hostPort }) => `-d ${hostIP} ! -i lo -p ${protocol} --dport ${hostPort}`,
	);
	const matches = [`-d 127.0.0.0/8 -i ${hostInterface}`, ...refused];
	restore({ raw: matches.map((match) => `-A PREROUTING ${match} ${mark}`), nat: [] });
}

export function hasSharedChains(firewall: Firewall): boolean {
	return hasChain(firewall, DNAT_CHAIN);
}

/**
 * Removes every rule and chain of a pod from both tables at once: the guards, and what plugins made, who put the
 * container's id into the comment of each rule. Plugins find nothing left to do then; alone they need a
 * transaction of some 20 ms for each rule, and leave rules behind when the namespace was gone before them.
 * With `sharedChains` those go too unless somebody still uses them. True when there were forwarding rules.
 * Errors: `firewall-failed`.
 */
export function removePodRules(firewall: Firewall, uuid: string, sharedChains: boolean): boolean {
	const guards = firewall.raw.filter((line) => line.includes(`"${guardComment(uuid)}"`));
	const own = firewall.nat.filter((line) => line.includes(`id: \\"${uuid}\\"`));
	const chains = ownChains(firewall, own);
	const jumps = own.filter((line) => !chains.some((chain) => line.startsWith(`-A ${chain} `)));
	const shared = sharedChains ? unusedSharedChains(firewall, chains, own) : [];
	const nat = [...jumps, ...jumpsTo(firewall, shared)].map(toDeletion);
	const all = [...chains, ...shared];
	restore({
		raw: guards.map(toDeletion),
		nat: [...nat, ...all.map((chain) => `-F ${chain}`), ...all.map((chain) => `-X ${chain}`)],
	});
	return own.some((line) => line.startsWith(`-A ${DNAT_CHAIN} `));
}

/** The chains of one pod: rules with its id stand there or lead there. */
function ownChains(firewall: Firewall, own: readonly string[]): string[] {
	const named = own.flatMap((line) => line.match(/(?<=^-A | -j )CNI-[0-9a-zA-Z-]+/g) ?? []);
	return [...new Set(named)].filter((chain) => !SHARED_CHAINS.includes(chain) && hasChain(firewall, chain));
}

/** None while another pod or runtime has a rule in them, or a chain that leads there. */
function unusedSharedChains(firewall: Firewall, chains: readonly string[], own: readonly string[]): string[] {
	const foreign = firewall.nat.some((line) => {
		const chain = /^-A (CNI-HOSTPORT-DNAT|CNI-DN-\S+) /.exec(line)?.[1];
		return chain !== undefined && !own.includes(line) && (chain === DNAT_CHAIN || !chains.includes(chain));
	});
	return foreign ? [] : SHARED_CHAINS.filter((chain) => hasChain(firewall, chain));
}

function jumpsTo(firewall: Firewall, chains: readonly string[]): string[] {
	return firewall.nat.filter((line) => {
		const [, chain = "", target = ""] = /^-A (\S+) .*-j (\S+)/.exec(line) ?? [];
		return chains.includes(target) && !SHARED_CHAINS.includes(chain) && !chain.startsWith("CNI-DN-");
	});
}

function hasChain(firewall: Firewall, chain: string): boolean {
	return firewall.nat.some((line) => line.startsWith(`:${chain} `));
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
		const [, name, uuid] = /^-A PREROUTING .*(?<!! )-i (\S+) .*--comment "rkt (\S+)"/.exec(line) ?? [];
		return name === hostInterface && uuid !== undefined ? [uuid] : [];
	});
}

function guardComment(uuid: string): string {
	return `rkt ${uuid}`;
}

function toDeletion(rule: string): string {
	return rule.replace(/^-A /, "-D ");
}

/** One transaction for each table: all of its lines or none. */
function restore(edits: Firewall): void {
	const tables = (["nat", "raw"] as const).filter((table) => edits[table].length > 0);
	if (tables.length === 0) return;
	const input = tables.map((table) => `*${table}\n${edits[table].join("\n")}\nCOMMIT\n`).join("");
	run("iptables-restore", ["--noflush", "-w", "5"], input);
}

function run(program: string, args: readonly string[], input = ""): string {
	const environment = { PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C" };
	const result = runCommand(program, args, { input, environment });
	if (result.status === 0) return result.stdout;
	return fail("firewall-failed", `${program}: ${result.stderr.trim() || `exit status ${result.status}`}`, {
		hint: "check that iptables works on this machine: iptables -t nat -S",
	});
}
