import { fail } from "../../../lib/errors.ts";
import type { Syscall } from "../../../lib/syscall/syscall.ts";
import { mark, startTrace } from "../../../lib/trace.ts";
import { beginPodTrace } from "../../../stage1/trace.ts";
import { readStage1OfPod } from "../../handoff/stage1-of-pod.ts";
import { isOverlayPod } from "../../pod/mount-pod.ts";
import { overlayProblem } from "../../pod/overlay-support.ts";
import { podPlace } from "../../pod/pod-directories.ts";
import { observePod, tryLockPod } from "../../pod/pod-lock.ts";
import { readPodManifest } from "../../pod/read-manifest.ts";
import { resolveUuid } from "../../pod/resolve-uuid.ts";
import { toRun } from "../../pod/transitions.ts";
import { treesOfPod } from "../../pod/trees-of-pod.ts";
import type { Handler } from "../command.ts";
import { checkPreparedPod } from "../pod-policy.ts";
import { readVerify } from "../prepare-flags.ts";
import { checkInteractive, checkPortsHaveNetwork, readStartFlags } from "../start-flags.ts";
import { checkVolumes, handOver, mountForStart, registerForStart } from "../start-pod.ts";
import { findDataDirectory, loadSyscall, readConfig } from "../workspace.ts";

/** Long after the pod was prepared, the images may not be what they were. Errors: `image-damaged`, `tree-missing`. */
async function checkTrees(
	syscall: Syscall,
	dataDirectory: string,
	pod: string,
	whole: boolean,
): Promise<void> {
	const { openStore } = await import("../../store/store.ts");
	const store = openStore(dataDirectory, syscall);
	for (const treeId of treesOfPod(pod)) await store.checkTree(treeId, { whole });
}

/** `rkt run-prepared`: starts a prepared pod; a refusal leaves it prepared. */
export const runPrepared: Handler = async (context, invocation) => {
	const began = invocation.options.on("trace") ? startTrace() : undefined;
	mark("stage0 start");
	const flags = await readStartFlags(context, invocation.options);
	const config = readConfig(context);
	const dataDirectory = findDataDirectory(context, config);
	const uuid = resolveUuid(dataDirectory, invocation.args[0] as string);
	const syscall = await loadSyscall();
	const place = podPlace(dataDirectory, "prepared", uuid);
	const pod = tryLockPod(syscall, place);
	if (pod === undefined) {
		const state = observePod(syscall, dataDirectory, uuid)?.state ?? "gone";
		return fail("pod-not-prepared", `pod ${uuid} is not prepared, it is ${state}`, {
			hint: "a pod runs once; make another one with rkt prepare",
		});
	}
	const manifest = readPodManifest(pod.directory);
	checkInteractive(flags.interactive, manifest.apps.length);
	checkPortsHaveNetwork(manifest.ports, flags.net, context.environment);
	checkVolumes(manifest);
	const problem = isOverlayPod(pod.directory) ? overlayProblem(dataDirectory) : undefined;
	if (problem !== undefined) {
		fail("overlay-unsupported", `the pod was prepared with overlay, which is not supported: ${problem}`, {
			hint: "prepare it again with --no-overlay",
		});
	}
	readStage1OfPod(dataDirectory, pod.directory);
	const volumeBounds = await checkPreparedPod(context, { dataDirectory, syscall }, pod.directory, flags);
	const appNames = manifest.apps.map((app) => app.name);
	await checkTrees(syscall, dataDirectory, pod.directory, readVerify(invocation.options));
	mark("stage0 pod");
	const mdsToken = await registerForStart(flags, pod, appNames);
	const running = toRun(dataDirectory, pod, true);
	const started = { syscall, dataDirectory, appNames, flags, config, mdsToken, volumeBounds };
	const request = { ...started, pod: running };
	await mountForStart(request);
	mark("stage0 mounts");
	beginPodTrace(running.directory, began);
	return handOver(context, request);
};
