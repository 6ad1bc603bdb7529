import * as fs from "node:fs";
import * as path from "node:path";
import type { TarEntry } from "../../appc/aci/entry.ts";
import { fail } from "../../lib/errors.ts";
import { writeFilesDurable } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { unpackArchive } from "./ensure-layer.ts";
import type { ImageRecord } from "./image-record.ts";
import { readManifest } from "./image-store.ts";
import { isKeptAttribute } from "./kept-attributes.ts";
import { checkLayerList } from "./layer-chain.ts";
import { layerHex } from "./layer-id.ts";
import { isUnpacked } from "./layer-presence.ts";
import { readShape } from "./layer-shape.ts";
import type { StoreLayout } from "./layout.ts";
import { withLock } from "./named-lock.ts";
import { retireLayer } from "./remove-layer.ts";
import { createTreeWriter } from "./render-tree.ts";
import { encodeTreeLayers } from "./tree-layers.ts";
import { plainDirectory, whiteout } from "./unpack-layer.ts";
import { type FixUp, findFixUps, type LayerFiles } from "./visible-directories.ts";

/**
 * Writes what the tree of an OCI image has of its own: the list of its layers, and the directories that no single layer
 * can describe. Layers that are there as archives are unpacked first.
 * Errors: `layers-invalid`, `layers-conflict`, `image-damaged`, `layer-missing`, `tree-not-written`, `disk-full`.
 */
export async function writeLayeredTree(
	layout: StoreLayout,
	syscall: Syscall,
	record: ImageRecord,
	directory: string,
): Promise<void> {
	const { layers = [], name } = record;
	checkLayerList(readManifest(layout, record.key), layers, `image ${name}`);
	// The upper one of two equal layers says all that the lower one does, and overlayfs refuses a directory twice.
	const different = layers.filter((diffId, index) => layers.lastIndexOf(diffId) === index);
	for (const diffId of different) await unpackWaiting(layout, syscall, diffId, name);
	const files: LayerFiles[] = [];
	for (const diffId of different) files.push(await openLayer(layout, syscall, diffId, name));
	await writeFixUps(syscall, findFixUps(files), directory);
	// A layer whose root hides the layers below: overlayfs does not look for that.
	const lowest = files.findLastIndex(({ shape }) => shape.opaque.includes(""));
	await writeFilesDurable(directory, encodeTreeLayers(different.slice(Math.max(0, lowest))));
}

async function unpackWaiting(
	layout: StoreLayout,
	syscall: Syscall,
	diffId: string,
	name: string,
): Promise<void> {
	const hex = layerHex(diffId);
	if (isUnpacked(layout, hex)) return;
	if (process.geteuid?.() !== 0) {
		fail(
			"tree-not-written",
			`image ${name}: its layer ${diffId} is not unpacked, and only root can unpack it`,
			{
				hint: "run the command as root",
			},
		);
	}
	const unpacked = await withLock(
		syscall,
		layout.layerLock(hex),
		async () =>
			isUnpacked(layout, hex) || unpackArchive(layout, syscall, { diffId, source: `image ${name}` }),
	);
	if (!unpacked) refuseDamagedLayer(diffId, name);
}

function refuseDamagedLayer(diffId: string, name: string): never {
	fail("image-damaged", `image ${name}: its layer ${diffId} in the store was damaged: it was removed`, {
		hint: "fetch the image again",
	});
}

async function openLayer(
	layout: StoreLayout,
	syscall: Syscall,
	diffId: string,
	name: string,
): Promise<LayerFiles> {
	const hex = layerHex(diffId);
	const shape = readShape(layout.layer(hex));
	if (shape !== undefined) return { diffId, rootfs: path.join(layout.layer(hex), "rootfs"), shape };
	await withLock(syscall, layout.layerLock(hex), () => retireLayer(layout, hex));
	return refuseDamagedLayer(diffId, name);
}

async function writeFixUps(syscall: Syscall, fixUps: readonly FixUp[], directory: string): Promise<void> {
	const writer = createTreeWriter(directory);
	try {
		for (const fixUp of fixUps) await writer.add(entryOf(syscall, fixUp));
		await writer.finish();
	} catch (error) {
		await writer.abort();
		throw error;
	}
}

function entryOf(syscall: Syscall, fixUp: FixUp): TarEntry {
	if (fixUp.kind === "whiteout") return whiteout(fixUp.path);
	const plain = plainDirectory(fixUp.path);
	if (fixUp.source === undefined) return plain;
	const original = path.join(fixUp.source.rootfs, fixUp.path);
	const stats = fs.lstatSync(original, { bigint: true });
	const xattrs = new Map([...syscall.getXattrs(original)].filter(([name]) => isKeptAttribute(name)));
	return {
		...plain,
		mode: Number(stats.mode) & 0o7777,
		uid: Number(stats.uid),
		gid: Number(stats.gid),
		mtimeNs: stats.mtimeNs,
		...(xattrs.size > 0 && { xattrs }),
	};
}
