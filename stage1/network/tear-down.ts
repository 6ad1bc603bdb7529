import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno, messageOf, RktError } from "../../lib/errors.ts";
import { lstatIfExists, readTextIfExists } from "../../lib/files.ts";
import { type Lock, lockPath } from "../../lib/lock.ts";
import { netDirectory } from "../pod-paths.ts";
import { type NetInfo, readNetInfo } from "../pod-record.ts";
import { detach } from "./attachment.ts";
import { isMasqueraded, type Network, parseNetwork } from "./config.ts";
import { readFirewall, removePodRules } from "./firewall.ts";
import { namespaceExists, recordedNamespace, removeNamespace } from "./namespace.ts";
import { removeForwarding } from "./port-forwarding.ts";
import type { NetworkContext } from "./types.ts";

/** How long the plugin of a run that was killed may still be working. */
const ORPHAN_WAIT_MS = 60_000;
const ORPHAN_POLL_MS = 10;

/**
 * Releases everything that {@link setUpNetwork} made or began: forwarded ports, addresses, interfaces, rules
 * and the namespace. May be called again, after a reboot, and after a set-up that was killed at any step; what
 * is missing is no error. net-info.json stays.
 * Errors: `network-teardown-failed` after everything that could be done; calling it again tries the rest.
 */
export function tearDownNetwork(context: NetworkContext): void {
	const lock = lockAfterOrphans(context);
	try {
		const problems = undoNetwork(context, lock?.fd);
		if (problems.length === 0) return;
		throw new RktError("network-teardown-failed", problems.map(messageOf).join("; "), {
			hint: `mend the cause, then run: rkt rm ${context.uuid}`,
			cause: problems[0],
		});
	} finally {
		lock?.release();
	}
}

/** The same without taking the lock on the pod's network. Gives what failed. */
export function undoNetwork(context: NetworkContext, lockFd: number | undefined): unknown[] {
	if (lockFd === undefined) {
		removeNamespace(context.syscall, context.podDirectory);
		return [];
	}
	const problems: unknown[] = [];
	const infos = readNetInfo(context.podDirectory);
	const networks = new Map(infos.map((info) => [info, readConfigCopy(context, info)]));
	attempt(problems, () => removeForwarding(context, lockFd));
	const masqueraded = [...networks.values()].some((network) => network && isMasqueraded(network));
	const swept = masqueraded && sweepRules(context, problems);
	const recorded = recordedNamespace(context.podDirectory);
	const namespace = recorded && namespaceExists(recorded) ? recorded : "";
	for (const info of [...infos].reverse()) {
		const network = networks.get(info);
		if (network === undefined) continue;
		const rest = swept ? withoutMasquerade(network) : network;
		problems.push(...leaveNetwork(context, info, rest, namespace, lockFd));
	}
	attempt(problems, () => removeNamespace(context.syscall, context.podDirectory));
	// The directory stands for work that is left, and the lock on it is needed for that.
	if (problems.length === 0) removeIfEmpty(netDirectory(context.podDirectory));
	return problems;
}

/** The result of ADD, beside the copied configuration, for DEL. */
export function resultPath(configCopy: string): string {
	return `${configCopy}.result`;
}

/** False when iptables is not there: then no plugin has used it. */
function sweepRules(context: NetworkContext, problems: unknown[]): boolean {
	try {
		removePodRules(readFirewall(), context.uuid, false);
		return true;
	} catch (error) {
		if (!isErrno(error, "program-missing")) problems.push(error);
		return false;
	}
}

/** For DEL after the rules are gone: plugins take their absence for a failure. */
function withoutMasquerade(network: Network): Network {
	const plugins = network.plugins.map((config) =>
		config.ipMasq === true && config.ipMasqBackend !== "nftables" ? { ...config, ipMasq: false } : config,
	);
	return { ...network, plugins };
}

/** The copy goes when DEL has succeeded: what still has one is tried again the next time. */
function leaveNetwork(
	context: NetworkContext,
	info: NetInfo,
	network: Network,
	namespace: string,
	lockFd: number,
): unknown[] {
	const copy = copyPath(context, info);
	const added = readTextIfExists(resultPath(copy));
	const { ifName, args } = info;
	const attachment = { network, ifName, args, namespace, lockFd };
	const problems = detach(context, attachment, added === undefined ? undefined : tryParse(added));
	if (problems.length > 0) return problems;
	fs.rmSync(copy, { force: true });
	fs.rmSync(resultPath(copy), { force: true });
	return [];
}

/** undefined when it is gone: then there is nothing left to undo. */
function readConfigCopy(context: NetworkContext, info: NetInfo): Network | undefined {
	const copy = copyPath(context, info);
	const text = readTextIfExists(copy);
	return text === undefined ? undefined : parseNetwork(text, path.basename(copy), copy);
}

/** The pod directory was renamed since the path was recorded. */
function copyPath(context: NetworkContext, info: NetInfo): string {
	return path.join(netDirectory(context.podDirectory), path.basename(info.netConf));
}

/** A file cut short by the kill of rkt stands for no result. */
function tryParse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

/** Plugins hold the lock too: what one of a killed run still does would come after our undoing. */
function lockAfterOrphans(context: NetworkContext): Lock | undefined {
	const directory = netDirectory(context.podDirectory);
	if (lstatIfExists(directory) === undefined) return undefined;
	const deadline = Date.now() + (context.pluginTimeoutMs ?? ORPHAN_WAIT_MS);
	for (;;) {
		const lock = lockPath(context.syscall, directory, { noWait: true });
		if (lock) return lock;
		if (Date.now() > deadline) break;
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ORPHAN_POLL_MS);
	}
	context.log.info(`a network plugin of pod ${context.uuid} does not end, going on without waiting for it`);
	const fd = fs.openSync(directory, fs.constants.O_RDONLY);
	return { fd, release: () => fs.closeSync(fd) };
}

function attempt(problems: unknown[], action: () => void): void {
	try {
		action();
	} catch (error) {
		problems.push(error);
	}
}

function removeIfEmpty(directory: string): void {
	try {
		fs.rmdirSync(directory);
	} catch (error) {
		if (!["ENOTEMPTY", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
	}
}
