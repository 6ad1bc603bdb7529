import { lstatIfExists } from "../../../lib/files.ts";
import { writeStdout } from "../../../lib/log.ts";
import type { Syscall } from "../../../lib/syscall/syscall.ts";
import { createCleaner } from "../../handoff/clean-pod.ts";
import { collectPods } from "../../pod/collect.ts";
import { storeLayout } from "../../store/layout.ts";
import type { Handler } from "../command.ts";
import { reportError } from "../output/report-error.ts";
import { formatDuration } from "../values/scalars.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt gc`: pods that cannot be collected are told and tried again the next time; that is no failure. */
export const collectGarbage: Handler = async (context, { options }) => {
	const { globals, environment, log } = context;
	const dataDirectory = findDataDirectory(context);
	const gracePeriodMs = options.duration("grace-period");
	const syscall = await loadSyscall();
	await collectPods(syscall, {
		dataDirectory,
		gracePeriodMs,
		expirePreparedMs: options.duration("expire-prepared"),
		markOnly: options.on("mark-only"),
		clean: createCleaner(syscall, { dataDirectory, localConfig: globals.localConfig, environment, log }),
		onMark: (uuid) => log.info(`moving pod "${uuid}" to garbage`),
		onDelete: (uuid) => writeStdout(`Garbage collecting pod "${uuid}"\n`),
		onKept: (uuid) =>
			log.info(`pod "${uuid}" not removed: still within grace period (${formatDuration(gracePeriodMs)})`),
		onError: (_uuid, error) => reportError("gc", error, globals.debug),
	});
	if (!options.on("mark-only")) await sweepStore(dataDirectory, syscall, gracePeriodMs);
	return 0;
};

/** What killed commands left of images; parts of downloads may be resumed within the grace period. */
async function sweepStore(dataDirectory: string, syscall: Syscall, graceMs: number): Promise<void> {
	if (!lstatIfExists(storeLayout(dataDirectory).directory)) return;
	const { openStore } = await import("../../store/store.ts");
	openStore(dataDirectory, syscall).sweep(graceMs);
}
