import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../lib/errors.ts";
import { readTextIfExists } from "../lib/files.ts";
import { createLog } from "../lib/log.ts";
import { runCommand } from "../lib/process.ts";
import { enterScope } from "./cgroups/enter-scope.ts";
import { readHierarchies } from "./cgroups/hierarchies.ts";
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
	/**
	 * The pod stays below the cgroup that we are in, in one of its own: a service may run several pods, one after the other or
	 * at once. Otherwise machined makes the scope, as soon as the pod runs.
	 */
	readonly keepUnit: boolean;
}

/**
 * Decides by what runs on this host. Without systemd as PID 1 nobody else manages cgroups. On a systemd host whose
 * machined cannot be reached the pod is not registered, and that is said: machinectl does not know it then. `owner` is
 * root of the pod on the host; when that is not root there, the pod can limit its apps only below cgroups that it owns.
 */
export function choosePlacement({ uuid, owner }: { uuid: string; owner: number }): Placement {
	if (!isSystemdHost()) return { register: false, keepUnit: true };
	const obstacle = machinedObstacle();
	const log = createLog("run", false);
	if (obstacle !== undefined) {
		log.info(`${obstacle}: the pod is not registered with machined`);
		return { register: false, keepUnit: true };
	}
	if (isInService()) return { register: true, keepUnit: true };
	if (owner === 0) return { register: true, keepUnit: false };
	const keepUnit = enterScope(uuid);
	if (!keepUnit)
		log.info("warning: systemd makes no scope for the pod: limits of single apps have no effect");
	return { register: true, keepUnit };
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
