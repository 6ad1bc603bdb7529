import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { lstatIfExists } from "../../lib/files.ts";
import { runCommand } from "../../lib/process.ts";
import { findJournalDirectory } from "../../stage1/journal.ts";

/** What to show of a pod's journal. */
export interface JournalQuery {
	/** Only this app; undefined for all of them. */
	readonly app: string | undefined;
	/** Instead of `since` and `lines`: begin with this entry. */
	readonly cursor?: string;
	/** In a form of journalctl. */
	readonly since: string | undefined;
	readonly until: string | undefined;
	/** Only so many of the latest; undefined for all. */
	readonly lines: number | undefined;
	/** Name of an output format of journalctl. */
	readonly output: string;
}

const PROGRAMS = ["/usr/bin/journalctl", "/bin/journalctl"];

/** Errors: `journalctl-missing`. */
export function findJournalctl(): string {
	const found = PROGRAMS.find((program) => lstatIfExists(program) !== undefined);
	if (found !== undefined) return found;
	return fail("journalctl-missing", "journalctl is not installed", {
		hint: "on Debian: apt-get install systemd",
	});
}

/** Throws `journal-missing`. */
export function failWithoutJournal(uuid: string): never {
	fail("journal-missing", `pod ${uuid} has no journal`, {
		hint: "either its stage1 keeps none, or somebody has removed it",
	});
}

/**
 * The journal files of a pod, which may be none yet; undefined when it has no journal. The pod can put anything into
 * the directory: links are not followed.
 */
export function journalFiles(uuid: string): string[] | undefined {
	const directory = findJournalDirectory(uuid);
	if (directory === undefined) return undefined;
	const entries = fs.readdirSync(directory, { withFileTypes: true });
	return entries
		.filter((entry) => entry.isFile() && /\.journal~?$/.test(entry.name))
		.map((entry) => path.join(directory, entry.name))
		.sort();
}

/** Arguments of journalctl. What journald says of itself is left out. */
export function journalctlArguments(files: readonly string[], query: JournalQuery): string[] {
	const senders =
		query.app === undefined
			? ["_TRANSPORT=stdout", "_TRANSPORT=syslog", "_TRANSPORT=journal"]
			: [`_SYSTEMD_UNIT=${query.app}.service`];
	return [
		...files.map((file) => `--file=${file}`),
		...["--quiet", "--no-pager", "--all", `--output=${query.output}`],
		...(query.since === undefined ? [] : [`--since=${query.since}`]),
		...(query.until === undefined ? [] : [`--until=${query.until}`]),
		...(query.lines === undefined ? [] : [`--lines=${query.lines}`]),
		...(query.cursor === undefined ? [] : [`--cursor=${query.cursor}`]),
		...senders,
	];
}

/**
 * The same query in a form that journalctl understands: it takes --lines together with --since for the first lines and
 * not for the latest.
 */
export function fixStart(journalctl: string, files: readonly string[], query: JournalQuery): JournalQuery {
	if (query.since === undefined || !query.lines) return query;
	const latest = { ...query, output: "json" };
	const argv = [...journalctlArguments(files, latest), "--reverse", "--output-fields=PRIORITY"];
	const { status, stdout } = runCommand(journalctl, argv, { inheritStderr: true });
	if (status !== 0) return query;
	const cursor = /"__CURSOR":"([^"]+)"[^\n]*\n$/.exec(stdout)?.[1];
	if (cursor === undefined) return query;
	return { ...query, cursor, since: undefined, lines: undefined };
}
