import { fail } from "../../../lib/errors.ts";
import {
	failWithoutJournal,
	findJournalctl,
	fixStart,
	type JournalQuery,
	journalctlArguments,
	journalFiles,
} from "../../pod/pod-journal.ts";
import { type ObservedPod, observePod } from "../../pod/pod-lock.ts";
import { readPodManifest } from "../../pod/read-manifest.ts";
import { isAfterRun } from "../../pod/states.ts";
import type { Handler } from "../command.ts";
import type { ParsedOptions } from "../parsed-options.ts";
import { readPodArgument, readUuidFileOption } from "../pod-argument.ts";
import { EXIT_FAILURE } from "../program.ts";
import { readJournalTime } from "../values/journal-time.ts";
import { invalidValue } from "../values/scalars.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt logs`: becomes journalctl on the pod's journal, or follows it until the pod has ended. */
export const showLogs: Handler = async (context, { options, args }) => {
	const query = readQuery(options);
	const fromFile = readUuidFileOption(context.log, options);
	if (fromFile === "unreadable") return EXIT_FAILURE;
	const dataDirectory = findDataDirectory(context);
	const uuid = readPodArgument(dataDirectory, fromFile, args);
	const syscall = await loadSyscall();
	const observe = (): ObservedPod | undefined => observePod(syscall, dataDirectory, uuid);
	checkPod(uuid, observe(), query.app);
	const journalctl = findJournalctl();
	if (options.on("follow")) {
		const { followJournal } = await import("../../pod/follow-journal.ts");
		const hasEnded = (): boolean => observe()?.state !== "running";
		await followJournal({ uuid, journalctl, query, hasEnded });
		return 0;
	}
	const files = journalFiles(uuid);
	if (files === undefined) failWithoutJournal(uuid);
	if (files.length === 0) return 0;
	const argv = ["journalctl", ...journalctlArguments(files, fixStart(journalctl, files, query))];
	return syscall.execve(journalctl, argv, { ...context.environment }, []);
};

function readQuery(options: ParsedOptions): JournalQuery {
	const given = (name: string): string | undefined => (options.given(name) ? options.text(name) : undefined);
	const time = (name: string): string | undefined => {
		const value = given(name);
		return value === undefined ? undefined : readJournalTime(name, value);
	};
	const lines = options.integer("lines");
	if (lines !== undefined && lines < 0) invalidValue("lines", String(lines), "it must not be negative");
	return {
		app: given("app"),
		since: time("since"),
		until: time("until"),
		lines,
		output: options.text("output"),
	};
}

function checkPod(uuid: string, pod: ObservedPod | undefined, app: string | undefined): void {
	if (pod === undefined || (pod.state !== "running" && !isAfterRun(pod.state))) {
		fail("pod-not-started", `pod ${uuid} has no logs, it is ${pod?.state ?? "gone"}`, {
			hint: `a prepared pod is started with rkt run-prepared ${uuid}`,
		});
	}
	if (app === undefined) return;
	const names = readPodManifest(pod.directory).apps.map(({ name }) => name);
	if (names.includes(app)) return;
	fail("app-not-found", `pod ${uuid} has no app ${JSON.stringify(app)}`, {
		hint: `its apps are: ${names.join(", ")}`,
	});
}
