import * as fs from "node:fs";
import * as path from "node:path";
import { fail, isErrno } from "../lib/errors.ts";
import { lstatIfExists, readTextIfExists } from "../lib/files.ts";
import { machineId } from "./pod-paths.ts";

/*
 * The journal of a pod is a directory of the host, mounted into the pod: it can be read while the pod runs and
 * afterwards, with `journalctl -m` or `-D`.
 */

const PERSISTENT = "/var/log/journal";
const VOLATILE = "/run/log/journal";

/**
 * What the journal of a pod may occupy when nobody says it, in journald.conf(5)'s form. A line takes about 700 bytes.
 */
export const DEFAULT_JOURNAL_SIZE = "256M";
/** Bytes. journald makes files of an eighth of the size, and one that holds less than this is of no use. */
export const SMALLEST_JOURNAL_SIZE = 4n * 1024n * 1024n;
/** stage0 tells stage1 the size in bytes by this variable: another stage1 would not know a flag for it. */
export const JOURNAL_SIZE_VARIABLE = "RKT_JOURNAL_SIZE";

/** True when systemd is PID 1 of the host, sd_booted(3). */
export function isSystemdHost(): boolean {
	return fs.existsSync("/run/systemd/system");
}

/** Where the journal of a pod is or was: the directory is named by the machine id. */
export function journalCandidates(uuid: string): string[] {
	return [PERSISTENT, VOLATILE].map((base) => path.join(base, machineId(uuid)));
}

/**
 * Makes the journal directory of a pod. Without /var/log/journal a systemd host keeps its journals in /run; on
 * others nothing says where to, so it is made. Where it cannot be written, /run is taken too. `owner` is root of the pod
 * on the host.
 */
export function createJournalDirectory(uuid: string, owner: number): string {
	const persistent = fs.existsSync(PERSISTENT) || !isSystemdHost();
	try {
		return createIn(persistent ? PERSISTENT : VOLATILE, uuid, owner);
	} catch (error) {
		if (!persistent || !isErrno(error, "EROFS")) throw error;
		return createIn(VOLATILE, uuid, owner);
	}
}

function createIn(base: string, uuid: string, owner: number): string {
	fs.mkdirSync(base, { recursive: true, mode: 0o755 });
	const directory = path.join(base, machineId(uuid));
	fs.mkdirSync(directory, { mode: 0o700 });
	fs.chownSync(directory, owner, journalGroup());
	// Not for everyone: what a pod writes here must not be a program for other users of the host.
	fs.chmodSync(directory, 0o2750);
	return directory;
}

/** The directory of a pod's journal; undefined when there is none (any more). */
export function findJournalDirectory(uuid: string): string | undefined {
	return journalCandidates(uuid).find((directory) => lstatIfExists(directory)?.isDirectory());
}

/**
 * Writes how large the pod's journal may become, below the root of stage1, before anything in it has run. `size` is
 * the value of {@link JOURNAL_SIZE_VARIABLE}. Errors: `stage1-arguments-invalid`.
 */
export function writeJournalSize(stage1Root: string, size: string): void {
	if (!/^[1-9][0-9]{0,17}$/.test(size)) {
		fail("stage1-arguments-invalid", `${JOURNAL_SIZE_VARIABLE} is no number of bytes: ${size}`);
	}
	const directory = path.join(stage1Root, "etc/systemd/journald.conf.d");
	fs.mkdirSync(directory, { recursive: true });
	fs.writeFileSync(path.join(directory, "size.conf"), `[Journal]\nSystemMaxUse=${size}\n`);
}

/** Removes the journal of a pod; none is no error. */
export function removeJournalDirectory(uuid: string): void {
	for (const directory of journalCandidates(uuid)) fs.rmSync(directory, { recursive: true, force: true });
}

function journalGroup(): number {
	const line = /^systemd-journal:[^:]*:([0-9]+):/m.exec(readTextIfExists("/etc/group") ?? "");
	return line ? Number(line[1]) : 0;
}
