import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { shortImageID } from "../../appc/types/image-id.ts";
import { fail } from "../../lib/errors.ts";
import { lstatIfExists, readTextIfExists, writeFilesDurable } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { hashFile } from "./hash-file.ts";
import { layerHex } from "./layer-id.ts";
import { isUnpacked } from "./layer-presence.ts";
import type { StoreLayout } from "./layout.ts";
import { withLock } from "./named-lock.ts";
import { retireLayer } from "./remove-layer.ts";
import { digestTree } from "./tree-hash.ts";
import { readTreeLayers } from "./tree-layers.ts";
import { checkWholeTree, recordTree, type TreeCheckResult, type TreeDifference } from "./tree-record.ts";

/** A file that is not what it was, or with the path `/` and `record` the list of files itself. */
export interface DamagedFile {
	/** Diff ID of the layer that has it; undefined for what a tree has itself. */
	readonly layer?: string;
	readonly path: string;
	readonly problem: TreeDifference["problem"] | "record";
}

export type TreeVerdict =
	| { readonly state: "verified" | "not-rendered" }
	| { readonly state: "damaged"; readonly files: readonly DamagedFile[] };

/** Looks at all files of a tree and its layers, and reads them as {@link checkWholeTree} says. */
export async function verifyTree(
	layout: StoreLayout,
	syscall: Syscall,
	treeId: string,
	readAll: boolean,
): Promise<TreeVerdict> {
	const directory = layout.tree(treeId);
	const layers = readTreeLayers(directory);
	const own = damagedFiles(await checkTree(directory, syscall, readAll), undefined);
	if (layers === null) own.push({ path: "/", problem: "record" });
	return verdictOf([...own, ...damagedLayers(layout, syscall, layers ?? [], readAll)]);
}

/** Reads the layers of an image that has no tree: files, or archives that wait to be unpacked. */
export function verifyLayers(layout: StoreLayout, syscall: Syscall, layers: readonly string[]): TreeVerdict {
	return verdictOf(damagedLayers(layout, syscall, layers, true));
}

function verdictOf(files: readonly DamagedFile[]): TreeVerdict {
	return files.length === 0 ? { state: "verified" } : { state: "damaged", files };
}

function damagedLayers(
	layout: StoreLayout,
	syscall: Syscall,
	layers: readonly string[],
	readAll: boolean,
): DamagedFile[] {
	return [...new Set(layers)].flatMap((diffId): DamagedFile[] => {
		const hex = layerHex(diffId);
		if (isUnpacked(layout, hex))
			return damagedFiles(checkWholeTree(layout.layer(hex), syscall, readAll), diffId);
		const digest = archiveDigest(layout.layerBlob(hex));
		if (digest === hex) return [];
		return [{ layer: diffId, path: "/", problem: digest === undefined ? "missing" : "content" }];
	});
}

const READ_BYTES = 1024 * 1024;

/** Of the archive that a member of the group left; undefined when there is none. */
function archiveDigest(file: string): string | undefined {
	// A member can put anything there.
	if (!lstatIfExists(file)?.isFile()) return undefined;
	const hash = createHash("sha256");
	const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
	try {
		hashFile(hash, fd, Buffer.allocUnsafe(READ_BYTES));
		return hash.digest("hex");
	} finally {
		fs.closeSync(fd);
	}
}

/** A tree of an earlier version has a hash of its own kind and no list of files: it gets one. */
async function checkTree(directory: string, syscall: Syscall, readAll: boolean): Promise<TreeCheckResult> {
	const result = checkWholeTree(directory, syscall, readAll);
	if (result.state !== "unrecorded") return result;
	const { hash } = digestTree(directory, syscall);
	if (hash !== readTextIfExists(path.join(directory, "hash"))) return { state: "record-damaged" };
	const { record, lists } = recordTree(directory, syscall, false);
	await writeFilesDurable(directory, record, lists);
	return { state: "intact" };
}

function damagedFiles(result: TreeCheckResult, layer: string | undefined): DamagedFile[] {
	if (result.state === "intact") return [];
	const place = layer === undefined ? {} : { layer };
	if (result.state !== "damaged") return [{ ...place, path: "/", problem: "record" }];
	return result.differences.map((difference) => ({ ...place, ...difference }));
}

const WORDS: Record<DamagedFile["problem"], string> = {
	content: "has other content",
	attributes: "has another type, owner, mode or attribute",
	missing: "is missing",
	unexpected: "is no part of it",
	record: "has a damaged list of its files",
};

/** Such as `/etc/passwd has other content (layer sha256:…)`. */
export function describeDamage({ layer, path: file, problem }: DamagedFile): string {
	return `${file} ${WORDS[problem]}${layer === undefined ? "" : ` (layer ${layer})`}`;
}

/**
 * Looks at a whole tree as {@link verifyTree} does and takes it out of use if it is damaged: a tree is rendered again, a layer fetched again.
 * Errors: `image-damaged`, `tree-missing`.
 */
export async function refuseDamaged(
	layout: StoreLayout,
	syscall: Syscall,
	treeId: string,
	readAll: boolean,
): Promise<void> {
	const directory = layout.tree(treeId);
	if (!lstatIfExists(directory)?.isDirectory()) {
		fail("tree-missing", `the rendered image ${treeId} is not in the store any more`, {
			hint: "prepare the pod again",
		});
	}
	const verdict = await verifyTree(layout, syscall, treeId, readAll);
	if (verdict.state !== "damaged") return;
	const [first, ...others] = verdict.files;
	await takeOutOfUse(layout, syscall, treeId, verdict.files);
	const more = others.length === 0 ? "" : `, and ${others.length} more`;
	fail(
		"image-damaged",
		`the rendered image of ${imageOf(directory)} is damaged: ${first && describeDamage(first)}${more}`,
		{
			hint: "do the same again, which renders or fetches it anew; look at the kernel log for errors of the disk",
		},
	);
}

/** Its name and the beginning of its key, which the tree has beside its files. */
function imageOf(directory: string): string {
	const key = readTextIfExists(path.join(directory, "image")) ?? "";
	return `${nameIn(path.join(directory, "manifest"))} (${shortImageID(key, SHOWN_DIGITS)})`;
}

const SHOWN_DIGITS = 12;

function nameIn(manifest: string): string {
	try {
		return String((JSON.parse(readTextIfExists(manifest) ?? "{}") as { name?: unknown }).name);
	} catch {
		return "an unknown image";
	}
}

/** Afterwards nothing takes the damaged part for complete. Files stay where they are or go on existing for running pods. */
export async function takeOutOfUse(
	layout: StoreLayout,
	syscall: Syscall,
	treeId: string,
	files: readonly DamagedFile[],
): Promise<void> {
	const layers = new Set(files.flatMap(({ layer }) => layer ?? []));
	for (const diffId of layers) {
		const hex = layerHex(diffId);
		await withLock(syscall, layout.layerLock(hex), () => retireLayer(layout, hex));
	}
	if (files.every(({ layer }) => layer !== undefined)) return;
	await withLock(syscall, layout.treeLock(treeId), () => {
		fs.rmSync(path.join(layout.tree(treeId), "rendered"), { force: true });
	});
}
