import * as fs from "node:fs";
import * as path from "node:path";
import { crashPoint } from "../../lib/crash-point.ts";
import { fail } from "../../lib/errors.ts";
import { syncFiles } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import * as podPaths from "../../stage1/pod-paths.ts";
import { allocateUserRange } from "./allocate-user-range.ts";
import { copyTree } from "./copy-tree.ts";
import { makeOverlayDirectories } from "./overlay-mount.ts";
import type { LockedPod } from "./pod-lock.ts";
import type { UserRange } from "./user-range.ts";
import { claimsDirectory } from "./user-range-claims.ts";

/** An image of the store, rendered. */
export interface RenderedImage {
	/** The manifest as it is in the archive. */
	readonly manifest: string;
	readonly treeId: string;
	/** Has the attributes of the root directory. */
	readonly rootfs: string;
	/** The directories whose union is the root file system, uppermost first; nobody may write to them. */
	readonly lowers: readonly string[];
}

export interface PreparedApp extends RenderedImage {
	readonly name: string;
}

export interface PrepareRequest {
	/** JSON of the pod manifest. */
	readonly manifest: string;
	readonly stage1: RenderedImage;
	readonly apps: readonly PreparedApp[];
	/** False copies every image into the pod. */
	readonly overlay: boolean;
	readonly privateUsers: boolean;
	/** True when the result must survive a loss of power, as after `rkt prepare`. */
	readonly durable: boolean;
}

/**
 * Fills a new pod directory with everything that starting it needs (pod.md section 3 of the reference). Nothing
 * is mounted. The pod stays in `prepare` until the caller moves it on, so whatever goes wrong here leaves an
 * aborted prepare, which `rkt gc` removes.
 */
export async function preparePod(
	syscall: Syscall,
	dataDirectory: string,
	pod: LockedPod,
	request: PrepareRequest,
): Promise<void> {
	checkTrees(request);
	const { directory } = pod;
	const written: string[] = [];
	const write = (file: string, content: string, mode = 0o640): void => {
		fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o750 });
		fs.writeFileSync(file, content, { mode });
		written.push(file);
	};
	write(podPaths.podManifestPath(directory), request.manifest);
	write(podPaths.podManifestLockPath(directory), "", 0o600);
	crashPoint("prepare-manifest-written");
	const range = request.privateUsers
		? allocateUserRange({ syscall, dataDirectory, pod: directory })
		: undefined;
	if (range) written.push(podPaths.privateUsersPath(directory), claimsDirectory(dataDirectory));
	write(podPaths.stage1ManifestPath(directory), request.stage1.manifest);
	write(podPaths.stage1TreeStoreIdPath(directory), request.stage1.treeId);
	for (const app of request.apps) {
		write(podPaths.appImageManifestPath(directory, app.name), app.manifest);
		if (request.overlay) write(podPaths.appTreeStoreIdPath(directory, app.name), app.treeId);
	}
	crashPoint("prepare-images-recorded");
	if (request.overlay) prepareOverlays(directory, request, range?.shift ?? 0);
	else await copyImages(syscall, directory, request, range);
	crashPoint("prepare-trees-made");
	if (request.overlay) write(podPaths.overlayPreparedPath(directory), "", 0o644);
	if (request.durable) await syncFiles(written);
}

/** With one tree for both, the directories of the app would appear inside the root of stage1. */
function checkTrees(request: PrepareRequest): void {
	const same = request.apps.find((app) => app.treeId === request.stage1.treeId);
	if (same === undefined || !request.overlay) return;
	fail("app-is-stage1", `the image of the app ${same.name} is the stage1 image`, {
		hint: "choose another stage1 image, or use --no-overlay",
	});
}

function prepareOverlays(pod: string, request: PrepareRequest, shift: number): void {
	const { stage1 } = request;
	const pair = (treeId: string, app?: string) => ({
		upper: podPaths.overlayUpper(pod, treeId, app),
		work: podPaths.overlayWork(pod, treeId, app),
	});
	fs.mkdirSync(podPaths.stage1Rootfs(pod), { recursive: true, mode: 0o755 });
	makeOverlayDirectories(pair(stage1.treeId), stage1.rootfs, shift);
	for (const app of request.apps) {
		makeOverlayDirectories(pair(app.treeId, app.name), app.rootfs, shift);
	}
}

async function copyImages(
	syscall: Syscall,
	pod: string,
	request: PrepareRequest,
	range: UserRange | undefined,
): Promise<void> {
	const owner = { uid: range?.shift ?? 0, gid: range?.shift ?? 0 };
	const copier = await openCopier(syscall, pod, range);
	try {
		await copier.copy(request.stage1.lowers, podPaths.stage1Rootfs(pod));
		for (const app of request.apps) {
			const rootfs = podPaths.appRootfs(pod, app.name);
			const { makeDirectoryBelow } = await import("./safe-directories.ts");
			makeDirectoryBelow(podPaths.stage1Rootfs(pod), podPaths.guestAppRootfs(app.name), owner);
			await copier.copy(app.lowers, rootfs);
		}
	} finally {
		copier.close();
	}
}

interface Copier {
	copy(lowers: readonly string[], target: string): Promise<void>;
	close(): void;
}

/**
 * Copies through mounts that show the files with the pod's owners: changing owners after copying would lose
 * set-user-id bits and capabilities.
 */
async function openCopier(syscall: Syscall, pod: string, range: UserRange | undefined): Promise<Copier> {
	if (range === undefined)
		return { copy: (lowers, target) => copyUnion(syscall, lowers, target), close: () => {} };
	const { openShiftedViews } = await import("./shifted-views.ts");
	const shifted = await openShiftedViews(syscall, pod, range);
	return {
		copy: async (lowers, target) => {
			const { views, unmount } = shifted.mount(lowers);
			try {
				await copyUnion(syscall, views, target);
			} finally {
				unmount();
			}
		},
		close: shifted.close,
	};
}

async function copyUnion(syscall: Syscall, lowers: readonly string[], target: string): Promise<void> {
	if (lowers.length === 1) return copyTree(lowers[0] ?? "", target);
	const { copyMerged } = await import("../store/copy-merged.ts");
	await copyMerged(syscall, lowers, target);
}
