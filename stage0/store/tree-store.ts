import * as fs from "node:fs";
import * as path from "node:path";
import type { AciContent } from "../../appc/aci/directory-entries.ts";
import { crashPoint } from "../../lib/crash-point.ts";
import { fail, isErrno } from "../../lib/errors.ts";
import { listDirectory } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { type ImageRecord, touchRecord } from "./image-record.ts";
import { imageNotFound, intactRecord } from "./image-store.ts";
import type { StoreLayout } from "./layout.ts";
import { acquireLock } from "./named-lock.ts";
import { partsOf, treeIdOf } from "./tree-images.ts";
import { readTreeLayers, treeDirectories, treeLowers } from "./tree-layers.ts";
import { isUntouched } from "./tree-stamps.ts";
import type { DamagedFile, TreeVerdict } from "./verify-tree.ts";

export interface RenderedTree {
	/** `deps-sha512-` and 128 hex digits. */
	readonly treeId: string;
	/** The root file system, or what an OCI image has of its own in it: a directory that must never be written to. */
	readonly rootfs: string;
	/** The directories whose union the root file system is, uppermost first; `rootfs` is the first. */
	readonly lowers: readonly string[];
}

/** Root file systems rendered from images, `<data>/cas/tree`. Writing needs root. */
export interface TreeStore {
	/** Where the tree of an image is or would be. Error `image-not-found`, also for a dependency. */
	treeOf(key: string): RenderedTree & { readonly rendered: boolean };
	/** The `lowers` of a tree. */
	lowersOf(treeId: string): string[];
	/**
	 * The tree of an image with its dependencies; renders it unless that was done before, and marks the image as used.
	 * Errors: `image-not-found`, `image-damaged`, `tree-not-written`, `root-required`, `disk-full`,
	 * `data-directory-unusable`.
	 */
	ensureTree(key: string, options?: { readonly rebuild?: boolean }): Promise<RenderedTree>;
	/** The images that supply the files of an image's tree: it and its dependencies. Error `image-not-found`, also for one of those. */
	partsOf(key: string): string[];
	/**
	 * Reads every file of a tree and its layers and compares it with what was rendered; without a tree, the layers alone.
	 * Error `root-required`.
	 */
	verifyTree(key: string): Promise<TreeVerdict>;
	/**
	 * Makes a damaged tree anew from the archive of its image, and takes damaged layers out of the store.
	 * Errors: `image-damaged` when the image has to be fetched again; those of {@link TreeStore.ensureTree}.
	 */
	repairTree(key: string, files: readonly DamagedFile[]): Promise<void>;
	/** False when the stored archive of an image is not what its key says. True for an OCI image, which has none. */
	verifyArchive(key: string): Promise<boolean>;
	/**
	 * The files of an image with its dependencies as archive entries `rootfs` and below, in order, each with its content.
	 * Renders it first. Errors: those of {@link TreeStore.ensureTree}.
	 */
	entriesOf(key: string): Promise<Iterable<AciContent>>;
	/**
	 * Before a tree is run: sees whether anything of it was touched since it was rendered or last read whole, and only then,
	 * or with `whole`, looks at all of it; with `whole` it also reads what the kernel has sealed. What is damaged is taken out of use, so that it is rendered or fetched anew.
	 * Errors: `image-damaged`, which names the file; `tree-missing`.
	 */
	checkTree(treeId: string, options?: { readonly whole?: boolean }): Promise<void>;
	removeTree(treeId: string): void;
	/** Bytes of file content; 0 when it is not rendered. */
	treeSize(treeId: string): number;
	/** Removes every tree that is not named. Returns the removed ids. Call it under the exclusive prepare lock. */
	treeGc(referencedIds: ReadonlySet<string>): string[];
}

export function createTreeStore(layout: StoreLayout, syscall: Syscall): TreeStore {
	const store: TreeStore = {
		treeOf: (key) => locateTree(layout, requireRecord(layout, key)),
		ensureTree: async (key, { rebuild = false } = {}) => {
			const record = requireRecord(layout, key);
			requireTrees(layout);
			const { rendered, ...tree } = locateTree(layout, record);
			if (rendered && !rebuild) {
				touchRecord(layout, key);
				return tree;
			}
			const { writeTree } = await import("./write-tree.ts");
			const damaged = readTreeLayers(layout.tree(tree.treeId)) === null;
			await writeTree(layout, syscall, { record, treeId: tree.treeId, rebuild: rebuild || damaged });
			return { ...tree, lowers: treeLowers(layout, tree.treeId) };
		},
		partsOf: (key) => partsOf(layout, requireRecord(layout, key)),
		lowersOf: (treeId) => treeLowers(layout, treeId),
		verifyTree: async (key) => {
			const record = requireRecord(layout, key);
			requireTrees(layout);
			const treeId = treeIdOf(layout, record);
			const { verifyLayers, verifyTree } = await import("./verify-tree.ts");
			if (isMarked(layout, treeId)) return verifyTree(layout, syscall, treeId, true);
			const layers = partsOf(layout, record).flatMap((part) => requireRecord(layout, part).layers ?? []);
			return layers.length === 0 ? { state: "not-rendered" } : verifyLayers(layout, syscall, layers);
		},
		repairTree: async (key, files) => {
			const record = requireRecord(layout, key);
			const { takeOutOfUse } = await import("./verify-tree.ts");
			await takeOutOfUse(layout, syscall, treeIdOf(layout, record), files);
			if (files.every(({ layer }) => layer === undefined)) await store.ensureTree(key, { rebuild: true });
			else failDamagedLayers(record);
		},
		verifyArchive: async (key) => {
			const { verifyArchive } = await import("./verify-archive.ts");
			return verifyArchive(layout, requireRecord(layout, key));
		},
		entriesOf: async (key) => {
			const { lowers, treeId } = await store.ensureTree(key);
			await store.checkTree(treeId);
			const { mergedEntries } = await import("./merged-entries.ts");
			return mergedEntries(lowers, syscall);
		},
		checkTree: async (treeId, { whole = false } = {}) => {
			if (!whole && readTreeLayers(layout.tree(treeId)) !== null) {
				if (treeDirectories(layout, treeId).every(isUntouched)) return;
			}
			const { refuseDamaged } = await import("./verify-tree.ts");
			await refuseDamaged(layout, syscall, treeId, whole);
		},
		removeTree: (treeId) => removeTree(layout, syscall, treeId),
		treeSize: (treeId) => readSize(layout, treeId),
		treeGc: (referencedIds) => {
			const trees = listDirectory(layout.treeDirectory).filter((name) =>
				/^deps-sha512-[0-9a-f]{128}$/.test(name),
			);
			const unused = trees.filter((treeId) => !referencedIds.has(treeId));
			for (const treeId of unused) removeTree(layout, syscall, treeId);
			return unused;
		},
	};
	return store;
}

function failDamagedLayers({ name, source }: ImageRecord): never {
	fail("image-damaged", `layers of the image ${name} were damaged: they were removed from the store`, {
		hint: `get them again with rkt fetch ${source}`,
	});
}

function requireRecord(layout: StoreLayout, key: string): ImageRecord {
	const record = intactRecord(layout, key);
	if (!record) throw imageNotFound(key);
	return record;
}

/** What is rendered is for root alone: it may hold set-user-ID programs. Error `root-required`. */
function requireTrees({ treeDirectory }: StoreLayout): void {
	try {
		fs.accessSync(treeDirectory, fs.constants.R_OK | fs.constants.X_OK);
	} catch (error) {
		if (!isErrno(error, "EACCES")) return;
		fail("root-required", `only root may read and write the rendered images in ${treeDirectory}`, {
			hint: "run the command as root",
		});
	}
}

function locateTree(layout: StoreLayout, record: ImageRecord): RenderedTree & { rendered: boolean } {
	const treeId = treeIdOf(layout, record);
	const directory = layout.tree(treeId);
	const rootfs = path.join(directory, "rootfs");
	const whole = readTreeLayers(directory) !== null;
	const rendered = whole && isMarked(layout, treeId);
	return { treeId, rootfs, lowers: whole ? treeLowers(layout, treeId) : [rootfs], rendered };
}

/** Of a tree that was written to its end. */
function isMarked(layout: StoreLayout, treeId: string): boolean {
	return fs.existsSync(path.join(layout.tree(treeId), "rendered"));
}

/** The marker goes first: what is left of a killed removal is no tree. */
function removeTree(layout: StoreLayout, syscall: Syscall, treeId: string): void {
	const lock = acquireLock(syscall, layout.treeLock(treeId));
	try {
		emptyTree(layout, treeId);
	} finally {
		lock.remove();
	}
}

/** Call it with the tree's lock. */
export function emptyTree(layout: StoreLayout, treeId: string): void {
	const directory = layout.tree(treeId);
	fs.rmSync(path.join(directory, "rendered"), { force: true });
	crashPoint("tree-unmarked");
	fs.rmSync(directory, { recursive: true, force: true });
}

function readSize(layout: StoreLayout, treeId: string): number {
	if (!isMarked(layout, treeId)) return 0;
	return Number(fs.readFileSync(path.join(layout.tree(treeId), "size"), "utf8"));
}
