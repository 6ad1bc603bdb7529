import * as fs from "node:fs";
import * as path from "node:path";
import { crashPoint } from "../../lib/crash-point.ts";
import { fail, isErrno } from "../../lib/errors.ts";
import { fsyncPath, listDirectory, lstatIfExists } from "../../lib/files.ts";
import { lockPath } from "../../lib/lock.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { readRecord, recordedKeys } from "./image-record.ts";
import { type StoreLayout, unusable } from "./layout.ts";
import { acquireLock, tryLock } from "./named-lock.ts";
import { removeRemotesOf } from "./remote-record.ts";
import { collectLayers } from "./remove-layer.ts";

/** Removes an image: first what makes it visible, so that a killed process leaves files that a sweep finds. */
export function removeImage(layout: StoreLayout, syscall: Syscall, key: string): void {
	if (!fs.existsSync(layout.info(key))) {
		fail("image-not-found", `the image ${key} is not in the store`, {
			hint: "rkt image list shows the images in the store",
		});
	}
	const layers = readRecord(layout, key)?.layers;
	try {
		const lock = acquireLock(syscall, layout.imageLock(key));
		try {
			removeFiles(layout, key);
		} finally {
			lock.remove();
		}
		if (layers) collectLayers(layout, syscall, { only: new Set(layers) });
	} catch (error) {
		throw unusable(error, layout.dataDirectory);
	}
}

function removeFiles(layout: StoreLayout, key: string): void {
	removeRemotesOf(layout, key);
	crashPoint("remove-remotes");
	fs.rmSync(layout.info(key), { force: true });
	fsyncPath(layout.infoDirectory);
	crashPoint("remove-record");
	fs.rmSync(layout.manifest(key), { force: true });
	crashPoint("remove-manifest");
	fs.rmSync(layout.blob(key), { force: true });
}

/** Removes images unused for longer than the grace period, least recently used first. */
export function collectImages(
	layout: StoreLayout,
	syscall: Syscall,
	{ gracePeriodMs, keep }: { gracePeriodMs: number; keep: ReadonlySet<string> },
): string[] {
	const records = recordedKeys(layout).flatMap((key) => readRecord(layout, key) ?? []);
	const limit = Date.now() - gracePeriodMs;
	const unused = records.filter(({ key, lastUsed }) => !keep.has(key) && lastUsed <= limit);
	unused.sort((a, b) => a.lastUsed - b.lastUsed);
	const removed = unused.filter(({ key }) => removeIfStillUnused(layout, syscall, key, limit));
	sweepLeftovers(layout, syscall, gracePeriodMs);
	collectLayers(layout, syscall, { graceMs: gracePeriodMs });
	return removed.map(({ key }) => key);
}

/** Another process may have used the image since the list was made. */
function removeIfStillUnused(layout: StoreLayout, syscall: Syscall, key: string, limit: number): boolean {
	const lock = acquireLock(syscall, layout.imageLock(key));
	const record = readRecord(layout, key);
	if (!record || record.lastUsed > limit) {
		lock.release();
		return false;
	}
	try {
		removeFiles(layout, key);
	} finally {
		lock.remove();
	}
	return true;
}

/**
 * Removes what killed commands left: temporary files that nobody has locked, blobs and manifests without a record.
 * Parts of downloads stay for `graceMs`, because the next fetch goes on with them.
 */
export function sweepLeftovers(layout: StoreLayout, syscall: Syscall, graceMs = 0): void {
	for (const name of listDirectory(layout.temporaryDirectory)) {
		const file = path.join(layout.temporaryDirectory, name);
		const stats = lstatIfExists(file);
		const age = stats ? Date.now() - stats.mtimeMs : 0;
		if (!name.endsWith(".state") && (name.startsWith("import-") || age >= graceMs))
			sweepTemporary(syscall, file);
	}
	sweepStates(layout);
	sweepEarlyTrees(layout, syscall);
	const recorded = new Set(recordedKeys(layout));
	for (const kind of ["blob", "imageManifest"]) {
		for (const key of storedKeys(path.join(layout.directory, kind, "sha512"))) {
			if (!recorded.has(key)) sweepOrphan(layout, syscall, key);
		}
	}
	const manifests = path.join(layout.directory, "imageManifest", "sha512");
	const fanOut = listDirectory(manifests).map((part) => path.join(manifests, part));
	const { infoDirectory, remoteDirectory, layerDirectory } = layout;
	for (const directory of [infoDirectory, remoteDirectory, layerDirectory, ...fanOut])
		sweepAtomicWrites(directory);
}

function sweepTemporary(syscall: Syscall, file: string): void {
	const lock = tryLock(syscall, file);
	lock?.remove();
}

/** Trees of imports that were killed (early-tree.ts). */
function sweepEarlyTrees(layout: StoreLayout, syscall: Syscall): void {
	for (const name of listDirectory(layout.treeDirectory)) {
		if (!name.startsWith("import-")) continue;
		const directory = path.join(layout.treeDirectory, name);
		const lock = lockPath(syscall, directory, { noWait: true });
		if (lock) fs.rmSync(directory, { recursive: true, force: true });
		lock?.release();
	}
}

/** The state of a download means nothing without the download. */
function sweepStates(layout: StoreLayout): void {
	for (const name of listDirectory(layout.temporaryDirectory)) {
		const file = path.join(layout.temporaryDirectory, name);
		if (name.endsWith(".state") && !fs.existsSync(file.slice(0, -".state".length)))
			fs.rmSync(file, { force: true });
	}
}

function storedKeys(directory: string): string[] {
	return listDirectory(directory).flatMap((part) => listDirectory(path.join(directory, part)));
}

function sweepOrphan(layout: StoreLayout, syscall: Syscall, key: string): void {
	if (!/^sha512-[0-9a-f]{128}$/.test(key)) return;
	const lock = tryLock(syscall, layout.imageLock(key));
	if (!lock) return;
	if (fs.existsSync(layout.info(key))) {
		lock.release();
		return;
	}
	fs.rmSync(layout.manifest(key), { force: true });
	fs.rmSync(layout.blob(key), { force: true });
	lock.remove();
}

/** `NAME.PID.RANDOM.tmp` of a process that is gone (lib/files.ts). */
function sweepAtomicWrites(directory: string): void {
	for (const name of listDirectory(directory)) {
		const pid = /\.(\d+)\.[a-z0-9]+\.tmp$/.exec(name)?.[1];
		if (pid !== undefined && !isAlive(Number(pid))) fs.rmSync(path.join(directory, name), { force: true });
	}
}

function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		return isErrno(error, "EPERM");
	}
}
