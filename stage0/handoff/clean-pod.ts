import * as fs from "node:fs";
import { messageOf, RktError } from "../../lib/errors.ts";
import { lstatIfExists, readTextIfExists } from "../../lib/files.ts";
import type { Log } from "../../lib/log.ts";
import { isMountPoint } from "../../lib/mountinfo.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { buildGcArguments } from "../../stage1/arguments.ts";
import * as podPaths from "../../stage1/pod-paths.ts";
import type { CleanStage1 } from "../pod/delete-pod.ts";
import { isOverlayPod } from "../pod/mount-pod.ts";
import { mountOverlay } from "../pod/overlay-mount.ts";
import type { LockedPod } from "../pod/pod-lock.ts";
import { callEntrypoint } from "./call-entrypoint.ts";
import { readStage1OfPod, type Stage1OfPod } from "./stage1-of-pod.ts";

export interface CleanOptions {
	readonly dataDirectory: string;
	readonly localConfig: string;
	readonly environment: Readonly<Record<string, string>>;
	readonly log: Log;
}

/**
 * Lets stage1 take back what it set up for a pod: network, cgroup, journal link. A pod that never ran has
 * nothing of that. A failure is told and does not keep the pod, as in rkt: its files would stay for ever.
 */
export function createCleaner(syscall: Syscall, options: CleanOptions): CleanStage1 {
	return async (pod) => {
		await unregister(pod, options.log);
		if (pod.where !== "exited-garbage") return;
		try {
			const stage1 = readStage1OfPod(options.dataDirectory, pod.directory);
			mountStage1Again(syscall, stage1, pod);
			const { debugging: debug } = options.log;
			const request = { uuid: pod.uuid, debug, localConfig: options.localConfig };
			const status = await callEntrypoint("gc", {
				pod: pod.directory,
				stage1,
				argv: buildGcArguments(request, stage1.entrypoints.interfaceVersion),
				environment: options.environment,
			});
			if (status !== 0)
				throw new RktError("stage1-gc-failed", `gc of ${stage1.name} ended with status ${status}`);
		} catch (error) {
			options.log.info(`problem performing stage1 GC on "${pod.uuid}": ${messageOf(error)}`);
		}
	};
}

/** Also a pod that was killed before it ran may be registered. */
async function unregister(pod: LockedPod, log: Log): Promise<void> {
	if (!lstatIfExists(podPaths.metadataRegisteredPath(pod.directory))) return;
	try {
		const { unregisterPod } = await import("../metadata/client.ts");
		await unregisterPod(pod.uuid);
	} catch (error) {
		log.info(`cannot unregister pod "${pod.uuid}" from the metadata service: ${messageOf(error)}`);
	}
}

/** A foreign stage1 may look into its root; ours reads what it needs from the upper directory. */
function mountStage1Again(syscall: Syscall, stage1: Stage1OfPod, pod: LockedPod): void {
	const { directory } = pod;
	const root = podPaths.stage1Rootfs(directory);
	const treeId = readTextIfExists(podPaths.stage1TreeStoreIdPath(directory))?.trim() ?? "";
	const upper = podPaths.overlayUpper(directory, treeId);
	if (stage1.entrypoints.module !== undefined || !isOverlayPod(directory)) return;
	if (!lstatIfExists(root) || !lstatIfExists(upper) || isMountPoint(fs.realpathSync(root))) return;
	const work = podPaths.overlayWork(directory, treeId);
	mountOverlay(syscall, { lowers: [stage1.rootfs], upper, work, target: root });
}
