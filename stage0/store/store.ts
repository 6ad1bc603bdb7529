import type { Readable } from "node:stream";
import type { ImageManifest } from "../../appc/schema/image-manifest.ts";
import type { Label } from "../../appc/types/labels.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { ImageRecord, RemoteRecord } from "./image-record.ts";

export interface ImportOptions {
	/** A URL or path, for messages and the record. */
	readonly source: string;
	/** Discovered without a version label. */
	readonly latest?: boolean;
	/** No signature was checked. */
	readonly insecure?: boolean;
	/** Full image ID that the archive must have. Error `image-id-mismatch`. */
	readonly expectedId?: string;
	/** Bytes of the uncompressed archive that a dependency promises. Error `image-size-mismatch`. */
	readonly expectedSize?: number;
	/**
	 * Called with the whole archive read and checked, before anything is visible in the store: throws to refuse
	 * it (name, labels, signature).
	 */
	readonly accept?: (candidate: { key: string; manifest: ImageManifest }) => void | Promise<void>;
}

/** The image half of the store, `<data>/cas`. Any number of processes may use it at once. */
export interface ImageStore {
	/** `<data>/cas`. */
	readonly directory: string;
	/** Reads an archive once: unpacks, hashes, checks and stores it. `input` is a path or the raw bytes. */
	importAci(input: string | Readable, options: ImportOptions): Promise<ImageRecord>;
	/**
	 * The best image of that name having all labels: without a version wanted, one imported as latest wins, then
	 * the newest import.
	 */
	find(name: string, labels: readonly Label[]): ImageRecord | undefined;
	/**
	 * The full key for a key or a prefix of one (`sha512-` and at least 2 hex digits).
	 * Errors: `image-id-invalid`, `image-id-short`, `image-not-found`, `image-id-ambiguous`.
	 */
	resolveKey(prefix: string): string;
	/** The record, or undefined when the image is not there or its blob has another size than recorded. */
	record(key: string): ImageRecord | undefined;
	/** The checked manifest. Loads the schemas. Error `image-not-found`. */
	manifest(key: string): Promise<ImageManifest>;
	/** The manifest as it was in the archive, for readers that need no schema. Error `image-not-found`. */
	manifestText(key: string): string;
	/** Every image, oldest import first. */
	list(): ImageRecord[];
	/** Removes an image and what points to it; its tree stays until {@link TreeStore.treeGc}. Error `image-not-found`. */
	remove(key: string): void;
	/** The uncompressed archive, and counts as use. Error `image-not-found`. */
	openBlob(key: string): Readable;
	/** Marks the image as used now. Never fails for a reader without write permission. */
	touch(key: string): void;
	getRemote(url: string): RemoteRecord | undefined;
	putRemote(remote: RemoteRecord): void;
	/**
	 * Removes images unused for longer than the grace period, except `keep`, and what killed commands left behind.
	 * Returns the removed keys.
	 */
	gc(options: { gracePeriodMs: number; keep: ReadonlySet<string> }): string[];
	/** Removes only what killed commands left behind and nobody has locked. */
	sweep(): void;
}

export interface RenderedTree {
	/** `deps-sha512-` and 128 hex digits. */
	readonly treeId: string;
	/** The root file system, a directory that must never be written to. */
	readonly rootfs: string;
}

export type TreeCheck = "verified" | "not-rendered" | "damaged";

/** The rendered half of the store, `<data>/cas/tree`. Needs root to write. */
export interface TreeStore {
	/** Where the tree of an image is or would be. Error `image-not-found`, also for a dependency. */
	treeOf(key: string): RenderedTree & { readonly rendered: boolean };
	/**
	 * The tree of an image with its dependencies; renders it unless that was done before, and marks the image as used.
	 * Errors: `image-damaged`, `tree-not-written`.
	 */
	ensureTree(key: string, options?: { readonly rebuild?: boolean }): Promise<RenderedTree>;
	/** Compares a tree with the hash taken when it was rendered. */
	verifyTree(key: string): Promise<TreeCheck>;
	removeTree(treeId: string): void;
	/** Bytes of file content; 0 when it is not rendered. */
	treeSize(treeId: string): number;
	/** Removes every tree that is not named. Returns the removed ids. Call it under the exclusive prepare lock. */
	treeGc(referencedIds: ReadonlySet<string>): string[];
}

export interface Store extends ImageStore, TreeStore {}

/**
 * Opens the store below a data directory; makes it when it is missing.
 * Errors: `data-directory-unusable`.
 */
export function openStore(dataDirectory: string, syscall: Syscall): Store {
	throw new Error(`${dataDirectory} ${typeof syscall}`);
}
