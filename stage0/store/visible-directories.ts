import * as fs from "node:fs";
import type { LayerShape } from "../../appc/oci/layer-rules.ts";
import { fail, isErrno } from "../../lib/errors.ts";

/** An unpacked layer. */
export interface LayerFiles {
	/** For messages. */
	readonly diffId: string;
	readonly rootfs: string;
	readonly shape: LayerShape;
}

/** Something that an image's own directory must show over its layers. */
export type FixUp =
	/** A directory with the attributes that it has in this layer; undefined where no layer gives it any. */
	| { readonly kind: "directory"; readonly path: string; readonly source: LayerFiles | undefined }
	/** Nothing, although the white-outs of a layer needed a directory here. */
	| { readonly kind: "whiteout"; readonly path: string };

/** A layer with its lists as sets. */
interface Layer {
	readonly files: LayerFiles;
	readonly implied: ReadonlySet<string>;
	readonly bare: ReadonlySet<string>;
	readonly hiding: ReadonlySet<string>;
	readonly whiteouts: ReadonlySet<string>;
}

/**
 * What the layers of an image, bottom first, cannot say by themselves. The archive of a layer need not hold the
 * directories that its entries lie in; unpacked by itself, they get attributes that hide those of the layers below. The
 * list begins with the root; parents come before their children.
 * Errors: `layers-conflict` when such a directory lies over something that is none: the layer would write through a
 * symlink or a file of another one.
 */
export function findFixUps(layers: readonly LayerFiles[]): FixUp[] {
	const topDown = [...layers].reverse().map(indexed);
	for (const [index, layer] of topDown.entries()) checkGuesses(layer, topDown.slice(index + 1));
	const guessed = new Set(topDown.flatMap(({ implied, bare }) => [...implied, ...bare]));
	const found = new Map<string, FixUp>();
	const place = (path: string): Verdict => resolve(topDown, path);
	const addDirectories = (path: string): void => {
		for (const directory of [...parentsOf(path), path]) {
			if (found.has(directory)) continue;
			const { source } = place(directory);
			found.set(directory, { kind: "directory", path: directory, source });
		}
	};
	addDirectories("");
	for (const path of [...guessed].sort()) {
		const verdict = place(path);
		if (verdict.guess === undefined || parentsOf(path).some((parent) => isGone(found, parent))) continue;
		if (verdict.source !== undefined) addDirectories(path);
		else if (verdict.guess === "bare") {
			for (const parent of parentsOf(path)) addDirectories(parent);
			found.set(path, { kind: "whiteout", path });
		}
	}
	return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function isGone(found: ReadonlyMap<string, FixUp>, path: string): boolean {
	return found.get(path)?.kind === "whiteout";
}

function indexed(files: LayerFiles): Layer {
	const { implied, bare, opaque, whiteouts } = files.shape;
	return {
		files,
		implied: new Set(implied),
		bare: new Set(bare),
		hiding: new Set(opaque),
		whiteouts: new Set(whiteouts),
	};
}

/** The directories above a path, from the root on. */
function parentsOf(path: string): string[] {
	if (path === "") return [];
	const parts = path.split("/").slice(0, -1);
	return ["", ...parts.map((_, index) => parts.slice(0, index + 1).join("/"))];
}

interface Verdict {
	/** Whose attributes a directory has. */
	readonly source: LayerFiles | undefined;
	/** What the uppermost layer that has it made of it by itself; undefined when that layer describes it. */
	readonly guess: "implied" | "bare" | undefined;
}

/** What a layer takes for directories must be none of another kind in the layers below it. */
function checkGuesses(layer: Layer, below: readonly Layer[]): void {
	for (const path of [...layer.implied, ...layer.bare]) {
		for (const other of below) {
			const kind = lookUp(other, path);
			if (kind === "absent") continue;
			if (kind === "other") refuseConflict(path, layer, other);
			break;
		}
	}
}

/** Looks for a directory from the uppermost layer down. */
function resolve(topDown: readonly Layer[], path: string): Verdict {
	let guess: Verdict["guess"];
	for (const layer of topDown) {
		const kind = lookUp(layer, path);
		if (kind === "absent") continue;
		if (kind === "directory") return { source: layer.files, guess };
		if (kind === "hidden" || kind === "other") break;
		if (guess !== "implied") guess = kind;
	}
	return { source: undefined, guess };
}

function refuseConflict(path: string, upper: Layer, lower: Layer): never {
	fail(
		"layers-conflict",
		`the layer ${upper.files.diffId} has files below /${path}, which is no directory in the layer ${lower.files.diffId}`,
		{
			hint: "the image must be made anew: its layer has to hold the directory itself, or name the files where the link leads",
		},
	);
}

/** What a layer says about a path: nothing, that lower layers have nothing to say either, or what it is. */
function lookUp(
	layer: Layer,
	path: string,
): "absent" | "hidden" | "other" | "directory" | "implied" | "bare" {
	let hidden = false;
	for (const parent of parentsOf(path)) {
		if (layer.whiteouts.has(parent)) return "hidden";
		const there = isDirectory(layer, parent);
		if (there === undefined) return hidden ? "hidden" : "absent";
		if (!there) return "hidden";
		hidden ||= layer.hiding.has(parent);
	}
	if (layer.whiteouts.has(path)) return "hidden";
	const there = isDirectory(layer, path);
	if (there === undefined) return hidden ? "hidden" : "absent";
	if (!there) return "other";
	if (layer.implied.has(path)) return "implied";
	return layer.bare.has(path) ? "bare" : "directory";
}

/** Undefined when there is nothing. */
function isDirectory({ files }: Layer, path: string): boolean | undefined {
	try {
		return fs.lstatSync(`${files.rootfs}/${path}`, { throwIfNoEntry: false })?.isDirectory();
	} catch (error) {
		if (isErrno(error, "ENOTDIR")) return undefined;
		throw error;
	}
}
