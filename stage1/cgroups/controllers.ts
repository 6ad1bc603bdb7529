import * as fs from "node:fs";
import * as path from "node:path";
import type { AppLimits } from "../../appc/schema/app-isolators.ts";
import type { Log } from "../../lib/log.ts";
import { type Hierarchy, readHierarchies } from "./hierarchies.ts";

/** What limits an app, by its name in version 1. */
type Controller = "memory" | "cpu" | "pids" | "blkio";

/** Of each limit the controller and the isolator that asks for it. */
const NEEDED = {
	memoryLimit: ["memory", "resource/memory"],
	cpuLimit: ["cpu", "resource/cpu"],
	cpuShares: ["cpu", "os/linux/cpu-shares"],
	pidsLimit: ["pids", "resource/pids"],
	blockBandwidth: ["blkio", "resource/block-bandwidth"],
	blockIops: ["blkio", "resource/block-iops"],
} as const satisfies Partial<Record<keyof AppLimits, readonly [Controller, string]>>;

/** The controllers of version 1, and of version 2 those that a cgroup has; the top one when none is named. */
export function readControllers(
	hierarchies: readonly Hierarchy[] = readHierarchies(),
	unified?: string,
): ReadonlySet<string> {
	const found = hierarchies.flatMap(({ version, controllers, mountPoint }) =>
		version === 1 ? controllers : unifiedControllers(unified ?? mountPoint),
	);
	return new Set(found);
}

/** Version 2 has another name for one of them. */
function unifiedControllers(cgroup: string): string[] {
	const names = fs.readFileSync(path.join(cgroup, "cgroup.controllers"), "utf8").trim().split(" ");
	return names.map((name) => (name === "io" ? "blkio" : name));
}

/** Says which limits of the apps have no effect, because nothing applies them to this pod. */
export function warnOfMissingControllers(
	log: Log,
	apps: readonly { readonly app: string; readonly limits: Partial<AppLimits> }[],
	available: ReadonlySet<string>,
): void {
	for (const { app, limits } of apps) {
		for (const [limit, [controller, isolator]] of Object.entries(NEEDED)) {
			if (limits[limit as keyof typeof NEEDED] === undefined || available.has(controller)) continue;
			log.info(
				`warning: app ${app}: isolator ${isolator} has no effect: the pod has no cgroup controller ${controller}`,
			);
		}
	}
}
