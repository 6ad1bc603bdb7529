import * as fs from "node:fs";
import * as path from "node:path";
import { waitForLock } from "../../../lib/lock.ts";
import type { Syscall } from "../../../lib/syscall/syscall.ts";
import { listPodPlaces } from "../../pod/pod-directories.ts";
import { observePlace } from "../../pod/pod-lock.ts";
import { readPodManifest } from "../../pod/read-manifest.ts";
import { treesOfPod } from "../../pod/trees-of-pod.ts";
import type { Handler } from "../command.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt image gc`: rendered images that no pod uses, then images that nobody used for the grace period. */
export const collectImages: Handler = async (context, { options }) => {
	const { openStore } = await import("../../store/store.ts");
	const dataDirectory = findDataDirectory(context);
	const syscall = await loadSyscall();
	const store = openStore(dataDirectory, syscall);
	const locks = path.join(dataDirectory, "locks");
	fs.mkdirSync(locks, { recursive: true, mode: 0o750 });
	const lock = waitForLock(syscall, path.join(locks, "prepareLock"));
	try {
		for (const treeId of store.treeGc(usedTrees(dataDirectory))) {
			context.log.info(`removed rendered image "${treeId}"`);
		}
	} finally {
		lock.release();
	}
	const keep = imagesOfRunningPods(syscall, dataDirectory, (prefix) => store.resolveKey(prefix));
	for (const key of store.gc({ gracePeriodMs: options.duration("grace-period"), keep })) {
		context.log.info(`removed image "${key}"`);
	}
	return 0;
};

function usedTrees(dataDirectory: string): Set<string> {
	const { places } = listPodPlaces(dataDirectory, ["prepare", "prepared", "run", "exited-garbage"]);
	return new Set(places.flatMap(({ directory }) => treesOfPod(directory)));
}

/** Pods of a damaged manifest keep nothing: they do not run. */
function imagesOfRunningPods(
	syscall: Syscall,
	dataDirectory: string,
	resolve: (prefix: string) => string,
): Set<string> {
	const running = listPodPlaces(dataDirectory, ["run"]).places.filter(
		(place) => observePlace(syscall, place)?.state === "running",
	);
	const keys = running.flatMap(({ directory }) => readPodManifest(directory).apps.map((app) => app.imageId));
	return new Set(
		keys.map((key) => {
			try {
				return resolve(key);
			} catch {
				return key;
			}
		}),
	);
}
