import * as fs from "node:fs";
import { crashPoint } from "../../lib/crash-point.ts";
import { RktError } from "../../lib/errors.ts";
import { lstatIfExists } from "../../lib/files.ts";
import { unmountBelow } from "../../lib/mountinfo.ts";
import { runCommand } from "../../lib/process.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import * as podPaths from "../../stage1/pod-paths.ts";
import type { LockedPod } from "./pod-lock.ts";
import { toGarbage } from "./transitions.ts";

/** What stage1 has to clean up before the files of the pod go; a failure is reported and does not keep the pod. */
export type CleanStage1 = (pod: LockedPod) => Promise<void>;

/**
 * Removes a pod that is marked as garbage and locked by us: stage1 cleans up, every mount below the pod goes,
 * then the files. What tells how to clean up is removed last, so an interrupted deletion can be repeated.
 * Errors: `pod-not-removed`.
 */
export async function deletePod(syscall: Syscall, pod: LockedPod, clean: CleanStage1): Promise<void> {
	const { directory } = pod;
	try {
		if (lstatIfExists(podPaths.stage1ManifestPath(directory))) await clean(pod);
		crashPoint("delete-stage1-cleaned");
		unmountBelow(syscall, fs.realpathSync(directory));
		crashPoint("delete-unmounted");
		removeTree(podPaths.stage1Rootfs(directory));
		crashPoint("delete-stage1-removed");
		removeTree(directory);
	} finally {
		pod.lock.release();
	}
}

/**
 * Takes back a pod whose making failed: nothing has run in it. `clean` is for a pod that stage1 has seen. A second
 * failure is not reported: the pod is left in a state that `rkt gc` clears.
 */
export async function discardPod(
	syscall: Syscall,
	dataDirectory: string,
	pod: LockedPod,
	clean: CleanStage1 = async () => {},
): Promise<void> {
	try {
		const marked = toGarbage(dataDirectory, pod);
		if (marked) await deletePod(syscall, marked, clean);
	} catch {
		// The lock ends with this process at the latest.
	}
}

/**
 * rm(1) works on directory descriptors: it follows no link, also not one that a left-over process of the pod
 * puts in place of a directory meanwhile, and stays on one file system.
 */
function removeTree(directory: string): void {
	const result = runCommand("rm", ["-rf", "--one-file-system", "--", directory]);
	if (result.status === 0) return;
	const reason = result.stderr.trim().split("\n")[0] ?? "";
	throw new RktError("pod-not-removed", `cannot remove ${directory}: ${reason}`, {
		hint: "something still uses it, or a file is immutable (lsattr); then run rkt gc again",
	});
}
