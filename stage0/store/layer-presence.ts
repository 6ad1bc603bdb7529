import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../../lib/errors.ts";
import { readTextIfExists } from "../../lib/files.ts";
import { layerHex } from "./layer-id.ts";
import type { StoreLayout } from "./layout.ts";

/** Sizes of a layer in bytes. */
export interface LayerInfo {
	/** Of its uncompressed archive. */
	readonly tarSize: number;
	/** Of its files, once unpacked; 0 before that. */
	readonly size: number;
}

/** True when the layer is unpacked, or there as an archive that was checked. */
export function hasLayer(layout: StoreLayout, diffId: string): boolean {
	const hex = layerHex(diffId);
	return isUnpacked(layout, hex) || fs.existsSync(layout.layerBlob(hex));
}

/** Members of the group cannot look into the directory, which comes and goes as a whole. */
export function isUnpacked(layout: StoreLayout, hex: string): boolean {
	const inside = process.geteuid?.() === 0 ? "rendered" : "";
	return fs.existsSync(path.join(layout.layer(hex), inside));
}

/** Undefined when the layer is not there. */
export function readLayerInfo(layout: StoreLayout, diffId: string): LayerInfo | undefined {
	const hex = layerHex(diffId);
	if (isUnpacked(layout, hex)) return parseInfo(readTextIfExists(layout.layerInfo(hex)));
	const blob = fs.statSync(layout.layerBlob(hex), { throwIfNoEntry: false });
	return blob && { tarSize: blob.size, size: 0 };
}

/** The directory is what counts: a file that was lost costs the figures only. */
function parseInfo(text: string | undefined): LayerInfo {
	try {
		const { tarSize, size } = JSON.parse(text ?? "{}") as Partial<LayerInfo>;
		return { tarSize: Number(tarSize) || 0, size: Number(size) || 0 };
	} catch (error) {
		if (error instanceof SyntaxError) return { tarSize: 0, size: 0 };
		throw error;
	}
}

/** The layers of a list that are not there. */
export function missingLayers(layout: StoreLayout, layers: readonly string[]): string[] {
	return layers.filter((diffId) => !hasLayer(layout, diffId));
}

/** What was unpacked, of every layer. */
export function unpackedLayers(layout: StoreLayout): string[] {
	return hexNames(layout.layerDirectory);
}

/** What waits to be unpacked. */
export function packedLayers(layout: StoreLayout): string[] {
	return hexNames(layout.layerBlobDirectory);
}

function hexNames(directory: string): string[] {
	try {
		return fs.readdirSync(directory).filter((name) => /^[0-9a-f]{64}$/.test(name));
	} catch (error) {
		if (isErrno(error, "ENOENT", "EACCES")) return [];
		throw error;
	}
}
