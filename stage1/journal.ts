import * as fs from "node:fs";
import * as path from "node:path";
import { readTextIfExists } from "../lib/files.ts";
import { machineId } from "./pod-paths.ts";

/*
 * The journal of a pod is a directory of the host, mounted into the pod: it can be read while the pod runs and
 * afterwards, with `journalctl -m` or `-D`.
 */

const PERSISTENT = "/var/log/journal";
const VOLATILE = "/run/log/journal";

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
 * others nothing says where to, so it is made. `owner` is root of the pod on the host.
 */
export function createJournalDirectory(uuid: string, owner: number): string {
	const base = fs.existsSync(PERSISTENT) || !isSystemdHost() ? PERSISTENT : VOLATILE;
	fs.mkdirSync(base, { recursive: true, mode: 0o755 });
	const directory = path.join(base, machineId(uuid));
	fs.mkdirSync(directory, { mode: 0o700 });
	fs.chownSync(directory, owner, journalGroup());
	// Not for everyone: what a pod writes here must not be a program for other users of the host.
	fs.chmodSync(directory, 0o2750);
	return directory;
}

/** Removes the journal of a pod; none is no error. */
export function removeJournalDirectory(uuid: string): void {
	for (const directory of journalCandidates(uuid)) fs.rmSync(directory, { recursive: true, force: true });
}

function journalGroup(): number {
	const line = /^systemd-journal:[^:]*:([0-9]+):/m.exec(readTextIfExists("/etc/group") ?? "");
	return line ? Number(line[1]) : 0;
}
