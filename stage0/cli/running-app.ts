import { fail } from "../../lib/errors.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { readContainerPid } from "../../stage1/pod-record.ts";
import { readStage1OfPod, type Stage1OfPod } from "../handoff/stage1-of-pod.ts";
import { type ObservedPod, observePod } from "../pod/pod-lock.ts";
import { resolveUuid } from "../pod/resolve-uuid.ts";
import { chooseApp } from "./choose-app.ts";
import type { CommandContext } from "./command.ts";
import { findDataDirectory, loadSyscall } from "./workspace.ts";

const POLL_MS = 100;

/** An app of a running pod, for a command that goes there. */
export interface RunningApp {
	readonly syscall: Syscall;
	readonly pod: ObservedPod;
	readonly stage1: Stage1OfPod;
	readonly app: string;
	/** PID 1 of the pod: one that is just starting has no process to enter yet. */
	readonly waitForPid: () => Promise<number>;
}

/**
 * Finds the pod by its UUID or a beginning of it, and the app by its name, which may be empty where there is only one; `command`
 * is what the user has typed.
 * Errors: `pod-not-running`, `app-not-found`, `app-not-chosen`, and those of UUIDs.
 */
export async function findRunningApp(
	context: CommandContext,
	{ command, word, name }: { readonly command: string; readonly word: string; readonly name: string },
): Promise<RunningApp> {
	const dataDirectory = findDataDirectory(context);
	const uuid = resolveUuid(dataDirectory, word);
	const syscall = await loadSyscall();
	const pod = requireRunning(syscall, dataDirectory, uuid);
	return {
		...{ syscall, pod },
		stage1: readStage1OfPod(dataDirectory, pod.directory),
		app: chooseApp(context.log, { command, pod, name }),
		waitForPid: () => waitForPid(syscall, dataDirectory, pod),
	};
}

function requireRunning(syscall: Syscall, dataDirectory: string, uuid: string): ObservedPod {
	const pod = observePod(syscall, dataDirectory, uuid);
	if (pod?.state === "running") return pod;
	return fail("pod-not-running", `pod ${uuid} is not running, it is ${pod?.state ?? "gone"}`, {
		hint: "rkt list shows which pods run",
	});
}

async function waitForPid(syscall: Syscall, dataDirectory: string, pod: ObservedPod): Promise<number> {
	for (;;) {
		const pid = readContainerPid(pod.directory);
		if (pid !== undefined) return pid;
		await new Promise((resolve) => setTimeout(resolve, POLL_MS));
		requireRunning(syscall, dataDirectory, pod.uuid);
	}
}
