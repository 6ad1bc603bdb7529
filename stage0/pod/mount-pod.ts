import * as fs from "node:fs";
import * as path from "node:path";
import { crashPoint } from "../../lib/crash-point.ts";
import { fail } from "../../lib/errors.ts";
import { lstatIfExists } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import * as podPaths from "../../stage1/pod-paths.ts";
import { mountOverlay } from "./overlay-mount.ts";
import { makeDirectoryBelow, type Owner, writeFileBelow } from "./safe-directories.ts";
import { openShiftedViews } from "./shifted-views.ts";
import { readTreeId } from "./trees-of-pod.ts";
import { readUserRange } from "./user-range.ts";

export interface MountRequest {
	/** Absolute path of the pod directory in `run`. */
	readonly pod: string;
	readonly appNames: readonly string[];
	/** The directories in the tree store whose union a tree is, uppermost first. */
	readonly treeLowers: (treeId: string) => readonly string[];
	/** Files that stage0 gives to stage1, by their path in its root. */
	readonly files: ReadonlyMap<string, string>;
}

export function isOverlayPod(pod: string): boolean {
	return lstatIfExists(podPaths.overlayPreparedPath(pod)) !== undefined;
}

/**
 * Makes the root of stage1 with the apps in it, by mounting the overlays of the pod in this process's mount
 * namespace; a pod that was copied has them already. Then writes what stage1 expects from stage0.
 * Errors: `overlay-mount-failed`, `tree-missing`, `image-path-unsafe`.
 */
export async function mountPod(syscall: Syscall, request: MountRequest): Promise<void> {
	const { pod, appNames } = request;
	const range = readUserRange(pod);
	const owner: Owner = { uid: range?.shift ?? 0, gid: range?.shift ?? 0 };
	const overlay = isOverlayPod(pod) ? await openLowers(syscall, request) : undefined;
	const stage1 = podPaths.stage1Rootfs(pod);
	try {
		overlay?.mount(readTreeId(podPaths.stage1TreeStoreIdPath(pod)), "", stage1);
		crashPoint("run-stage1-mounted");
		for (const directory of ["/rkt/status", "/rkt/env"]) {
			// A new time forces a directory of the image into the upper layer, where its files are read later.
			fs.utimesSync(makeDirectoryBelow(stage1, directory, owner), new Date(), new Date());
		}
		for (const app of appNames) {
			const rootfs = makeDirectoryBelow(stage1, podPaths.guestAppRootfs(app), owner);
			const manifest = fs.readFileSync(podPaths.appImageManifestPath(pod, app), "utf8");
			writeFileBelow(stage1, podPaths.guestAppManifest(app), manifest, owner);
			overlay?.mount(readTreeId(podPaths.appTreeStoreIdPath(pod, app)), app, rootfs);
			linkMountTable(rootfs, owner);
		}
		crashPoint("run-apps-mounted");
	} finally {
		overlay?.close();
	}
	for (const [file, content] of request.files) writeFileBelow(stage1, file, content, owner);
}

interface Lowers {
	mount(treeId: string, app: string, target: string): void;
	close(): void;
}

/**
 * Mounts overlays over trees as they are, or for a pod with its own users over views with shifted owners. An
 * overlay keeps the view that it was made from, so each is unmounted again at once.
 */
async function openLowers(syscall: Syscall, request: MountRequest): Promise<Lowers> {
	const { pod } = request;
	const range = readUserRange(pod);
	const mountOver = (lowers: readonly string[], treeId: string, app: string, target: string): void => {
		const upper = podPaths.overlayUpper(pod, treeId, app);
		mountOverlay(syscall, { lowers, upper, work: podPaths.overlayWork(pod, treeId, app), target });
	};
	if (range === undefined) {
		return {
			mount: (treeId, app, target) => mountOver(findTree(request, treeId), treeId, app, target),
			close: () => {},
		};
	}
	const views = await openShiftedViews(syscall, pod, range);
	return {
		mount: (treeId, app, target) => {
			const shifted = views.mount(findTree(request, treeId));
			try {
				mountOver(shifted.views, treeId, app, target);
			} finally {
				shifted.unmount();
			}
		},
		close: views.close,
	};
}

function findTree(request: MountRequest, treeId: string): readonly string[] {
	const lowers = request.treeLowers(treeId);
	if (lowers.every((lower) => lstatIfExists(lower)?.isDirectory())) return lowers;
	return fail("tree-missing", `the rendered image ${treeId} of the pod is not in the store any more`, {
		hint: "fetch the image again, and prepare the pod again",
	});
}

/** Programs that read /etc/mtab find the mounts of the pod; an image may have its own. */
function linkMountTable(rootfs: string, owner: Owner): void {
	const etc = path.join(rootfs, "etc");
	const mtab = path.join(etc, "mtab");
	if (!lstatIfExists(etc)?.isDirectory() || lstatIfExists(mtab) !== undefined) return;
	fs.symlinkSync("../proc/self/mounts", mtab);
	fs.lchownSync(mtab, owner.uid, owner.gid);
}
