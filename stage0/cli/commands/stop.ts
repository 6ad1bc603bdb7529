import { fail, RktError } from "../../../lib/errors.ts";
import { writeStdout } from "../../../lib/log.ts";
import type { Syscall } from "../../../lib/syscall/syscall.ts";
import { buildStopArguments } from "../../../stage1/arguments.ts";
import { findContainerInits, signalProcess } from "../../../stage1/left-over-processes.ts";
import { callEntrypoint } from "../../handoff/call-entrypoint.ts";
import { readStage1OfPod } from "../../handoff/stage1-of-pod.ts";
import { observePod } from "../../pod/pod-lock.ts";
import { resolveUuid } from "../../pod/resolve-uuid.ts";
import { isAfterRun } from "../../pod/states.ts";
import type { CommandContext, Handler } from "../command.ts";
import { reportError } from "../output/report-error.ts";
import { readPodWords, readUuidFileOption } from "../pod-argument.ts";
import { EXIT_FAILURE } from "../program.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";
import { EXIT_UUID_FILE } from "./status.ts";

/** What asks systemd in a container to shut down, systemd(1). */
const SIGRTMIN_PLUS_3 = 37;

/** `rkt stop`: asks each pod in turn to end; it does not wait for that. */
export const stopPods: Handler = async (context, { options, args }) => {
	const fromFile = readUuidFileOption(context.log, options);
	if (fromFile === "unreadable") return EXIT_UUID_FILE;
	const words = readPodWords(fromFile, args);
	const dataDirectory = findDataDirectory(context);
	const syscall = await loadSyscall();
	let failures = 0;
	for (const word of words) {
		try {
			await stopPod(context, syscall, dataDirectory, word, options.on("force"));
		} catch (error) {
			reportError("stop", error, context.globals.debug);
			failures += 1;
		}
	}
	if (failures === 0) return 0;
	context.log.info(`failed to stop ${failures} pod(s)`);
	return EXIT_FAILURE;
};

async function stopPod(
	context: CommandContext,
	syscall: Syscall,
	dataDirectory: string,
	word: string,
	force: boolean,
): Promise<void> {
	const uuid = resolveUuid(dataDirectory, word);
	const pod = observePod(syscall, dataDirectory, uuid);
	if (pod !== undefined && isAfterRun(pod.state)) {
		const orphans = findContainerInits(uuid);
		for (const pid of orphans) signalProcess(pid, force ? "SIGKILL" : SIGRTMIN_PLUS_3);
		writeStdout(orphans.length > 0 ? `"${uuid}"\n` : `pod "${uuid}" is already stopped\n`);
		return;
	}
	if (pod?.state !== "running") {
		return fail("pod-not-running", `pod "${uuid}" is not running, it is ${pod?.state ?? "gone"}`, {
			hint: "rkt rm removes a prepared pod",
		});
	}
	const stage1 = readStage1OfPod(dataDirectory, pod.directory);
	const argv = buildStopArguments({ uuid, force });
	const { environment } = context;
	const status = await callEntrypoint("stop", { pod: pod.directory, stage1, argv, environment });
	if (status !== 0)
		throw new RktError("pod-not-stopped", `cannot stop pod "${uuid}": ${stage1.name} ended with ${status}`, {
			hint: `try rkt stop --force ${uuid}`,
		});
	writeStdout(`"${uuid}"\n`);
}
