import * as path from "node:path";
import { readTextIfExists } from "../../lib/files.ts";
import { layerHex } from "./layer-id.ts";
import type { StoreLayout } from "./layout.ts";

/**
 * The layers that the files of a tree are in, bottom first: those of an OCI image. Its own directory only holds what no
 * single layer can know. Undefined for a tree that has all of its files itself.
 */
export function readTreeLayers(directory: string): string[] | undefined {
	return readTextIfExists(path.join(directory, "layers"))
		?.split("\n")
		.filter((line) => /^sha256:[0-9a-f]{64}$/.test(line));
}

/**
 * The directories whose union a tree is, uppermost first: its own `rootfs` and those of its layers. They have the form
 * of lower directories of overlayfs.
 */
export function treeLowers(layout: StoreLayout, treeId: string): string[] {
	return treeDirectories(layout, treeId).map((directory) => path.join(directory, "rootfs"));
}

/** The directories that these lie in, beside what is written down about each. */
export function treeDirectories(layout: StoreLayout, treeId: string): string[] {
	const directory = layout.tree(treeId);
	const layers = readTreeLayers(directory) ?? [];
	return [directory, ...layers.map((diffId) => layout.layer(layerHex(diffId))).reverse()];
}
