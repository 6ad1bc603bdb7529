import * as fs from "node:fs";
import * as path from "node:path";
import { runCommand } from "../lib/process.ts";
import { isSystemdHost } from "../stage1/journal.ts";
import { machineName } from "../stage1/pod-paths.ts";
import { readHierarchies } from "./cgroups/hierarchies.ts";

const SYSTEM_BUS = "/run/dbus/system_bus_socket";
const MACHINED_SERVICE = "/usr/share/dbus-1/system-services/org.freedesktop.machine1.service";

/** Where machined keeps what it knows. */
const REGISTERED_MACHINES = "/run/systemd/machines";

/** How the pod is placed among the machine's cgroups. */
export interface Placement {
	/** machined makes a scope for the pod, or takes the service that we are in as the pod's. */
	readonly register: boolean;
	/** We are in a cgroup that the pod is to use: a service of the host's systemd, or one that we made. */
	readonly keepUnit: boolean;
	/** We have to make a cgroup. */
	readonly ownCgroup: boolean;
}

/** Decides by what runs on this host. Without systemd as PID 1 nobody else manages cgroups. */
export function choosePlacement(): Placement {
	const managed = isSystemdHost() && fs.existsSync(SYSTEM_BUS) && fs.existsSync(MACHINED_SERVICE);
	if (!managed) return { register: false, keepUnit: true, ownCgroup: true };
	return { register: true, keepUnit: isInService(), ownCgroup: false };
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
	if (!fs.existsSync(path.join(REGISTERED_MACHINES, name))) return;
	const method = ["org.freedesktop.machine1.Manager", "UnregisterMachine", "s", name];
	runCommand(
		"busctl",
		["call", "--quiet", "org.freedesktop.machine1", "/org/freedesktop/machine1", ...method],
		{
			timeoutMs: 5000,
		},
	);
}
