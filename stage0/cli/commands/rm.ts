import { fail } from "../../../lib/errors.ts";
import { writeStdout } from "../../../lib/log.ts";
import type { Syscall } from "../../../lib/syscall/syscall.ts";
import { createCleaner } from "../../handoff/clean-pod.ts";
import { type CleanStage1, deletePod } from "../../pod/delete-pod.ts";
import { type LockedPod, observePod, tryLockPod } from "../../pod/pod-lock.ts";
import { resolveUuid } from "../../pod/resolve-uuid.ts";
import { toGarbage } from "../../pod/transitions.ts";
import type { Handler } from "../command.ts";
import { reportError } from "../output/report-error.ts";
import { readPodWords, readUuidFileOption } from "../pod-argument.ts";
import { EXIT_FAILURE } from "../program.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt rm`: removes pods that do not run, at once. */
export const removePods: Handler = async (context, { options, args }) => {
	const fromFile = readUuidFileOption(context.log, options);
	if (fromFile === "unreadable") return EXIT_FAILURE;
	const words = readPodWords(fromFile, args);
	const dataDirectory = findDataDirectory(context);
	const syscall = await loadSyscall();
	const { globals, environment, log } = context;
	const clean = createCleaner(syscall, { dataDirectory, localConfig: globals.localConfig, environment, log });
	let failures = 0;
	for (const word of words) {
		try {
			await removePod(syscall, dataDirectory, word, clean);
		} catch (error) {
			reportError("rm", error, globals.debug);
			failures += 1;
		}
	}
	if (failures === 0) return 0;
	log.info(`failed to remove one or more pods`);
	return EXIT_FAILURE;
};

async function removePod(
	syscall: Syscall,
	dataDirectory: string,
	word: string,
	clean: CleanStage1,
): Promise<void> {
	const uuid = resolveUuid(dataDirectory, word);
	await deletePod(syscall, takePod(syscall, dataDirectory, uuid), clean);
	writeStdout(`"${uuid}"\n`);
}

/** The lock decides: whoever holds it runs, prepares or deletes the pod. */
function takePod(syscall: Syscall, dataDirectory: string, uuid: string): LockedPod {
	const pod = observePod(syscall, dataDirectory, uuid);
	const locked = pod && tryLockPod(syscall, pod);
	const marked = locked && toGarbage(dataDirectory, locked);
	if (marked) return marked;
	const state = observePod(syscall, dataDirectory, uuid)?.state ?? "gone";
	return fail("pod-in-use", `pod "${uuid}" is ${state}`, {
		hint: state === "running" ? `stop it first: rkt stop ${uuid}` : "another command works on it",
	});
}
