import * as path from "node:path";
import { isErrno } from "../../lib/errors.ts";
import { runCommand } from "../../lib/process.ts";
import { isSystemdHierarchy, readHierarchies } from "./hierarchies.ts";
import { scopeName } from "./pod-cgroup.ts";

const WAIT_MS = 2000;
const POLL_MS = 5;

/**
 * Asks systemd for the scope of the pod, which machined would make only when nspawn runs: too late to hand over cgroups.
 * Gives false when that fails; then the limits of apps have no effect.
 */
export function enterScope(uuid: string): boolean {
	const name = scopeName(uuid);
	const properties = [
		"Description",
		"s",
		`Pod ${uuid}`,
		"Slice",
		"s",
		"machine.slice",
		"Delegate",
		"b",
		"true",
	];
	const scope = [name, "fail", "4", ...properties, "PIDs", "au", "1", String(process.pid), "0"];
	const manager = "org.freedesktop.systemd1.Manager";
	if (!askSystemd(manager, "StartTransientUnit", "ssa(sv)a(sa(sv))", ...scope)) return false;
	// The call only queues the job, which moves us from one hierarchy to the next; an answer comes when it is done.
	return waitForScope(name) && askSystemd("org.freedesktop.DBus.Peer", "Ping");
}

/** Calls a method of the host's systemd; false when it refuses or cannot be reached. */
function askSystemd(...method: readonly string[]): boolean {
	const argv = ["call", "--quiet", "org.freedesktop.systemd1", "/org/freedesktop/systemd1", ...method];
	try {
		return runCommand("busctl", argv, { timeoutMs: WAIT_MS }).status === 0;
	} catch (error) {
		if (isErrno(error, "program-missing")) return false;
		throw error;
	}
}

function waitForScope(name: string): boolean {
	const deadline = Date.now() + WAIT_MS;
	while (!readHierarchies().some((one) => isSystemdHierarchy(one) && path.basename(one.own) === name)) {
		if (Date.now() > deadline) return false;
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
	}
	return true;
}
