import * as fs from "node:fs";
import { isSystemdHost } from "../stage1/journal.ts";
import { readHierarchies } from "./cgroups/hierarchies.ts";

const SYSTEM_BUS = "/run/dbus/system_bus_socket";
const MACHINED_SERVICE = "/usr/share/dbus-1/system-services/org.freedesktop.machine1.service";

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

/** True in a system service such as one made by systemd-run, false in a login session. */
function isInService(): boolean {
	const systemd = readHierarchies().find(
		({ version, controllers }) => version === 2 || controllers.includes("name=systemd"),
	);
	return /\/system\.slice\/.*\.service$|\/machine\.slice\/.*\.service$/.test(systemd?.own ?? "");
}
