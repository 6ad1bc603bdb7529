import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { lstatIfExists } from "../../lib/files.ts";
import {
	failWithoutJournal,
	fixStart,
	type JournalQuery,
	journalctlArguments,
	journalFiles,
} from "./pod-journal.ts";

const POLL_MS = 100;

export interface FollowOptions {
	readonly uuid: string;
	readonly journalctl: string;
	readonly query: JournalQuery;
	/** True when nothing more will be written. */
	readonly hasEnded: () => boolean;
}

/**
 * Shows a journal and what is added to it until the pod has ended. journalctl's own --follow would not know when, so it
 * is called again after each change and told where it left off. Errors: `journal-missing`, `journal-unreadable`.
 */
export async function followJournal(options: FollowOptions): Promise<void> {
	const directory = fs.mkdtempSync(path.join(os.tmpdir(), "rkt-logs-"));
	const remove = (): void => fs.rmSync(directory, { recursive: true, force: true });
	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
		process.once(signal, () => {
			remove();
			process.exit(128 + os.constants.signals[signal]);
		});
	}
	try {
		await showUntilEnd(options, path.join(directory, "cursor"));
	} finally {
		remove();
	}
}

async function showUntilEnd(options: FollowOptions, cursor: string): Promise<void> {
	for (let shown: string | undefined; ; ) {
		// Asked before the journal is read, so that what came last is shown too.
		const ended = options.hasEnded();
		const files = journalFiles(options.uuid);
		if (files === undefined && ended) failWithoutJournal(options.uuid);
		// A pod that is just starting has none yet.
		const present = stateOf(files ?? []);
		if (files !== undefined && (ended || present !== shown)) {
			const status = await showNew(options, files, cursor);
			if (status === "unread") return;
			// A file that is being made cannot be read yet.
			if (status !== 0 && ended) fail("journal-unreadable", `journalctl ended with ${status}`);
			shown = present;
		}
		if (ended) return;
		await new Promise((resolve) => setTimeout(resolve, POLL_MS));
	}
}

/** journald touches a file after it has written. */
function stateOf(files: readonly string[]): string {
	return files.map((file) => `${file}:${lstatIfExists(file)?.mtimeMs}`).join();
}

/** Gives the status of journalctl, or says that nobody reads our output any more. */
async function showNew(
	options: FollowOptions,
	files: readonly string[],
	cursor: string,
): Promise<number | "unread"> {
	if (files.length === 0) return 0;
	const continued = lstatIfExists(cursor) !== undefined;
	const query = continued
		? { ...options.query, since: undefined, lines: undefined }
		: fixStart(options.journalctl, files, options.query);
	const argv = [`--cursor-file=${cursor}`, ...journalctlArguments(files, query)];
	const child = spawn(options.journalctl, argv, { stdio: ["ignore", "inherit", "inherit"] });
	return new Promise((resolve, reject) => {
		child.on("error", reject);
		child.on("exit", (status, signal) => resolve(signal === "SIGPIPE" ? "unread" : (status ?? 1)));
	});
}
