import * as fs from "node:fs";
import * as path from "node:path";
import { messageOf, RktError } from "../../lib/errors.ts";
import { writeFileAtomic } from "../../lib/files.ts";
import { lockPath } from "../../lib/lock.ts";
import { netDirectory, netInfoPath } from "../pod-paths.ts";
import type { NetInfo } from "../pod-record.ts";
import { type Attachment, attach } from "./attachment.ts";
import { isMasqueraded, loadNetworks, type Network, selectNetworks } from "./config.ts";
import { createNamespace } from "./namespace.ts";
import { netmask, type PluginResult } from "./plugin-result.ts";
import { findPlugin, pluginDirectories, requirePlugins } from "./plugins.ts";
import { addForwarding } from "./port-forwarding.ts";
import { resultPath, undoNetwork } from "./tear-down.ts";
import type { NetworkDns, NetworkResult, SetUpOptions } from "./types.ts";

/** A joined network. */
interface Joined {
	readonly attachment: Attachment;
	readonly info: NetInfo;
	readonly result: PluginResult;
}

/**
 * Makes the pod's network namespace, joins it to the networks that --net asks for and forwards ports. Each
 * step is recorded in the pod directory before it is done, so that {@link tearDownNetwork} can undo a run that
 * was killed anywhere; after an error everything is undone already. Synchronous: namespaces are changed on the
 * main thread. Ports are ignored without a network.
 * Errors: `network-not-found`, `network-config-invalid`, `network-config-untrusted`, `network-plugin-missing`,
 * `network-plugin-untrusted`, `network-plugin-failed`, `port-in-use`, `port-forwarding-impossible`,
 * `firewall-failed`.
 */
export function setUpNetwork(options: SetUpOptions): NetworkResult {
	if (options.net.kind === "host")
		return { namespace: undefined, networks: [], hostIP: "127.0.0.1", dns: undefined };
	const networks = findNetworks(options);
	fs.mkdirSync(netDirectory(options.podDirectory), { recursive: true, mode: 0o750 });
	const lock = lockPath(options.syscall, netDirectory(options.podDirectory)) as {
		fd: number;
		release(): void;
	};
	try {
		return joinNetworks(options, networks, lock.fd);
	} catch (error) {
		for (const problem of undoNetwork(options, lock.fd)) options.log.info(messageOf(problem));
		fs.rmSync(netInfoPath(options.podDirectory), { force: true });
		throw error;
	} finally {
		lock.release();
	}
}

/** Finds all that can be wrong without having changed anything. */
function findNetworks(options: SetUpOptions): Network[] {
	if (options.net.kind !== "networks") return [];
	const networks = selectNetworks(loadNetworks(options.localConfig, options.log), options.net);
	const directories = pluginDirectories(options);
	for (const network of networks) requirePlugins(network, directories);
	if (options.ports.length > 0) findPlugin("portmap", directories);
	return networks;
}

function joinNetworks(options: SetUpOptions, networks: readonly Network[], lockFd: number): NetworkResult {
	const { syscall, podDirectory, uuid, unprivilegedPorts } = options;
	const namespace = createNamespace(syscall, podDirectory, uuid, { unprivilegedPorts });
	const joined: Joined[] = [];
	for (const [index, network] of networks.entries()) {
		const args = (options.net.kind === "networks" && options.net.args.get(network.name)) || "";
		const attachment = { network, ifName: `eth${index}`, args, namespace, lockFd };
		joined.push(joinNetwork(options, attachment, joined));
	}
	if (networks.length === 0) options.log.info("networking namespace with loopback only");
	else if (options.ports.length > 0) forwardPorts(options, joined);
	const networkInfos = joined.map(({ info }) => info);
	const hostIP = chooseNetwork(joined)?.result.ipv4?.gateway;
	return { namespace, networks: networkInfos, hostIP, dns: chooseDns(options, joined) };
}

function joinNetwork(options: SetUpOptions, attachment: Attachment, before: readonly Joined[]): Joined {
	const { network, ifName, args } = attachment;
	const earlier = before.map(({ info }) => info);
	const netConf = path.join(netDirectory(options.podDirectory), network.fileName);
	const pluginPath = findPlugin((network.plugins[0] as { type: string }).type, pluginDirectories(options));
	const planned = { netName: network.name, netConf, pluginPath, ifName, ip: "", args, mask: "" };
	fs.writeFileSync(netConf, network.text, { mode: 0o640 });
	writeNetInfo(options.podDirectory, [...earlier, planned]);
	const result = attach(options, attachment);
	fs.writeFileSync(resultPath(netConf), JSON.stringify(result.raw), { mode: 0o640 });
	const { address = "", prefixLength } = result.ipv4 ?? {};
	const mask = prefixLength === undefined ? "" : netmask(prefixLength);
	const info = { ...planned, ip: address, mask };
	writeNetInfo(options.podDirectory, [...earlier, info]);
	return { attachment, info, result };
}

/** The first network that masquerades, else the last (network.md section 4 of the reference). */
function chooseNetwork(joined: readonly Joined[]): Joined | undefined {
	return joined.find(({ attachment }) => isMasqueraded(attachment.network)) ?? joined.at(-1);
}

function forwardPorts(options: SetUpOptions, joined: readonly Joined[]): void {
	const chosen = chooseNetwork(joined);
	const ipv4 = chosen?.result.ipv4;
	if (chosen === undefined || ipv4 === undefined) {
		throw new RktError(
			"port-forwarding-impossible",
			`network "${chosen?.info.netName}" gave the pod no IPv4 address for its ports`,
			{ hint: "run the pod with --net=default, or without --port" },
		);
	}
	const target = { ...chosen.attachment, podIP: ipv4.address, prefixLength: ipv4.prefixLength };
	addForwarding(options, target, options.ports);
}

function chooseDns(options: SetUpOptions, joined: readonly Joined[]): NetworkDns | undefined {
	const [first, ...others] = joined.flatMap(toDns);
	for (const other of others) {
		options.log.info(
			`network "${other.networkName}" has DNS settings too, those of "${first?.networkName}" count`,
		);
	}
	return first;
}

function toDns({ info, result: { dns } }: Joined): NetworkDns[] {
	const found = {
		networkName: info.netName,
		nameservers: dns.nameservers ?? [],
		search: dns.search ?? [],
		options: dns.options ?? [],
		...(dns.domain ? { domain: dns.domain } : {}),
	};
	const empty = [found.nameservers, found.search, found.options].every((list) => list.length === 0);
	return empty && !dns.domain ? [] : [found];
}

function writeNetInfo(podDirectory: string, infos: readonly NetInfo[]): void {
	writeFileAtomic(netInfoPath(podDirectory), JSON.stringify(infos), 0o644);
}
