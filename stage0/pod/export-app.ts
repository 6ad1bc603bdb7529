import * as fs from "node:fs";
import type { Writable } from "node:stream";
import type { AciContent } from "../../appc/aci/directory-entries.ts";
import { isAllowedDevice } from "../../appc/aci/entry-rules.ts";
import { DEFAULT_ACI_LIMITS } from "../../appc/aci/limits.ts";
import { refuseSize } from "../../appc/aci/refuse.ts";
import { writeAci } from "../../appc/aci/write.ts";
import { type ImageManifest, parseImageManifest } from "../../appc/schema/image-manifest.ts";
import { serializeManifest } from "../../appc/schema/serialize.ts";
import { quote } from "../../appc/types/quote.ts";
import { fail } from "../../lib/errors.ts";
import { lstatIfExists } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import * as podPaths from "../../stage1/pod-paths.ts";
import { withoutLayers } from "../store/export-layered.ts";
import { mergedEntries } from "../store/merged-entries.ts";
import type { TreeStore } from "../store/tree-store.ts";
import { isOverlayPod } from "./mount-pod.ts";
import { readTreeId } from "./trees-of-pod.ts";
import { readUserRange } from "./user-range.ts";

export interface ExportedApp {
	/** Directory of the pod. */
	readonly pod: string;
	readonly app: string;
	readonly compression: "gzip" | "none";
}

/**
 * Writes the root file system of an app of a pod that has ended, as the app saw it without volumes, with the manifest of
 * its image. Owners are those in the pod. The image is whole: it depends on no other. Nothing is mounted for it. Gives what
 * was left out. Errors: `pod-damaged`, `tree-missing`, `file-name-invalid`, `aci-too-large`,
 * and those of the output.
 */
export async function exportPodApp(
	syscall: Syscall,
	store: Pick<TreeStore, "lowersOf">,
	{ pod, app, compression }: ExportedApp,
	createOutput: () => Writable,
): Promise<string[]> {
	const file = podPaths.appImageManifestPath(pod, app);
	const image = parseImageManifest(fs.readFileSync(file), file);
	const directories = directoriesOf(store, pod, app);
	const range = readUserRange(pod);
	const ranges = new Map(range && [[directories[0] as string, range]]);
	const leftOut: string[] = [];
	const rootfs = exportable(mergedEntries(directories, syscall, { ranges }), `app ${app}`, leftOut);
	const manifest = serializeManifest(standingAlone(image));
	await writeAci({ manifest, rootfs, compression }, createOutput());
	return leftOut;
}

/**
 * What an image may hold. Apps can make device files, which are left out but for a few, and files without content that are
 * larger than any disk: those are refused before they are read.
 */
function* exportable(
	entries: Iterable<AciContent>,
	source: string,
	leftOut: string[],
): Generator<AciContent> {
	const { maxExpandedBytes } = DEFAULT_ACI_LIMITS;
	let bytes = 0;
	for (const content of entries) {
		const { path, type, device, size } = content.entry;
		bytes += size;
		if (bytes > maxExpandedBytes) {
			refuseSize(
				source,
				`with ${quote(path)} its files have ${bytes} bytes, at most ${maxExpandedBytes} are allowed`,
			);
		}
		if (device === undefined || isAllowedDevice(type, device)) yield content;
		else leftOut.push(`${quote(path)}, the ${type} ${device.major}:${device.minor}`);
	}
}

/** What the pod has written is uppermost. */
function directoriesOf(store: Pick<TreeStore, "lowersOf">, pod: string, app: string): string[] {
	if (!isOverlayPod(pod)) return [required(podPaths.appRootfs(pod, app))];
	const treeId = readTreeId(podPaths.appTreeStoreIdPath(pod, app));
	return [podPaths.overlayUpper(pod, treeId, app), ...store.lowersOf(treeId)].map(required);
}

function required(directory: string): string {
	if (lstatIfExists(directory)?.isDirectory()) return directory;
	return fail("tree-missing", `a part of the app's root file system is not there any more: ${directory}`, {
		hint: "an image that was removed with rkt image rm takes its files along",
	});
}

function standingAlone(image: ImageManifest): ImageManifest {
	return { ...withoutLayers(image), dependencies: [], pathWhitelist: [] };
}
