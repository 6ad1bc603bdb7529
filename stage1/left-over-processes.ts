import * as fs from "node:fs";
import { isErrno } from "../lib/errors.ts";

/**
 * The first processes of containers with this UUID, as systemd-nspawn starts them (`container_uuid` in their
 * environment), whoever supervises them or nobody. A process that only claims this is not the first one of a process
 * namespace.
 */
export function findContainerInits(uuid: string): number[] {
	const pids = fs.readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
	return pids
		.map(Number)
		.filter((pid) => isNamespaceInit(pid) && environmentOf(pid).includes(`container_uuid=${uuid}`));
}

/** Tells the first process of a process namespace below ours. */
export function isNamespaceInit(pid: number): boolean {
	const ids = /^NSpid:\s+(.*)$/m.exec(readOfProcess(pid, "status"))?.[1]?.split(/\s+/) ?? [];
	return ids.length > 1 && ids.at(-1) === "1";
}

/** kill(2); a process that has ended meanwhile is no error. */
export function signalProcess(pid: number, signal: NodeJS.Signals | number): void {
	try {
		process.kill(pid, signal);
	} catch (error) {
		if (!isErrno(error, "ESRCH")) throw error;
	}
}

function environmentOf(pid: number): string[] {
	return readOfProcess(pid, "environ").split("\0");
}

/** Empty when the process has ended, or is not ours to look at. */
function readOfProcess(pid: number, file: string): string {
	try {
		return fs.readFileSync(`/proc/${pid}/${file}`, "utf8");
	} catch (error) {
		if (isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return "";
		throw error;
	}
}
