import * as fs from "node:fs";
import { crashPoint } from "../../lib/crash-point.ts";
import { isErrno } from "../../lib/errors.ts";
import { fsyncPath } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { podCreatedPath } from "../../stage1/pod-paths.ts";
import { type PodPlace, podPlace, stateDirectory } from "./pod-directories.ts";
import { type LockedPod, tryLockPod } from "./pod-lock.ts";
import { POD_DIRECTORIES, type PodDirectoryName } from "./states.ts";

const POD_MODE = 0o750;

/**
 * Makes the directories of all states. Errors: those of mkdir(2), such as EACCES or EROFS.
 */
export function makePodDirectories(dataDirectory: string): void {
	for (const where of POD_DIRECTORIES) {
		fs.mkdirSync(stateDirectory(dataDirectory, where), { recursive: true, mode: POD_MODE });
	}
}

/**
 * A new empty pod in the state `preparing`. It is locked before it leaves `embryo`, so a pod outside of that
 * directory without a lock has lost its owner. A collector may take away the embryo before it is locked: then
 * another one is made.
 */
export function createPod(syscall: Syscall, dataDirectory: string): LockedPod {
	makePodDirectories(dataDirectory);
	for (;;) {
		const embryo = podPlace(dataDirectory, "embryo", randomUuid());
		fs.mkdirSync(embryo.directory, { mode: POD_MODE });
		crashPoint("embryo-made");
		const locked = tryLockPod(syscall, embryo);
		if (locked === undefined) continue;
		fs.writeFileSync(podCreatedPath(embryo.directory), "", { mode: 0o640 });
		crashPoint("embryo-locked");
		const pod = movePod(dataDirectory, locked, "prepare");
		crashPoint("prepare-begun");
		return pod;
	}
}

/** `prepare` to `prepared`; the pod is unlocked only after that, and survives a loss of power. */
export function toPrepared(dataDirectory: string, pod: LockedPod): PodPlace {
	const prepared = movePod(dataDirectory, pod, "prepared");
	fsyncPath(stateDirectory(dataDirectory, "prepared"));
	crashPoint("prepared");
	prepared.lock.release();
	return prepared;
}

/**
 * `prepare` or `prepared` to `run`; the lock stays held. `durable` where a loss of power must not undo it: a pod runs
 * once, and only one that is found in `run` has its network cleaned up. It takes 5 to 25 ms.
 */
export function toRun(dataDirectory: string, pod: LockedPod, durable: boolean): LockedPod {
	const running = movePod(dataDirectory, pod, "run");
	if (durable) fsyncPath(stateDirectory(dataDirectory, "run"));
	crashPoint("run-begun");
	return running;
}

/** Atomic. A move that a loss of power undoes is one that the next `rkt gc` does again, unless the caller syncs. */
function movePod(dataDirectory: string, pod: LockedPod, where: PodDirectoryName): LockedPod {
	const target = podPlace(dataDirectory, where, pod.uuid);
	fs.renameSync(pod.directory, target.directory);
	return { ...target, lock: pod.lock };
}

/**
 * Marks a pod as garbage: one that has run goes to `exited-garbage`, another to `garbage`. The pod must be
 * locked by us, so nobody starts it meanwhile. Undefined when another command was faster.
 */
export function toGarbage(dataDirectory: string, pod: LockedPod): LockedPod | undefined {
	if (pod.where === "garbage" || pod.where === "exited-garbage") return pod;
	try {
		const marked = movePod(dataDirectory, pod, pod.where === "run" ? "exited-garbage" : "garbage");
		crashPoint("garbage-marked");
		return marked;
	} catch (error) {
		if (isErrno(error, "ENOENT")) return undefined;
		throw error;
	}
}

/** A version 4 UUID from the kernel, lower-case with dashes; loading node:crypto would cost 4 ms. */
function randomUuid(): string {
	return fs.readFileSync("/proc/sys/kernel/random/uuid", "latin1").trim();
}
