import { createHash } from "node:crypto";
import * as fs from "node:fs";
import type { Readable } from "node:stream";
import type { ImageManifest } from "../../appc/schema/image-manifest.ts";
import { normalizeImageIDPrefix } from "../../appc/types/image-id.ts";
import { type Label, labelValue } from "../../appc/types/labels.ts";
import { fail } from "../../lib/errors.ts";
import { readTextIfExists } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { type ImageRecord, readRecord, recordedKeys, touchRecord } from "./image-record.ts";
import type { ImportOptions } from "./import-image.ts";
import { missingLayers } from "./layer-presence.ts";
import { createLayout, type StoreLayout, unusable } from "./layout.ts";
import { type RemoteRecord, readRemote, writeRemote } from "./remote-record.ts";
import { collectImages, removeImage, sweepLeftovers } from "./remove-image.ts";

/** The images, `<data>/cas`. Any number of processes may use it at once. */
export interface ImageStore {
	/** `<data>/cas`. */
	readonly directory: string;
	/** For downloads: `<data>/cas/tmp`, made when it is missing. Error `data-directory-unusable`. */
	temporaryDirectory(): string;
	/** See {@link importImage}. `input` is a path or the bytes as they were downloaded. */
	importAci(input: string | Readable, options: ImportOptions): Promise<ImageRecord>;
	/**
	 * The best image of that name having all labels: without a version wanted, one imported as latest wins, then
	 * the newest import.
	 */
	find(name: string, labels: readonly Label[]): ImageRecord | undefined;
	/**
	 * The full key for a key or a prefix of one (`sha512-` and at least 2 hex digits).
	 * Errors: `image-id-invalid`, `image-not-found`, `image-id-ambiguous`.
	 */
	resolveKey(prefix: string): string;
	/** The record; undefined when the image is not there or its blob has another size than recorded. */
	record(key: string): ImageRecord | undefined;
	/** The manifest, read with the schemas. Errors: `image-not-found`, `image-damaged`. */
	manifest(key: string): Promise<ImageManifest>;
	/** The manifest as it stands in the archive. Errors: `image-not-found`, `image-damaged`. */
	manifestText(key: string): string;
	/** Every image, oldest import first. */
	list(): ImageRecord[];
	/** Removes an image and what points to it; its tree stays until the next image gc. Error `image-not-found`. */
	remove(key: string): void;
	/** The uncompressed archive; counts as use. Error `image-not-found`. */
	openBlob(key: string): Readable;
	/** Marks the image as used now. */
	touch(key: string): void;
	getRemote(url: string): RemoteRecord | undefined;
	putRemote(remote: RemoteRecord): void;
	/**
	 * Removes images unused for longer than the grace period, except `keep`, and what killed commands left behind.
	 * Returns the removed keys.
	 */
	gc(options: { gracePeriodMs: number; keep: ReadonlySet<string> }): string[];
	/** Removes only what killed commands left behind and nobody has locked; parts of downloads if older than `graceMs`. */
	sweep(graceMs?: number): void;
}

export function createImageStore(layout: StoreLayout, syscall: Syscall): ImageStore {
	const record = (key: string) => intactRecord(layout, key);
	return {
		directory: layout.directory,
		temporaryDirectory: () => {
			createLayout(layout);
			return layout.temporaryDirectory;
		},
		importAci: async (input, options) => {
			const { importImage } = await import("./import-image.ts");
			return importImage(layout, syscall, input, options);
		},
		find: (name, labels) => findImage(layout, name, labels),
		resolveKey: (prefix) => resolveKey(layout, prefix),
		record,
		manifest: async (key) => {
			const text = readManifest(layout, key);
			const { parseImageManifest } = await import("../../appc/schema/image-manifest.ts");
			return parseImageManifest(text, `manifest of image ${key}`);
		},
		manifestText: (key) => readManifest(layout, key),
		list: () => allRecords(layout).sort((a, b) => a.importTime - b.importTime),
		remove: (key) => removeImage(layout, syscall, key),
		openBlob: (key) => {
			if (!record(key)) throw imageNotFound(key);
			touchRecord(layout, key);
			return fs.createReadStream(layout.blob(key), { highWaterMark: 1024 * 1024 });
		},
		touch: (key) => touchRecord(layout, key),
		getRemote: (url) => readRemote(layout, url),
		putRemote: (remote) => {
			createLayout(layout);
			try {
				writeRemote(layout, remote);
			} catch (error) {
				throw unusable(error, layout.dataDirectory);
			}
		},
		gc: (options) => collectImages(layout, syscall, options),
		sweep: (graceMs) => sweepLeftovers(layout, syscall, graceMs),
	};
}

/** The record of an image whose blob is there in full length, or its manifest and all of its layers. */
export function intactRecord(layout: StoreLayout, key: string): ImageRecord | undefined {
	const record = readRecord(layout, key);
	if (record?.layers !== undefined) {
		const whole = fs.existsSync(layout.manifest(key)) && missingLayers(layout, record.layers).length === 0;
		return whole ? record : undefined;
	}
	const blob = record && fs.statSync(layout.blob(key), { throwIfNoEntry: false });
	return blob?.isFile() && blob.size === record?.size ? record : undefined;
}

/** Every image that can be used. */
export function allRecords(layout: StoreLayout): ImageRecord[] {
	return recordedKeys(layout).flatMap((key) => intactRecord(layout, key) ?? []);
}

export function findImage(
	layout: StoreLayout,
	name: string,
	labels: readonly Label[],
): ImageRecord | undefined {
	const matches = allRecords(layout).filter(
		(record) =>
			record.name === name && labels.every((label) => labelValue(record.labels, label.name) === label.value),
	);
	const preferLatest = labelValue(labels, "version") === undefined;
	const rank = (record: ImageRecord) => (preferLatest && record.latest ? 1 : 0);
	return matches.sort((a, b) => rank(b) - rank(a) || b.importTime - a.importTime)[0];
}

export function resolveKey(layout: StoreLayout, text: string): string {
	const prefix = normalizeImageIDPrefix(text);
	if (intactRecord(layout, prefix)) return prefix;
	const matches = recordedKeys(layout).filter((key) => key.startsWith(prefix) && intactRecord(layout, key));
	const [key] = matches;
	if (matches.length > 1) {
		fail("image-id-ambiguous", `ambiguous image ID: "${text}" is the beginning of ${matches.length} IDs`, {
			hint: "give more digits; rkt image list --full shows the IDs",
		});
	}
	return key ?? fail("image-not-found", `no image IDs found for "${text}"`, { hint: LIST_HINT });
}

const LIST_HINT = "rkt image list shows the images in the store";

export function imageNotFound(key: string): Error {
	try {
		return fail("image-not-found", `the image ${key} is not in the store`, { hint: LIST_HINT });
	} catch (error) {
		return error as Error;
	}
}

/** The manifest as it stands in the archive. Errors: `image-not-found`, `image-damaged`. */
export function readManifest(layout: StoreLayout, key: string): string {
	const record = readRecord(layout, key);
	const text = readTextIfExists(layout.manifest(key));
	if (!record || text === undefined) throw imageNotFound(key);
	if (createHash("sha256").update(text).digest("hex") !== record.manifestHash) {
		fail("image-damaged", `image ${record.name} (${key}): its manifest in the store was changed`, {
			hint: "remove it with rkt image rm and fetch it again",
		});
	}
	return text;
}
