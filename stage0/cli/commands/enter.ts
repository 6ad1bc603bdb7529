import { fail } from "../../../lib/errors.ts";
import type { Log } from "../../../lib/log.ts";
import type { Syscall } from "../../../lib/syscall/syscall.ts";
import { readContainerPid } from "../../../stage1/pod-record.ts";
import { enterStage1 } from "../../handoff/enter.ts";
import { readStage1OfPod } from "../../handoff/stage1-of-pod.ts";
import { type ObservedPod, observePod } from "../../pod/pod-lock.ts";
import { readPodManifest } from "../../pod/read-manifest.ts";
import { resolveUuid } from "../../pod/resolve-uuid.ts";
import type { Handler } from "../command.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

const POLL_MS = 100;
const DEFAULT_COMMAND = "/bin/bash";

/** `rkt enter`: this process becomes a command in a running pod. */
export const enterPod: Handler = async (context, { options, args }) => {
	const [word = "", ...rest] = args;
	const dataDirectory = findDataDirectory(context);
	const uuid = resolveUuid(dataDirectory, word);
	const syscall = await loadSyscall();
	const pod = requireRunning(syscall, dataDirectory, uuid);
	const app = chooseApp(context.log, pod, options.text("app"));
	const command = readCommand(context.log, rest);
	const pid = await waitForPid(syscall, dataDirectory, pod);
	return enterStage1(syscall, {
		pod: pod.directory,
		stage1: readStage1OfPod(dataDirectory, pod.directory),
		options: { pid, app, command },
		environment: context.environment,
	});
};

function requireRunning(syscall: Syscall, dataDirectory: string, uuid: string): ObservedPod {
	const pod = observePod(syscall, dataDirectory, uuid);
	if (pod?.state === "running") return pod;
	return fail("pod-not-running", `pod ${uuid} is not running, it is ${pod?.state ?? "gone"}`, {
		hint: "rkt list shows which pods run",
	});
}

function chooseApp(log: Log, pod: ObservedPod, wanted: string): string {
	const names = readPodManifest(pod.directory).apps.map((app) => app.name);
	if (wanted !== "") {
		if (names.includes(wanted)) return wanted;
		return fail("app-not-found", `pod ${pod.uuid} has no app ${JSON.stringify(wanted)}`, {
			hint: `its apps are: ${names.join(", ")}`,
		});
	}
	if (names.length === 1) return names[0] as string;
	log.info(`pod contains multiple apps:\n${names.map((name) => `\t${name}\n`).join("")}`);
	return fail("app-not-chosen", 'specify app using "rkt enter --app= ..."', {
		hint: "choose one with --app=NAME",
	});
}

/** A `--` between the pod and the command may be written and means nothing. */
function readCommand(log: Log, words: readonly string[]): readonly string[] {
	const command = words[0] === "--" ? words.slice(1) : words;
	if (command.length > 0) return command;
	log.info(`no command specified, assuming ${JSON.stringify(DEFAULT_COMMAND)}`);
	return [DEFAULT_COMMAND];
}

/** A pod that is just starting has no process to enter yet. */
async function waitForPid(syscall: Syscall, dataDirectory: string, pod: ObservedPod): Promise<number> {
	for (;;) {
		const pid = readContainerPid(pod.directory);
		if (pid !== undefined) return pid;
		await new Promise((resolve) => setTimeout(resolve, POLL_MS));
		requireRunning(syscall, dataDirectory, pod.uuid);
	}
}
