import * as fs from "node:fs";
import { fail } from "../lib/errors.ts";
import { parseStopArguments } from "../stage1/arguments.ts";
import { killPodProcesses } from "../stage1/cgroups/remove-cgroups.ts";
import type { Stage1Context } from "../stage1/entrypoints.ts";
import { signalProcess } from "../stage1/left-over-processes.ts";
import { readContainerPid, readRecordedProcess } from "../stage1/pod-record.ts";

/**
 * The entry point `stop`: asks systemd-nspawn to end the pod, which stops its apps in order; with --force kills first
 * what is inside, then nspawn, then what a nspawn that was killed before has left behind.
 */
export async function stop(argv: string[], context: Stage1Context): Promise<number> {
	const { uuid, force } = parseStopArguments(argv);
	const supervisor = readRecordedProcess(context.podDirectory)?.pid;
	if (supervisor === undefined || !fs.existsSync(`/proc/${supervisor}`)) {
		fail("pod-not-running", `pod ${uuid} is not running`);
	}
	if (!force) {
		signalProcess(supervisor, "SIGTERM");
		return 0;
	}
	const first = readContainerPid(context.podDirectory);
	if (first !== undefined) signalProcess(first, "SIGKILL");
	signalProcess(supervisor, "SIGKILL");
	killPodProcesses(context.podDirectory, uuid);
	return 0;
}
