import * as fs from "node:fs";
import * as path from "node:path";
import { fail, isErrno } from "../../lib/errors.ts";
import { listDirectory, readTextIfExists } from "../../lib/files.ts";
import { findContainerInits, signalProcess } from "../left-over-processes.ts";
import { recordedCgroups, takeBackControllers } from "./pod-cgroup.ts";

const WAIT_MS = 10_000;
const POLL_MS = 10;

/**
 * Kills every process that is left of a pod: those in its cgroups, and a first process that somebody else put into a
 * cgroup. The kernel does that when the supervisor is killed, but not when it was killed before the pod had begun to
 * follow it. Waits until they are gone. Errors: `pod-processes-stay` after ten seconds.
 */
export function killPodProcesses(pod: string, uuid: string): void {
	const directories = recordedCgroups(pod, uuid).filter((directory) => fs.existsSync(directory));
	for (const pid of findContainerInits(uuid)) signalProcess(pid, "SIGKILL");
	const deadline = Date.now() + WAIT_MS;
	for (;;) {
		const left = directories.flatMap(processesBelow).filter((pid) => pid !== process.pid);
		if (left.length === 0) return;
		if (Date.now() > deadline) {
			fail("pod-processes-stay", `pod ${uuid}: processes ${[...new Set(left)].join(", ")} do not end`);
		}
		for (const directory of directories) killAll(directory);
		for (const pid of new Set(left)) signalProcess(pid, "SIGKILL");
		sleep(POLL_MS);
	}
}

/**
 * Removes the cgroups of a pod, whose processes have ended; what does not exist is no error. A start that failed is
 * still in them itself and goes back to where it came from; where it cannot, they stay.
 */
export function removePodCgroups(pod: string, uuid: string): void {
	for (const directory of recordedCgroups(pod, uuid)) {
		if (!processesBelow(directory).includes(process.pid) || goBack(path.dirname(directory)))
			removeTree(directory);
	}
}

/**
 * Moves this process to a cgroup. One of version 2 takes none as long as those below have controllers: these are taken back.
 * False when another pod below uses them.
 */
function goBack(directory: string): boolean {
	for (const prepare of [() => undefined, () => takeBackControllers(directory)]) {
		prepare();
		try {
			fs.writeFileSync(path.join(directory, "cgroup.procs"), "0");
			return true;
		} catch (error) {
			if (!isErrno(error, "EBUSY")) throw error;
		}
	}
	return false;
}

/** cgroup.kill of cgroup v2 also reaches what forks meanwhile. */
function killAll(directory: string): void {
	try {
		fs.writeFileSync(path.join(directory, "cgroup.kill"), "1", { flag: "r+" });
	} catch (error) {
		if (!isErrno(error, "ENOENT", "ENODEV", "EACCES")) throw error;
	}
}

function processesBelow(directory: string): number[] {
	const own = (readTextIfExists(path.join(directory, "cgroup.procs")) ?? "").split("\n").filter(Boolean);
	// 0 stands for a process outside of our pid namespace.
	return [...own.map(Number).filter((pid) => pid > 0), ...children(directory).flatMap(processesBelow)];
}

/** A cgroup stays busy for a moment after its last process. */
function removeTree(directory: string): void {
	if (!fs.existsSync(directory)) return;
	for (const child of children(directory)) removeTree(child);
	for (let attempt = 0; ; attempt += 1) {
		try {
			fs.rmdirSync(directory);
			return;
		} catch (error) {
			if (isErrno(error, "ENOENT")) return;
			if (!isErrno(error, "EBUSY") || attempt >= 100) throw error;
			sleep(POLL_MS);
		}
	}
}

function children(directory: string): string[] {
	return listDirectory(directory)
		.map((name) => path.join(directory, name))
		.filter((entry) => fs.lstatSync(entry, { throwIfNoEntry: false })?.isDirectory());
}

function sleep(milliseconds: number): void {
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
