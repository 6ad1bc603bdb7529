import { createLog } from "../../lib/log.ts";
import { parseGcArguments } from "../arguments.ts";
import { killPodProcesses } from "../cgroups/remove-cgroups.ts";
import type { Stage1Context } from "../entrypoints.ts";
import { syscallOf } from "../shared-state.ts";
import { releasePod } from "./release-pod.ts";

/**
 * The entry point `gc`: ends what is left of a pod and gives back what it holds outside of its directory. May be
 * called again, and for a pod of which only a part was ever made.
 */
export async function gc(argv: string[], context: Stage1Context): Promise<number> {
	const { uuid, debug, localConfig = "/etc/rkt" } = parseGcArguments(argv);
	const { podDirectory } = context;
	const syscall = await syscallOf(context);
	const log = createLog("gc", debug === true);
	killPodProcesses(podDirectory, uuid);
	releasePod({ syscall, log, podDirectory, uuid, localConfig });
	return 0;
}
