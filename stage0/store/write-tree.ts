import * as fs from "node:fs";
import * as path from "node:path";
import type { AciContent } from "../../appc/aci/directory-entries.ts";
import { crashPoint } from "../../lib/crash-point.ts";
import { isErrno } from "../../lib/errors.ts";
import { fsyncPath, writeFileAtomic, writeFilesDurable } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { flushFileSystem } from "./flush.ts";
import { type ImageRecord, readRecord, writeRecord } from "./image-record.ts";
import { readManifest } from "./image-store.ts";
import { createLayerHold } from "./layer-hold.ts";
import { createLayout, type StoreLayout, unusable } from "./layout.ts";
import { createTreeDirectory } from "./locked-directory.ts";
import { mergedEntries } from "./merged-entries.ts";
import { withLock } from "./named-lock.ts";
import { removeImage } from "./remove-image.ts";
import { DamagedImageError, readBlob, renderTree } from "./render-tree.ts";
import { sealTree } from "./seal-tree.ts";
import { flatImages, treeIdOf } from "./tree-images.ts";
import { treeLowers } from "./tree-layers.ts";
import { recordTree } from "./tree-record.ts";
import { emptyTree } from "./tree-store.ts";

export interface TreeRequest {
	readonly record: ImageRecord;
	readonly treeId: string;
	/** Also when the tree is there. */
	readonly rebuild: boolean;
}

/** Renders a tree under its lock; whoever waited for the lock finds it done. A damaged image is removed. */
export async function writeTree(layout: StoreLayout, syscall: Syscall, request: TreeRequest): Promise<void> {
	try {
		createLayout(layout);
		await withLock(syscall, layout.treeLock(request.treeId), () => writeLocked(layout, syscall, request));
	} catch (error) {
		if (error instanceof DamagedImageError) forget(layout, syscall, error.key);
		throw unusable(error, layout.dataDirectory);
	}
}

async function writeLocked(layout: StoreLayout, syscall: Syscall, request: TreeRequest): Promise<void> {
	const { record, treeId, rebuild } = request;
	const directory = layout.tree(treeId);
	if (!rebuild && fs.existsSync(path.join(directory, "rendered"))) return;
	emptyTree(layout, treeId);
	createTreeDirectory(directory);
	crashPoint("tree-begin");
	try {
		if (record.layers) await writeLayered(layout, syscall, record, directory);
		else await renderImages(layout, syscall, record, directory);
	} catch (error) {
		emptyTree(layout, treeId);
		throw error;
	}
	await completeTree(layout, syscall, record, directory);
}

/** OCI images among the dependencies have trees of their own, which must be there first. */
async function renderImages(
	layout: StoreLayout,
	syscall: Syscall,
	record: ImageRecord,
	directory: string,
): Promise<void> {
	const images = flatImages(layout, record);
	const lowers = new Map<string, string[]>();
	for (const { id } of images) {
		const dependency = readRecord(layout, id);
		if (!dependency?.layers) continue;
		const treeId = treeIdOf(layout, dependency);
		await writeTree(layout, syscall, { record: dependency, treeId, rebuild: false });
		lowers.set(id, treeLowers(layout, treeId));
	}
	await renderTree(layout, images, directory, async (image, onEntry) => {
		const union = lowers.get(image.id);
		if (union === undefined) return readBlob(layout, image, onEntry);
		for (const { entry, body } of mergedEntries(union, syscall)) await onEntry(entry, streamOf(body));
	});
}

async function* streamOf(body: AciContent["body"]): AsyncGenerator<Buffer> {
	if (Buffer.isBuffer(body)) yield body;
	else if (body !== undefined) yield* body;
}

/** The collector leaves the layers alone until the tree names them. */
async function writeLayered(
	layout: StoreLayout,
	syscall: Syscall,
	record: ImageRecord,
	directory: string,
): Promise<void> {
	const { writeLayeredTree } = await import("./write-layered-tree.ts");
	const layers = record.layers ?? [];
	const hold = createLayerHold(layout, syscall);
	hold.take(layers);
	try {
		await writeLayeredTree(layout, syscall, record, directory);
	} finally {
		hold.drop(layers);
	}
}

/** Makes a written root file system a tree that counts. Call it with the tree's lock. */
export async function completeTree(
	layout: StoreLayout,
	syscall: Syscall,
	record: ImageRecord,
	directory: string,
): Promise<void> {
	crashPoint("tree-written");
	const sealed = sealTree(directory, syscall);
	const flushed = flushFileSystem(directory);
	flushed.catch(() => {});
	const { size, record: described, lists } = recordTree(directory, syscall, sealed);
	await flushed;
	crashPoint("tree-flushed");
	const about = { manifest: readManifest(layout, record.key), image: record.key };
	await writeFilesDurable(directory, { ...described, ...about }, lists);
	writeFileAtomic(path.join(directory, "rendered"), "", 0o600);
	fsyncPath(layout.treeDirectory);
	crashPoint("tree-rendered");
	await recordSize(layout, syscall, record.key, size);
}

async function recordSize(layout: StoreLayout, syscall: Syscall, key: string, size: number): Promise<void> {
	await withLock(syscall, layout.imageLock(key), () => {
		const record = readRecord(layout, key);
		if (record) writeRecord(layout, { ...record, treeStoreSize: size });
	});
}

function forget(layout: StoreLayout, syscall: Syscall, key: string): void {
	try {
		removeImage(layout, syscall, key);
	} catch (error) {
		if (!isErrno(error, "image-not-found")) throw error;
	}
}
