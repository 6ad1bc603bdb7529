import { RktError } from "../../lib/errors.ts";
import type { Lock } from "../../lib/lock.ts";
import type { Attachment } from "./attachment.ts";
import {
	addLoopbackGuards,
	type Firewall,
	guardsOfInterface,
	hasSharedChains,
	readFirewall,
	removePodRules,
} from "./firewall.ts";
import {
	type ForwardingPod,
	type ForwardingRecord,
	otherForwardingPods,
	readForwardingRecord,
	removeForwardingRecord,
	writeForwardingRecord,
} from "./forwarding-record.ts";
import { interfaceTowards, readRouteLocalnet, writeRouteLocalnet } from "./host-interface.ts";
import { lockNamespaces } from "./namespace.ts";
import { failInUse, refuseBoundPort, refuseForeignRules, takeOverPorts } from "./port-conflicts.ts";
import { callPortmap } from "./portmap.ts";
import { portsConflict } from "./ports.ts";
import type { ForwardedPort, NetworkContext } from "./types.ts";

/** How long a pod that is being collected may keep a port that the new pod wants. */
const COLLECTION_WAIT_MS = 5_000;
const COLLECTION_POLL_MS = 20;

/** An attachment whose network gave the pod an address. */
export interface ForwardingTarget extends Attachment {
	readonly podIP: string;
	readonly prefixLength: number;
}

/**
 * Makes ports of the host lead to the pod, on 127.0.0.1 and on every address of the machine, by the plugin
 * portmap. Ports of pods that have ended are taken over from them.
 * Errors: `port-in-use`, `port-forwarding-impossible`, `firewall-failed`, `network-plugin-failed`.
 */
export function addForwarding(
	context: NetworkContext,
	target: ForwardingTarget,
	ports: readonly ForwardedPort[],
): void {
	const lock = lockWithPortsFree(context, ports, target.lockFd);
	try {
		const others = otherForwardingPods(context.podDirectory);
		const firewall = readFirewall();
		refuseForeignRules(context, firewall, others, ports);
		for (const port of ports) refuseBoundPort(context, port);
		const record = makeRecord(target, ports, firewall, others);
		writeForwardingRecord(context.podDirectory, record);
		addLoopbackGuards(context.uuid, record.hostInterface, ports);
		callPortmap(context, "ADD", record, target);
	} finally {
		lock.release();
	}
}

/** Undoes {@link addForwarding}, also a part of it. Nothing there is no error. */
export function removeForwarding(context: NetworkContext, lockFd: number): void {
	if (readForwardingRecord(context.podDirectory) === undefined) return;
	const lock = lockNamespaces(context.syscall);
	try {
		undoForwarding(context, lockFd);
	} finally {
		lock.release();
	}
}

function undoForwarding(context: NetworkContext, lockFd: number): void {
	const record = readForwardingRecord(context.podDirectory);
	if (record === undefined) return;
	const firewall = readFirewall();
	const shared = guardsOfInterface(firewall, record.hostInterface).some((uuid) => uuid !== context.uuid);
	if (!shared) writeRouteLocalnet(record.hostInterface, record.routeLocalnet);
	// Without rules in iptables portmap was killed before it was done, or keeps them elsewhere.
	const removed = removePodRules(firewall, context.uuid, record.ownsSharedChains);
	if (!removed) callPortmap(context, "DEL", record, { namespace: "", lockFd });
	removeForwardingRecord(context.podDirectory);
}

/** The lock on the machine's network state, held with no other pod of the data directory on these ports. */
function lockWithPortsFree(context: NetworkContext, ports: readonly ForwardedPort[], lockFd: number): Lock {
	const release = (other: ForwardingPod): void => {
		const { podDirectory, uuid } = other;
		undoForwarding({ ...context, podDirectory, uuid }, lockFd);
	};
	const deadline = Date.now() + COLLECTION_WAIT_MS;
	for (;;) {
		const lock = lockNamespaces(context.syscall);
		let busy: ForwardingPod | undefined;
		try {
			busy = takeOverPorts(context, ports, release);
			if (busy === undefined) return lock;
			lock.release();
		} catch (error) {
			lock.release();
			throw error;
		}
		const port = ports.find((wanted) => busy.record.ports.some((held) => portsConflict(held, wanted)));
		if (Date.now() > deadline && port) failInUse(port, `by pod ${busy.uuid}, which is being collected`);
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, COLLECTION_POLL_MS);
	}
}

function makeRecord(
	target: ForwardingTarget,
	ports: readonly ForwardedPort[],
	firewall: Firewall,
	others: readonly ForwardingPod[],
): ForwardingRecord {
	const hostInterface = interfaceTowards(target.podIP);
	if (hostInterface === undefined) {
		throw new RktError("port-forwarding-impossible", `the host has no route to the pod's ${target.podIP}`, {
			hint: "forward ports over a ptp or bridge network",
		});
	}
	const neighbour = others.find((other) => other.record.hostInterface === hostInterface);
	const guarded = guardsOfInterface(firewall, hostInterface).length > 0;
	return {
		ports: [...ports],
		networkName: target.network.name,
		ifName: target.ifName,
		podAddress: `${target.podIP}/${target.prefixLength}`,
		hostInterface,
		routeLocalnet:
			neighbour?.record.routeLocalnet ?? (guarded ? "0" : (readRouteLocalnet(hostInterface) ?? "0")),
		// Guards of unknown pods belong to rkt with another data directory.
		ownsSharedChains:
			!hasSharedChains(firewall) ||
			others.some((other) => other.record.ownsSharedChains) ||
			firewall.raw.some((line) => line.includes('--comment "rkt ')),
	};
}
