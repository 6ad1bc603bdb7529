import * as fs from "node:fs";
import * as path from "node:path";
import { fail, isErrno, messageOf, RktError } from "../../lib/errors.ts";
import { makeDirectories, readTextIfExists } from "../../lib/files.ts";

/** The directories of a store and the path of everything in it (image.md §9). */
export interface StoreLayout {
	readonly dataDirectory: string;
	/** `<data>/cas`. */
	readonly directory: string;
	readonly infoDirectory: string;
	readonly remoteDirectory: string;
	readonly treeDirectory: string;
	readonly temporaryDirectory: string;
	blob(key: string): string;
	manifest(key: string): string;
	info(key: string): string;
	/** `hash` is that of the URL. */
	remote(hash: string): string;
	imageLock(key: string): string;
	treeLock(treeId: string): string;
	tree(treeId: string): string;
	/** Layers of OCI images: directories named after the SHA-256 of their archives, in hex. */
	readonly layerDirectory: string;
	layer(hex: string): string;
	/** What members of the store's group may know of a layer. */
	layerInfo(hex: string): string;
	/** The archive of a layer that nobody has unpacked yet. */
	readonly layerBlobDirectory: string;
	layerBlob(hex: string): string;
	layerLock(hex: string): string;
	/** Locked by whoever needs layers that no image or tree names yet. */
	readonly layersInUse: string;
}

export function storeLayout(dataDirectory: string): StoreLayout {
	const directory = path.join(dataDirectory, "cas");
	const below = (...parts: string[]) => path.join(directory, ...parts);
	const fanOut = (kind: string, key: string) => below(kind, "sha512", key.slice(7, 9), key);
	return {
		dataDirectory,
		directory,
		infoDirectory: below("imageinfo"),
		remoteDirectory: below("remote"),
		treeDirectory: below("tree"),
		temporaryDirectory: below("tmp"),
		blob: (key) => fanOut("blob", key),
		manifest: (key) => fanOut("imageManifest", key),
		info: (key) => below("imageinfo", `${key}.json`),
		remote: (hash) => below("remote", `${hash}.json`),
		imageLock: (key) => below("imagelocks", key),
		treeLock: (treeId) => below("treestorelocks", treeId),
		tree: (treeId) => below("tree", treeId),
		layerDirectory: below("layer"),
		layer: (hex) => below("layer", hex),
		layerInfo: (hex) => below("layer", `${hex}.json`),
		layerBlobDirectory: below("layerblob"),
		layerBlob: (hex) => below("layerblob", hex),
		layerLock: (hex) => below("layerlocks", hex),
		layersInUse: below("layerlocks", "in-use"),
	};
}

/** Readable and writable for the group rkt, which files in them inherit. */
const SHARED_MODE = 0o2770;
const ROOT_MODE = 0o2700;
/** The group sees which layers there are, and not what is in them. */
const LISTED_MODE = 0o2750;

/**
 * Makes the directories that are missing, for the group rkt if the system has one.
 * Errors: `data-directory-unusable`.
 */
export function createLayout(layout: StoreLayout): void {
	const shared = [
		"",
		"blob/sha512",
		"imageManifest/sha512",
		"imagelocks",
		"tmp",
		"remote",
		"imageinfo",
		"layerblob",
		"layerlocks",
	];
	try {
		if (!fs.existsSync(layout.dataDirectory)) {
			makeDirectories(path.dirname(layout.dataDirectory), 0o755);
			createDirectory(layout.dataDirectory, 0o2750);
		}
		for (const name of shared) createDirectories(layout.directory, name, SHARED_MODE);
		for (const name of ["tree", "treestorelocks"]) createDirectories(layout.directory, name, ROOT_MODE);
		createDirectories(layout.directory, "layer", LISTED_MODE);
	} catch (error) {
		throw unusable(error, layout.dataDirectory);
	}
}

/** The directory that a blob or manifest lies in. */
export function createFanOut(file: string): void {
	createDirectory(path.dirname(file), SHARED_MODE);
}

function createDirectories(base: string, name: string, mode: number): void {
	let current = base;
	for (const part of name.split("/")) {
		current = path.join(current, part);
		createDirectory(current, mode);
	}
}

function createDirectory(directory: string, mode: number): void {
	if (fs.existsSync(directory)) return;
	try {
		fs.mkdirSync(directory, { mode });
	} catch (error) {
		if (isErrno(error, "EEXIST")) return;
		throw error;
	}
	const group = process.geteuid?.() === 0 ? groupId("rkt") : undefined;
	if (group !== undefined) fs.chownSync(directory, 0, group);
	fs.chmodSync(directory, mode);
}

/** From /etc/group, because the store's owner is the local system's. */
function groupId(name: string): number | undefined {
	const line = readTextIfExists("/etc/group")
		?.split("\n")
		.find((entry) => entry.startsWith(`${name}:`));
	const id = line?.split(":")[2];
	return id !== undefined && /^\d+$/.test(id) ? Number(id) : undefined;
}

/** A failure to read the store, in words. */
export function unreadable(error: unknown, dataDirectory: string): unknown {
	if (!isErrno(error, "EACCES", "EPERM")) return error;
	return new RktError("data-directory-unusable", `cannot read the data directory ${dataDirectory}`, {
		hint: "run rkt as root or as a member of the group rkt",
		cause: error,
	});
}

/** A failure to write to the store, in words; other errors are returned as they are. */
export function unusable(error: unknown, dataDirectory: string): unknown {
	try {
		if (isErrno(error, "ENOSPC", "EDQUOT", "EFBIG")) {
			fail("disk-full", `no space left in the data directory ${dataDirectory}`, {
				hint: "make room on its file system, for example with rkt image gc, or choose another with --dir",
				cause: error,
			});
		}
		if (isErrno(error, "EACCES", "EPERM", "EROFS", "ENOTDIR", "ENOENT")) {
			fail(
				"data-directory-unusable",
				`cannot write to the data directory ${dataDirectory}: ${messageOf(error)}`,
				{
					hint: "run rkt as root or as a member of the group rkt, or choose another directory with --dir",
					cause: error,
				},
			);
		}
	} catch (told) {
		return told;
	}
	return error;
}
