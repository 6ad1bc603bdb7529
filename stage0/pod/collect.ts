import * as fs from "node:fs";
import { isErrno } from "../../lib/errors.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { type CleanStage1, deletePod } from "./delete-pod.ts";
import { listPodPlaces, type PodPlace } from "./pod-directories.ts";
import { tryLockPod } from "./pod-lock.ts";
import type { PodDirectoryName } from "./states.ts";
import { toGarbage } from "./transitions.ts";

export interface CollectOptions {
	readonly dataDirectory: string;
	/** How long a pod that has run is kept after it was marked, in milliseconds. */
	readonly gracePeriodMs: number;
	/** How long a prepared pod is kept, in milliseconds. */
	readonly expirePreparedMs: number;
	readonly markOnly: boolean;
	readonly clean: CleanStage1;
	/** Told before each step. */
	readonly onMark: (uuid: string) => void;
	readonly onDelete: (uuid: string) => void;
	readonly onKept: (uuid: string) => void;
	/** One pod that cannot be collected does not keep the others. */
	readonly onError: (uuid: string, error: unknown) => void;
}

/**
 * The five steps of `rkt gc`: exited pods are marked; aborted prepares and embryos without an owner become
 * garbage; so do prepared pods that nobody ran in time; marked pods whose grace period is over are deleted; and
 * so is garbage. Each pod is locked before it is touched.
 */
export async function collectPods(syscall: Syscall, options: CollectOptions): Promise<void> {
	for (const where of ["run", "prepare", "embryo"] as const) {
		await eachPod(options, where, async (place) => markPod(syscall, options, place));
	}
	if (options.markOnly) return;
	await eachPod(options, "prepared", async (place) => {
		if (ageOf(place) >= options.expirePreparedMs) markPod(syscall, options, place);
	});
	await eachPod(options, "exited-garbage", async (place) => {
		if (ageOf(place) >= options.gracePeriodMs) await remove(syscall, options, place);
		else options.onKept(place.uuid);
	});
	await eachPod(options, "garbage", async (place) => remove(syscall, options, place));
}

async function eachPod(
	options: CollectOptions,
	where: PodDirectoryName,
	act: (place: PodPlace) => Promise<void>,
): Promise<void> {
	for (const place of listPodPlaces(options.dataDirectory, [where]).places) {
		try {
			await act(place);
		} catch (error) {
			if (!isErrno(error, "ENOENT")) options.onError(place.uuid, error);
		}
	}
}

/** A pod that somebody owns is not locked by us, and left alone. */
function markPod(syscall: Syscall, options: CollectOptions, place: PodPlace): void {
	const pod = tryLockPod(syscall, place);
	if (pod === undefined) return;
	try {
		options.onMark(place.uuid);
		toGarbage(options.dataDirectory, pod);
	} finally {
		pod.lock.release();
	}
}

async function remove(syscall: Syscall, options: CollectOptions, place: PodPlace): Promise<void> {
	const pod = tryLockPod(syscall, place);
	if (pod === undefined) return;
	options.onDelete(place.uuid);
	await deletePod(syscall, pod, options.clean);
}

/**
 * Milliseconds since the pod came into its directory: the rename changes the time of the inode. That has fractions
 * of a millisecond and the clock has none, so that a pod can seem to be younger than nothing.
 */
function ageOf(place: PodPlace): number {
	return Math.max(0, Date.now() - fs.lstatSync(place.directory).ctimeMs);
}
