import * as fs from "node:fs";
import * as path from "node:path";
import { crashPoint } from "../../lib/crash-point.ts";
import { isErrno } from "../../lib/errors.ts";
import { fsyncPath, listDirectory, lstatIfExists, randomSuffix } from "../../lib/files.ts";
import { lockPath } from "../../lib/lock.ts";
import { LOCK_EX, LOCK_NB, type Syscall } from "../../lib/syscall/syscall.ts";
import { readRecord, recordedKeys } from "./image-record.ts";
import { layerHex } from "./layer-id.ts";
import { packedLayers, unpackedLayers } from "./layer-presence.ts";
import type { StoreLayout } from "./layout.ts";
import { tryLock } from "./named-lock.ts";
import { readTreeLayers } from "./tree-layers.ts";

/**
 * Takes an unpacked layer out of its place, at once and as a whole, and removes it. A killed process leaves a directory
 * that a sweep finds. Call it with the layer's lock.
 */
export function discardDirectory(layout: StoreLayout, hex: string): void {
	const away = moveAway(layout, hex, `import-${process.pid}`);
	if (away !== undefined) fs.rmSync(away, { recursive: true, force: true });
	fs.rmSync(layout.layerInfo(hex), { force: true });
}

/** The same for a damaged one; its files stay as long as there is a tree with that layer: pods may be running on them. */
export function retireLayer(layout: StoreLayout, hex: string): void {
	moveAway(layout, hex, `retired-${hex}`);
	fs.rmSync(layout.layerInfo(hex), { force: true });
	fs.rmSync(layout.layerBlob(hex), { force: true });
}

function moveAway(layout: StoreLayout, hex: string, prefix: string): string | undefined {
	const away = path.join(layout.layerDirectory, `${prefix}-${randomSuffix()}`);
	try {
		fs.renameSync(layout.layer(hex), away);
	} catch (error) {
		if (isErrno(error, "ENOENT")) return undefined;
		throw error;
	}
	fsyncPath(layout.layerDirectory);
	crashPoint("layer-moved-away");
	return away;
}

/**
 * Removes layers that no image and no tree names, and what killed commands left of layers; nothing while a fetch is
 * under way. Layers that a fetch got less than `graceMs` ago stay, because the next one goes on with them. Only root
 * can. Returns the diff IDs.
 */
export function collectLayers(
	layout: StoreLayout,
	syscall: Syscall,
	{ only, graceMs = 0 }: { readonly only?: ReadonlySet<string>; readonly graceMs?: number } = {},
): string[] {
	if (process.geteuid?.() !== 0 || !fs.existsSync(layout.layerDirectory)) return [];
	const alone = lockAlone(layout, syscall);
	if (alone === undefined) return [];
	try {
		const named = namedLayers(layout);
		if (named === undefined) return [];
		const all = [...new Set([...unpackedLayers(layout), ...packedLayers(layout)])];
		const unused = all.filter(
			(hex) => !named.all.has(hex) && (only?.has(`sha256:${hex}`) ?? true) && ageOf(layout, hex) >= graceMs,
		);
		const removed = unused.filter((hex) => removeLayer(layout, syscall, hex));
		sweepLayerDirectory(layout, syscall, named.ofTrees);
		return removed.map((hex) => `sha256:${hex}`);
	} finally {
		fs.closeSync(alone);
	}
}

/** Milliseconds since the layer came into the store. */
function ageOf(layout: StoreLayout, hex: string): number {
	const stats = lstatIfExists(layout.layer(hex)) ?? lstatIfExists(layout.layerBlob(hex));
	return stats ? Math.max(0, Date.now() - stats.ctimeMs) : 0;
}

/** Undefined when somebody is fetching or rendering (layer-hold.ts). */
function lockAlone(layout: StoreLayout, syscall: Syscall): number | undefined {
	const fd = fs.openSync(
		layout.layersInUse,
		fs.constants.O_RDONLY | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW,
		0o660,
	);
	try {
		syscall.flock(fd, LOCK_EX | LOCK_NB);
		return fd;
	} catch (error) {
		fs.closeSync(fd);
		if (isErrno(error, "EAGAIN", "EWOULDBLOCK")) return undefined;
		throw error;
	}
}

/** Undefined when the list of a tree is damaged, which may be that of a running pod. */
function namedLayers(
	layout: StoreLayout,
): { readonly all: ReadonlySet<string>; readonly ofTrees: ReadonlySet<string> } | undefined {
	const ofImages = recordedKeys(layout).flatMap((key) => readRecord(layout, key)?.layers ?? []);
	const ofTrees = listDirectory(layout.treeDirectory).map((id) => readTreeLayers(layout.tree(id)));
	if (ofTrees.includes(null)) return undefined;
	const hexOfTrees = ofTrees.flatMap((layers) => (layers ?? []).map(layerHex));
	return { all: new Set([...ofImages.map(layerHex), ...hexOfTrees]), ofTrees: new Set(hexOfTrees) };
}

function removeLayer(layout: StoreLayout, syscall: Syscall, hex: string): boolean {
	const lock = tryLock(syscall, layout.layerLock(hex));
	if (lock === undefined) return false;
	try {
		discardDirectory(layout, hex);
		fs.rmSync(layout.layerBlob(hex), { force: true });
	} finally {
		lock.remove();
	}
	return true;
}

/** Directories of killed commands, which nobody has locked, damaged layers, and files about layers that are gone. */
function sweepLayerDirectory(layout: StoreLayout, syscall: Syscall, ofTrees: ReadonlySet<string>): void {
	for (const name of listDirectory(layout.layerDirectory)) {
		const file = path.join(layout.layerDirectory, name);
		const retired = /^retired-([0-9a-f]{64})-/.exec(name)?.[1];
		if (retired !== undefined) {
			if (!ofTrees.has(retired)) fs.rmSync(file, { recursive: true, force: true });
		} else if (name.startsWith("import-")) {
			const lock = lockPath(syscall, file, { noWait: true });
			if (lock) fs.rmSync(file, { recursive: true, force: true });
			lock?.release();
		} else if (!fs.existsSync(path.join(layout.layerDirectory, name.slice(0, 64)))) {
			fs.rmSync(file, { force: true });
		}
	}
}
