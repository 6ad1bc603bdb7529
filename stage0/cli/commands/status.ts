import { fail } from "../../../lib/errors.ts";
import { writeStdout } from "../../../lib/log.ts";
import type { GuestKernel } from "../../../stage1/guest-kernel.ts";
import { isSupervisorReady } from "../../../stage1/pod-record.ts";
import { type Phase, phaseText, readTrace } from "../../../stage1/trace.ts";
import { readGuestKernelOfPod } from "../../handoff/stage1-of-pod.ts";
import { type ObservedPod, observePod } from "../../pod/pod-lock.ts";
import { type PodView, toPodJson, viewPod } from "../../pod/pod-view.ts";
import { isFinished } from "../../pod/states.ts";
import type { Handler } from "../command.ts";
import { fullTime } from "../output/human.ts";
import { type OutputFormat, printJson } from "../output/print-json.ts";
import { formatTabTable } from "../output/tab-table.ts";
import { readPodArgument, readUuidFileOption } from "../pod-argument.ts";
import { invalidValue, parseBool, parseDuration } from "../values/scalars.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";
import { formatNetworks } from "./list.ts";

const POLL_MS = 100;
/** Status of `status` and `stop` for an UUID file that cannot be read. */
export const EXIT_UUID_FILE = 1;

/** `rkt status`: waits when it is asked to, then prints state and exit statuses. */
export const showStatus: Handler = async (context, { options, args }) => {
	const waitReady = readWait("wait-ready", options.text("wait-ready"));
	const wait = readWait("wait", options.text("wait"));
	const fromFile = readUuidFileOption(context.log, options);
	if (fromFile === "unreadable") return EXIT_UUID_FILE;
	const dataDirectory = findDataDirectory(context);
	const uuid = readPodArgument(dataDirectory, fromFile, args);
	const syscall = await loadSyscall();
	const observe = (): ObservedPod | undefined => observePod(syscall, dataDirectory, uuid);
	await waitFor(waitReady, () => isReady(observe(), uuid));
	await waitFor(wait, () => {
		const pod = observe();
		return pod === undefined || isFinished(pod.state);
	});
	const view = viewPod(observe() ?? gone(uuid));
	for (const problem of view.problems) throw problem;
	const format = options.text("format") as OutputFormat;
	const kernel = readGuestKernelOfPod(view.pod.directory);
	const trace = options.on("trace") ? requireTrace(view) : undefined;
	if (format === "") writeStdout(statusText(view) + kernelText(kernel) + traceTable(trace));
	else
		printJson({ ...toPodJson(view), ...(kernel && { guest_kernel: kernel }), ...toTraceJson(trace) }, format);
	return 0;
};

/** Milliseconds to wait; undefined for no wait and infinity for no end. */
function readWait(flagName: string, value: string): number | undefined {
	const on = parseBool(value);
	if (on !== undefined) return on ? Number.POSITIVE_INFINITY : undefined;
	const time = parseDuration(value);
	if (time === undefined) {
		return invalidValue(flagName, value, "expected true, false or a duration such as 10s");
	}
	if (time === 0) return undefined;
	return time < 0 ? Number.POSITIVE_INFINITY : time;
}

/** A pod that has ended will never be ready. */
function isReady(pod: ObservedPod | undefined, uuid: string): boolean {
	if (pod === undefined) return gone(uuid);
	if (isSupervisorReady(pod.directory)) return true;
	if (!isFinished(pod.state)) return false;
	return fail("pod-not-ready", `pod ${uuid} is ${pod.state}, it was never ready`, {
		hint: "see why with rkt status and the journal of the pod",
	});
}

function gone(uuid: string): never {
	return fail("pod-not-found", `pod ${uuid} is gone`, { hint: "rkt list shows the pods" });
}

async function waitFor(milliseconds: number | undefined, condition: () => boolean): Promise<void> {
	if (milliseconds === undefined) return;
	const end = Date.now() + milliseconds;
	while (!condition()) {
		const left = end - Date.now();
		if (left <= 0) fail("wait-timed-out", "context deadline exceeded", { hint: "wait longer: --wait=5m" });
		await new Promise((resolve) => setTimeout(resolve, Math.min(POLL_MS, left)));
	}
}

function kernelText(kernel: GuestKernel | undefined): string {
	if (kernel === undefined) return "";
	const { release, source, sha512 } = kernel;
	return `guest-kernel=${release}\nguest-kernel-source=${source}\nguest-kernel-sha512=${sha512}\n`;
}

function requireTrace({ pod }: PodView): Phase[] {
	return (
		readTrace(pod.directory) ??
		fail("pod-not-traced", `pod ${pod.uuid} is not traced`, { hint: "start it with rkt run --trace" })
	);
}

function traceTable(trace: readonly Phase[] | undefined): string {
	if (trace === undefined) return "";
	return `\n${formatTabTable([["PHASE", "TOOK, MS", "AT, MS"], ...trace.map(phaseText)])}`;
}

function toTraceJson(trace: readonly Phase[] | undefined): Record<string, unknown> {
	return trace === undefined
		? {}
		: { trace: trace.map(({ phase, took, at }) => ({ phase, took_us: took, at_us: at })) };
}

const WITH_NETWORKS = ["running", "exited"];
const EXITED = ["exited", "exited garbage"];

function statusText(view: PodView): string {
	const { state } = view.pod;
	const pid = view.readPid();
	const statuses = state === "running" ? [] : [...view.readExitStatuses()];
	const insecure = view.readInsecureOptions();
	const privateUsers = view.readPrivateUsers();
	const outOfMemory = state === "running" ? [] : [...view.readOutOfMemory()];
	const lines = [
		`state=${state}`,
		...(view.created ? [`created=${fullTime(view.created)}`] : []),
		...(view.started ? [`started=${fullTime(view.started)}`] : []),
		...(WITH_NETWORKS.includes(state) ? [`networks=${formatNetworks(view.networks)}`] : []),
		...(pid === undefined ? [] : [`pid=${pid}`]),
		`exited=${EXITED.includes(state)}`,
		...(privateUsers === undefined ? [] : [`private-users=${privateUsers}`]),
		...(insecure.length > 0 ? [`insecure-options=${insecure.join(",")}`] : []),
		...statuses.map(([app, status]) => `app-${app}=${status}`),
		...(outOfMemory.length > 0 ? [`oom-killed=${outOfMemory.join(",")}`] : []),
	];
	return `${lines.join("\n")}\n`;
}
