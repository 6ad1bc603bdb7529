import * as fs from "node:fs";
import * as path from "node:path";
import type { PodManifest } from "../../appc/schema/pod-manifest.ts";
import { fail } from "../../lib/errors.ts";
import { type Lock, waitForLock } from "../../lib/lock.ts";
import { mark } from "../../lib/trace.ts";
import type { ReadManifests } from "../../stage1/entrypoints.ts";
import type { VolumeBounds } from "../../stage1/volumes/volume-bounds.ts";
import { discardPod } from "../pod/delete-pod.ts";
import { overlayProblem } from "../pod/overlay-support.ts";
import type { LockedPod } from "../pod/pod-lock.ts";
import { type PrepareRequest, preparePod, type RenderedImage } from "../pod/prepare.ts";
import { createPod, makePodDirectories } from "../pod/transitions.ts";
import type { CommandContext } from "./command.ts";
import { type PlannedPod, planPod } from "./plan-pod.ts";
import { checkPlannedPod } from "./pod-policy.ts";
import type { PrepareFlags } from "./prepare-flags.ts";
import type { StartFlags } from "./start-flags.ts";
import type { Workspace } from "./workspace.ts";

export interface NewPod {
	/** In `prepare`, locked, filled. */
	readonly pod: LockedPod;
	readonly manifest: PodManifest;
	/** Undefined for a ready manifest, whose images were not read. */
	readonly manifests: ReadManifests | undefined;
	/** What the policy of this machine says about host volumes. */
	readonly volumeBounds: VolumeBounds;
}

export interface NewPodOptions {
	/** Called with the manifest before a pod exists: throws to refuse it. */
	readonly check: (manifest: PodManifest) => void;
	/** How the pod is going to be started; undefined when it is only prepared. */
	readonly start: StartFlags | undefined;
	/** Called as soon as the pod has an UUID. */
	readonly onCreated: (uuid: string) => void;
	/** The pod must survive a loss of power. */
	readonly durable: boolean;
}

/**
 * Gets the images, makes the pod manifest and fills a new pod. A failure before the pod exists leaves nothing,
 * one after it removes the pod again.
 */
export async function makeNewPod(
	context: CommandContext,
	workspace: Workspace,
	flags: PrepareFlags,
	options: NewPodOptions,
): Promise<NewPod> {
	const planned = await planPod(context, workspace, flags);
	options.check(planned.manifest);
	const volumeBounds = await checkPlannedPod(context, workspace, planned, options.start);
	makePodDirectories(workspace.dataDirectory);
	const overlay = flags.overlay && !reportOverlayProblem(context, workspace.dataDirectory);
	const lock = lockPreparing(workspace);
	try {
		const { manifest, images, privateUsers } = planned;
		const how = { overlay, privateUsers, verifyAll: flags.verifyAll };
		const pod = await fillPod(workspace, planned, how, options);
		const manifests = images && { pod: manifest, images };
		return { pod, manifest, manifests, volumeBounds };
	} finally {
		lock.release();
	}
}

/** Held while trees are looked up that no pod names yet; the collector of images takes it exclusively. */
function lockPreparing(workspace: Workspace): Lock {
	const directory = path.join(workspace.dataDirectory, "locks");
	fs.mkdirSync(directory, { recursive: true, mode: 0o750 });
	return waitForLock(workspace.syscall, path.join(directory, "prepareLock"), { shared: true });
}

async function fillPod(
	workspace: Workspace,
	planned: PlannedPod,
	{ verifyAll, ...how }: Pick<PrepareRequest, "overlay" | "privateUsers"> & { readonly verifyAll: boolean },
	options: NewPodOptions,
): Promise<LockedPod> {
	const { syscall, dataDirectory } = workspace;
	const stage1 = await renderImage(workspace, planned.stage1Key, verifyAll);
	const apps = [];
	for (const app of planned.manifest.apps) {
		apps.push({ name: app.name, ...(await renderImage(workspace, app.image.id, verifyAll)) });
	}
	mark("stage0 trees");
	const pod = createPod(syscall, dataDirectory);
	try {
		options.onCreated(pod.uuid);
		await preparePod(syscall, dataDirectory, pod, {
			manifest: planned.text,
			stage1,
			apps,
			...how,
			durable: options.durable,
		});
		mark("stage0 pod");
		return pod;
	} catch (error) {
		await discardPod(syscall, dataDirectory, pod);
		throw error;
	}
}

/** Nothing is run of an image that was changed since it was rendered. Errors: `image-damaged`. */
async function renderImage(
	workspace: Workspace,
	idOrPrefix: string,
	verifyAll: boolean,
): Promise<RenderedImage> {
	const { store } = workspace;
	const key = store.resolveKey(idOrPrefix);
	const tree = await store.ensureTree(key);
	await store.checkTree(tree.treeId, { whole: verifyAll });
	return { manifest: store.manifestText(key), ...tree };
}

/** Falls back to copying with one line that says why. */
function reportOverlayProblem(context: CommandContext, dataDirectory: string): boolean {
	const problem = overlayProblem(dataDirectory);
	if (problem !== undefined) context.log.info(`disabling overlay support: ${JSON.stringify(problem)}`);
	return problem !== undefined;
}

/** Writes the UUID without a newline, as rkt does. Errors: `uuid-file-not-written`. */
export function saveUuid(file: string, uuid: string): void {
	try {
		fs.writeFileSync(file, uuid, { mode: 0o644 });
	} catch (error) {
		fail("uuid-file-not-written", `cannot write the UUID to ${file}`, { cause: error });
	}
}
