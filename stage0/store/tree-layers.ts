import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { encodeChecked, readChecked } from "./checked-text.ts";
import { layerHex } from "./layer-id.ts";
import type { StoreLayout } from "./layout.ts";

const LAYERS_FILE = "layers";

/** Writes the layers of a tree, bottom first. */
export function encodeTreeLayers(layers: readonly string[]): Record<string, string> {
	return { [LAYERS_FILE]: encodeChecked(layers.join("\n")) };
}

/**
 * The layers that the files of a tree are in, bottom first: those of an OCI image. Its own directory only holds what no
 * single layer can know. Undefined for a tree that has all of its files itself, null when the list is damaged.
 */
export function readTreeLayers(directory: string): string[] | null | undefined {
	const text = readChecked(path.join(directory, LAYERS_FILE));
	return typeof text === "string" ? text.split("\n") : text;
}

/** The same. Errors: `image-damaged` when the list is. */
export function treeLayers(directory: string): string[] {
	const layers = readTreeLayers(directory);
	if (layers !== null) return layers ?? [];
	return fail("image-damaged", `the list of layers in ${directory} is damaged`, {
		hint: "render the image again with rkt image verify, and prepare the pod again",
	});
}

/**
 * The directories whose union a tree is, uppermost first: its own `rootfs` and those of its layers. They have the form
 * of lower directories of overlayfs. Errors: `image-damaged`.
 */
export function treeLowers(layout: StoreLayout, treeId: string): string[] {
	return treeDirectories(layout, treeId).map((directory) => path.join(directory, "rootfs"));
}

/** The directories that these lie in, beside what is written down about each. */
export function treeDirectories(layout: StoreLayout, treeId: string): string[] {
	const directory = layout.tree(treeId);
	const layers = treeLayers(directory);
	return [directory, ...layers.map((diffId) => layout.layer(layerHex(diffId))).reverse()];
}
