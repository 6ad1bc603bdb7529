import { messageOf } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { removePodCgroups } from "../cgroups/remove-cgroups.ts";
import { removeJournalDirectory } from "../journal.ts";
import { forgetMachine } from "../machined.ts";
import { tearDownNetwork } from "../network/tear-down.ts";
import { ownStage1Root } from "./own-files.ts";
import { localConfig, type RunContext } from "./run-context.ts";

export interface ReleaseOptions {
	readonly syscall: Syscall;
	readonly log: Log;
	readonly podDirectory: string;
	readonly uuid: string;
	readonly localConfig: string;
}

/**
 * Gives back what a pod holds outside of its directory: network, cgroups, journal, registration. Each step is tried even when one
 * before it failed; the first failure is thrown at the end. Nothing there is no error.
 */
export function releasePod(options: ReleaseOptions): void {
	const { syscall, log, podDirectory, uuid, localConfig } = options;
	const stage1Rootfs = ownStage1Root(podDirectory);
	const failures: unknown[] = [];
	const steps = [
		() => tearDownNetwork({ syscall, log, podDirectory, uuid, localConfig, stage1Rootfs }),
		() => removePodCgroups(podDirectory, uuid),
		() => forgetMachine(uuid),
		() => removeJournalDirectory(uuid),
	];
	for (const step of steps) {
		try {
			step();
		} catch (error) {
			failures.push(error);
		}
	}
	if (failures.length > 0) throw failures[0];
}

/**
 * Takes back what a start that failed has made outside of the pod directory. What fails at that is only told: why the start
 * failed is what counts. `joined` is the way into the pod's cgroups, which may still be going on.
 */
export async function undoStart(context: RunContext, joined: Promise<void> | undefined): Promise<void> {
	const { syscall, log, pod, options, wayBack } = context;
	await joined?.catch(() => undefined);
	for (const step of wayBack) step();
	try {
		const { directory: podDirectory } = pod;
		releasePod({ syscall, log, podDirectory, uuid: options.uuid, localConfig: localConfig(options) });
	} catch (error) {
		log.info(`cleaning up after a start that failed: ${messageOf(error)}`);
	}
}
