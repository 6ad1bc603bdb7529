import * as fs from "node:fs";
import * as path from "node:path";
import type { ImageManifest } from "../../appc/schema/image-manifest.ts";
import type { PodManifest } from "../../appc/schema/pod-manifest.ts";
import { fail } from "../../lib/errors.ts";
import { type Lock, waitForLock } from "../../lib/lock.ts";
import { mark } from "../../lib/trace.ts";
import {
	type AnnotatedManifest,
	hasOwnUsers,
	type ReadManifests,
	readEntrypoints,
} from "../../stage1/entrypoints.ts";
import { fetchImage } from "../fetch/fetch-image.ts";
import { resolveStage1 } from "../fetch/resolve-stage1.ts";
import { type AppSource, buildPodManifest } from "../pod/build-manifest.ts";
import { checkNames } from "../pod/check-names.ts";
import { discardPod } from "../pod/delete-pod.ts";
import { overlayProblem } from "../pod/overlay-support.ts";
import type { LockedPod } from "../pod/pod-lock.ts";
import { type PrepareRequest, preparePod, type RenderedImage } from "../pod/prepare.ts";
import { createPod, makePodDirectories } from "../pod/transitions.ts";
import type { CommandContext } from "./command.ts";
import type { PrepareFlags } from "./prepare-flags.ts";
import { readReadyManifest } from "./ready-manifest.ts";
import { mergeEnvironment } from "./values/environment.ts";
import type { Workspace } from "./workspace.ts";

export interface NewPod {
	/** In `prepare`, locked, filled. */
	readonly pod: LockedPod;
	readonly manifest: PodManifest;
	/** Undefined for a ready manifest, whose images were not read. */
	readonly manifests: ReadManifests | undefined;
}

export interface NewPodOptions {
	/** Called with the manifest before a pod exists: throws to refuse it. */
	readonly check: (manifest: PodManifest) => void;
	/** Called as soon as the pod has an UUID. */
	readonly onCreated: (uuid: string) => void;
	/** The pod must survive a loss of power. */
	readonly durable: boolean;
}

interface Planned {
	readonly stage1Key: string;
	/** The text that is stored, and what it means. */
	readonly text: string;
	readonly manifest: PodManifest;
	readonly images?: ReadonlyMap<string, ImageManifest>;
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
	const stage1Key = await resolveStage1(flags.stage1, {
		...workspace.fetching,
		pullPolicy: "new",
		dependencies: false,
		programDirectory: __dirname,
	});
	const stage1Manifest = await workspace.store.manifest(stage1Key);
	readEntrypoints(stage1Manifest);
	const privateUsers = flags.privateUsers && !reportOwnUsers(context, stage1Manifest);
	const planned = { stage1Key, ...(await planManifest(context, workspace, flags)) };
	mark("stage0 images");
	checkNames(planned.manifest);
	options.check(planned.manifest);
	makePodDirectories(workspace.dataDirectory);
	const overlay = flags.overlay && !reportOverlayProblem(context, workspace.dataDirectory);
	const lock = lockPreparing(workspace);
	try {
		const pod = await fillPod(
			workspace,
			planned,
			{ overlay, privateUsers, verifyAll: flags.verifyAll },
			options,
		);
		const { manifest, images } = planned;
		return { pod, manifest, manifests: images && { pod: manifest, images } };
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

async function planManifest(
	context: CommandContext,
	workspace: Workspace,
	flags: PrepareFlags,
): Promise<Omit<Planned, "stage1Key">> {
	if (flags.podManifest !== undefined) return readReadyManifest(flags.podManifest, workspace.store);
	const { store, fetching } = workspace;
	const apps: AppSource[] = [];
	for (const { reference, signature, overrides } of flags.images) {
		const imageId = await fetchImage(reference, { ...fetching, pullPolicy: flags.pullPolicy, signature });
		const image = await store.manifest(imageId);
		const own = overrides.environment;
		apps.push({
			imageId,
			image,
			overrides,
			mergeEnvironment: (variables) => mergeEnvironment(variables, flags.environment, own),
		});
	}
	context.log.debug(`${apps.length} images are in the store`);
	const caller = { user: String(process.getuid?.() ?? 0), group: String(process.getgid?.() ?? 0) };
	const { serializeManifest } = await import("../../appc/schema/serialize.ts");
	const manifest = buildPodManifest({ apps, volumes: flags.volumes, ports: flags.ports, caller });
	const images = manifest.apps.map(({ name }, index): [string, ImageManifest] => [
		name,
		(apps[index] as AppSource).image,
	]);
	return { manifest, text: serializeManifest(manifest), images: new Map(images) };
}

async function fillPod(
	workspace: Workspace,
	planned: Planned,
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

/** What `--private-users` is for is there already: says so in one line, and the pod is made without. */
function reportOwnUsers({ log }: CommandContext, stage1: AnnotatedManifest): boolean {
	if (!hasOwnUsers(stage1)) return false;
	log.info(`--private-users has no effect: pods of ${stage1.name} have users of their own without it`);
	return true;
}

/** Writes the UUID without a newline, as rkt does. Errors: `uuid-file-not-written`. */
export function saveUuid(file: string, uuid: string): void {
	try {
		fs.writeFileSync(file, uuid, { mode: 0o644 });
	} catch (error) {
		fail("uuid-file-not-written", `cannot write the UUID to ${file}`, { cause: error });
	}
}
