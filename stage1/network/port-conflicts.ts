import * as path from "node:path";
import { fail, isErrno } from "../../lib/errors.ts";
import { lstatIfExists } from "../../lib/files.ts";
import { type Lock, lockPath } from "../../lib/lock.ts";
import { type Firewall, forwardingRules } from "./firewall.ts";
import { type ForwardingPod, otherForwardingPods } from "./forwarding-record.ts";
import { describePort, portsConflict } from "./ports.ts";
import type { ForwardedPort, NetworkContext } from "./types.ts";

/**
 * Frees the ports from pods of the same data directory that have ended. Gives a pod that cannot be asked,
 * because gc has it at the moment. Errors: `port-in-use`.
 */
export function takeOverPorts(
	context: NetworkContext,
	ports: readonly ForwardedPort[],
	release: (pod: ForwardingPod) => void,
): ForwardingPod | undefined {
	for (const other of otherForwardingPods(context.podDirectory)) {
		const port = ports.find((wanted) => other.record.ports.some((held) => portsConflict(held, wanted)));
		if (port === undefined) continue;
		const podLock = lockPodIfEnded(context, other.podDirectory);
		if (podLock === undefined) {
			if (isRunning(other)) failInUse(port, `by pod ${other.uuid}`, `rkt stop ${other.uuid}`);
			return other;
		}
		try {
			context.log.debug(`taking ${describePort(port)} over from pod ${other.uuid}, which has ended`);
			release(other);
		} finally {
			podLock.release();
		}
	}
	return undefined;
}

function lockPodIfEnded(context: NetworkContext, podDirectory: string): Lock | undefined {
	try {
		return lockPath(context.syscall, podDirectory, { noWait: true });
	} catch (error) {
		if (isErrno(error, "ENOENT")) return undefined;
		throw error;
	}
}

/** A locked pod under `run` runs; elsewhere, or gone meanwhile, it is collected. */
function isRunning(pod: ForwardingPod): boolean {
	const inRun = path.basename(path.dirname(pod.podDirectory)) === "run";
	return inRun && lstatIfExists(pod.podDirectory) !== undefined;
}

/** Pods of other data directories, and containers of other runtimes. Errors: `port-in-use`. */
export function refuseForeignRules(
	context: NetworkContext,
	firewall: Firewall,
	others: readonly ForwardingPod[],
	ports: readonly ForwardedPort[],
): void {
	const known = new Set([context.uuid, ...others.map((other) => other.uuid)]);
	const foreign = forwardingRules(firewall).filter((rule) => !known.has(rule.containerId));
	for (const port of ports) {
		const rule = foreign.find((candidate) => portsConflict(candidate.port, port));
		if (rule) failInUse(port, `by container ${rule.containerId}, to which firewall rules forward it`);
	}
}

/** Errors: `port-in-use`. */
export function refuseBoundPort(context: NetworkContext, port: ForwardedPort): void {
	try {
		context.syscall.probeBind(port.protocol, port.hostIP ?? "0.0.0.0", port.hostPort);
	} catch (error) {
		if (isErrno(error, "EADDRINUSE")) failInUse(port, "by a process of the host", "ss -lntup shows which");
		if (!isErrno(error, "EADDRNOTAVAIL")) throw error;
		context.log.info(`${describePort(port)}: the host does not have this address at the moment`);
	}
}

export function failInUse(port: ForwardedPort, by: string, advice = "rkt list shows the pods"): never {
	return fail("port-in-use", `${describePort(port)} is in use ${by}`, {
		hint: `choose another port with --port, or free it: ${advice}`,
	});
}
