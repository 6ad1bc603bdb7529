import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { lstatIfExists, readTextIfExists } from "../../lib/files.ts";
import {
	type EntrypointName,
	type Entrypoints,
	hasOwnUsers,
	readEntrypoints,
} from "../../stage1/entrypoints.ts";
import { type GuestKernel, readGuestKernel } from "../../stage1/guest-kernel.ts";
import { stage1ManifestPath, stage1TreeStoreIdPath } from "../../stage1/pod-paths.ts";
import { readTreeId } from "../pod/trees-of-pod.ts";
import { storeLayout } from "../store/layout.ts";

/** The stage1 image that a pod was prepared with. */
export interface Stage1OfPod {
	readonly name: string;
	readonly entrypoints: Entrypoints;
	/** Its root file system in the tree store, which no pod can write to. */
	readonly rootfs: string;
}

/** Where the tree store of a data directory keeps the root file system of a rendered image. */
function treeRootfsPath(dataDirectory: string, treeId: string): string {
	return path.join(storeLayout(dataDirectory).tree(treeId), "rootfs");
}

/**
 * Reads what stage0 recorded in the pod. Errors: `pod-damaged`, `tree-missing`, `stage1-entrypoint-missing`,
 * `stage1-entrypoint-invalid`.
 */
export function readStage1OfPod(dataDirectory: string, pod: string): Stage1OfPod {
	const manifest = readTextIfExists(stage1ManifestPath(pod));
	if (manifest === undefined) {
		fail("pod-damaged", `${pod} does not say which stage1 image it uses`, {
			hint: "remove the pod with rkt rm",
		});
	}
	const treeId = readTreeId(stage1TreeStoreIdPath(pod));
	const rootfs = treeRootfsPath(dataDirectory, treeId);
	if (!lstatIfExists(rootfs)?.isDirectory()) {
		fail("tree-missing", `the rendered stage1 image ${treeId} is not in the store any more`, {
			hint: "fetch the stage1 image again, for example by running any pod",
		});
	}
	const parsed = parseManifest(manifest, pod);
	return { name: parsed.name, entrypoints: readEntrypoints(parsed), rootfs };
}

/** Only the annotations are read here: the whole manifest was checked when the image came into the store. */
function parseManifest(
	text: string,
	pod: string,
): { name: string; annotations: { name: string; value: string }[] } {
	try {
		const { name, annotations } = JSON.parse(text) as { name?: unknown; annotations?: unknown };
		return {
			name: String(name),
			annotations: Array.isArray(annotations) ? annotations.filter(isAnnotation) : [],
		};
	} catch (error) {
		return fail("pod-damaged", `the stage1 manifest in ${pod} is no JSON`, { cause: error });
	}
}

function isAnnotation(entry: unknown): entry is { name: string; value: string } {
	const record = entry as { name?: unknown; value?: unknown } | null;
	return typeof record?.name === "string" && typeof record.value === "string";
}

/** What the policy of the machine wants to know of the stage1 image of a pod. */
export interface Stage1Identity {
	readonly name: string;
	/** Whole image id, from the tree store; undefined when it does not say it. */
	readonly id: string | undefined;
	readonly ownUsers: boolean;
}

/** Errors: `pod-damaged`, `tree-missing`, and those of {@link readStage1OfPod}. */
export function identifyStage1OfPod(dataDirectory: string, pod: string): Stage1Identity {
	const { name, rootfs } = readStage1OfPod(dataDirectory, pod);
	const id = readTextIfExists(path.join(path.dirname(rootfs), "image"));
	const manifest = parseManifest(readTextIfExists(stage1ManifestPath(pod)) ?? "", pod);
	return { name, id, ownUsers: hasOwnUsers(manifest) };
}

/** The kernel that the pod boots, as its stage1 image says; undefined for pods on the host's. */
export function readGuestKernelOfPod(pod: string): GuestKernel | undefined {
	const manifest = readTextIfExists(stage1ManifestPath(pod));
	return manifest === undefined ? undefined : readGuestKernel(parseManifest(manifest, pod));
}

/** The executable of an entry point in the tree store. Errors: `stage1-entrypoint-missing`. */
export function entrypointPath(stage1: Stage1OfPod, name: EntrypointName): string {
	const inside = stage1.entrypoints[name];
	if (inside !== undefined) return path.join(stage1.rootfs, inside);
	return fail("stage1-entrypoint-missing", `the stage1 image ${stage1.name} cannot ${name} pods`, {
		hint: "it is another stage1 image that knows this: prepare the pod with --stage1-name or --stage1-path",
	});
}
