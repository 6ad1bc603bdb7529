import * as fs from "node:fs";
import { fail } from "../lib/errors.ts";
import { parseStopArguments } from "../stage1/arguments.ts";
import { killPodProcesses } from "../stage1/cgroups/remove-cgroups.ts";
import type { Stage1Context } from "../stage1/entrypoints.ts";
import { signalProcess } from "../stage1/left-over-processes.ts";
import { readRecordedProcess } from "../stage1/pod-record.ts";

/**
 * The entry point `stop`: asks the monitor to have the guest end its apps in order; with --force ends the monitor, which
 * takes the guest along, and what is left in the cgroups of the pod.
 */
export async function stop(argv: string[], context: Stage1Context): Promise<number> {
	const { uuid, force } = parseStopArguments(argv);
	const monitor = readRecordedProcess(context.podDirectory)?.pid;
	if (monitor === undefined || !fs.existsSync(`/proc/${monitor}`)) {
		fail("pod-not-running", `pod ${uuid} is not running`);
	}
	if (!force) {
		signalProcess(monitor, "SIGTERM");
		return 0;
	}
	signalProcess(monitor, "SIGKILL");
	killPodProcesses(context.podDirectory, uuid);
	return 0;
}
