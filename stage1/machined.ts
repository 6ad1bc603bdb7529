import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../lib/errors.ts";
import { readTextIfExists } from "../lib/files.ts";
import { createLog } from "../lib/log.ts";
import { runCommand } from "../lib/process.ts";
import { readHierarchies } from "./cgroups/hierarchies.ts";
import type { OwnCgroups } from "./cgroups/pod-cgroup.ts";
import { enterScope, giveUnitCgroups } from "./cgroups/unit-cgroups.ts";
import { isSystemdHost } from "./journal.ts";
import { machineName } from "./pod-paths.ts";

const SYSTEM_BUS = "/run/dbus/system_bus_socket";
const MACHINED_SERVICE = "/usr/share/dbus-1/system-services/org.freedesktop.machine1.service";

/** Where an administrator masks units. */
const UNIT_DIRECTORIES = ["/etc/systemd/system", "/run/systemd/system"];

/** Where machined keeps what it knows. */
const REGISTERED_MACHINES = "/run/systemd/machines";

/** How the pod is placed among the machine's cgroups. */
export interface Placement {
	/** machined makes a scope for the pod, or takes the service that we are in as the pod's. */
	readonly register: boolean;
	/** We are in a cgroup that the pod is to use: a service of the host's systemd, or one that we made. */
	readonly keepUnit: boolean;
	/** In which hierarchies we have to make a cgroup. */
	readonly ownCgroups: OwnCgroups;
}

/**
 * Decides by what runs on this host. Without systemd as PID 1 nobody else manages cgroups. On a systemd host whose
 * machined cannot be reached the pod is not registered, and that is said: machinectl does not know it then. `owner` is
 * root of the pod on the host; when that is not root there, the pod gets the right to limit its apps here.
 */
export function choosePlacement({ uuid, owner }: { uuid: string; owner: number }): Placement {
	if (!isSystemdHost()) return { register: false, keepUnit: true, ownCgroups: "all" };
	const inService = isInService();
	const obstacle = machinedObstacle();
	if (obstacle === undefined) {
		const keepUnit = inService || (owner !== 0 && enterScope(uuid));
		if (keepUnit && owner !== 0) giveUnitCgroups(owner);
		return { register: true, keepUnit, ownCgroups: keepUnit ? "undelegated" : "none" };
	}
	if (inService && owner !== 0) giveUnitCgroups(owner);
	createLog("run", false).info(`${obstacle}: the pod is not registered with machined`);
	return { register: false, keepUnit: true, ownCgroups: inService ? "undelegated" : "all" };
}

/** Why machined cannot be reached. nspawn would fail after the pod has been set up; this reads four files. */
function machinedObstacle(): string | undefined {
	if (!fs.existsSync(MACHINED_SERVICE)) return "machined is not installed";
	// Of the host's own network namespace: this process may have moved on to the pod's.
	const sockets = fs.readFileSync("/proc/1/net/unix", "latin1").split("\n");
	const listening = sockets.some((line) => line.endsWith(` ${SYSTEM_BUS}`) && line.includes(" 00010000 "));
	if (!listening) return "D-Bus is not running";
	const masked = UNIT_DIRECTORIES.some(
		(directory) => readLinkIfExists(path.join(directory, "systemd-machined.service")) === "/dev/null",
	);
	return masked ? "machined is masked" : undefined;
}

function readLinkIfExists(file: string): string | undefined {
	try {
		return fs.readlinkSync(file);
	} catch (error) {
		if (isErrno(error, "ENOENT", "EINVAL")) return undefined;
		throw error;
	}
}

/**
 * True in a system service, of whatever slice; false in a login session, where services belong to the manager of the
 * user, and in a scope.
 */
function isInService(): boolean {
	const systemd = readHierarchies().find(
		({ version, controllers }) => version === 2 || controllers.includes("name=systemd"),
	);
	const unit = systemd === undefined ? "" : `/${path.relative(systemd.mountPoint, systemd.own)}`;
	return /^(?!\/user\.slice\/)(\/[^/]+\.slice)*\/[^/]+\.service$/.test(unit);
}

/**
 * machined keeps a machine whose supervisor was killed as long as the service is active, be it with the next pod in it.
 * It is asked to forget the machine only: to end it would end the service. That it is not there is no error.
 */
export function forgetMachine(uuid: string): void {
	const name = machineName(uuid);
	const known = readTextIfExists(path.join(REGISTERED_MACHINES, name)) ?? "";
	// Another machine may have taken the name.
	if (!/^SERVICE=rkt$/m.test(known)) return;
	const method = ["org.freedesktop.machine1.Manager", "UnregisterMachine", "s", name];
	runCommand(
		"busctl",
		["call", "--quiet", "org.freedesktop.machine1", "/org/freedesktop/machine1", ...method],
		{
			timeoutMs: 5000,
		},
	);
}
