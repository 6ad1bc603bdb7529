import { createHash } from "node:crypto";
import * as fs from "node:fs";
import type { Label } from "../../appc/types/labels.ts";
import { isErrno } from "../../lib/errors.ts";
import { writeFileAtomic } from "../../lib/files.ts";
import type { GuestKernel } from "../../stage1/guest-kernel.ts";
import { isLayerList } from "./layer-id.ts";
import { type StoreLayout, unreadable } from "./layout.ts";

/** An image that the manifest of another one names. */
export interface RecordedDependency {
	readonly imageName: string;
	/** `sha512-…`, in full or cut short. */
	readonly imageID?: string | undefined;
	readonly labels: readonly Label[];
	/** Bytes that it must have. */
	readonly size?: number | undefined;
}

/**
 * What the store knows of an image, `cas/imageinfo/<key>.json`. The image exists exactly when this file does.
 * `lastUsed` is the file's modification time, so that using an image is one system call.
 */
export interface ImageRecord {
	/** The image ID, `sha512-` and 128 hex digits. */
	readonly key: string;
	readonly name: string;
	readonly labels: readonly Label[];
	readonly dependencies: readonly RecordedDependency[];
	/** Milliseconds since 1970. */
	readonly importTime: number;
	/** Milliseconds since 1970. */
	readonly lastUsed: number;
	/** Found by discovery without a version, so it is what `latest` means. */
	readonly latest: boolean;
	/** Of the uncompressed archive, in bytes. */
	readonly size: number;
	/** Of the rendered tree, in bytes; 0 when it is not rendered. */
	readonly treeStoreSize: number;
	/** Imported without a signature check. */
	readonly insecure: boolean;
	/**
	 * Who signed it, `openpgp:` or `cosign:` and the fingerprint of the (primary) key. Only of records that nobody but root can have
	 * written: members of the group rkt may put images into the store.
	 */
	readonly signer?: string | undefined;
	/** What it was imported from, for people: a URL or path. */
	readonly source: string;
	/** SHA-256 of the stored manifest in hex, so that a damaged one is noticed without reading the archive. */
	readonly manifestHash: string;
	/** Of an OCI image: its layers, bottom first, `sha256:` and 64 hex digits each. It has no blob. */
	readonly layers?: readonly string[];
	/** The kernel of a stage1 image; null: none. Undefined in records that do not say. */
	readonly guestKernel?: GuestKernel | null;
}

/** The record, or undefined when there is none or it is damaged, in which case the image has to be fetched again. */
export function readRecord(layout: StoreLayout, key: string): ImageRecord | undefined {
	let fd: number;
	try {
		fd = fs.openSync(layout.info(key), fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR", "ENAMETOOLONG")) return undefined;
		throw unreadable(error, layout.dataDirectory);
	}
	try {
		const record = decodeRecord(fs.readFileSync(fd, "utf8"));
		if (record?.key !== key || !Array.isArray(record.dependencies)) return undefined;
		if (record.layers !== undefined && !isLayerList(record.layers)) return undefined;
		const stat = fs.fstatSync(fd);
		return { ...record, signer: isRoots(stat) ? record.signer : undefined, lastUsed: stat.mtimeMs };
	} catch (error) {
		if (error instanceof SyntaxError) return undefined;
		throw error;
	} finally {
		fs.closeSync(fd);
	}
}

function isRoots({ uid, mode }: fs.Stats): boolean {
	return uid === 0 && (mode & 0o022) === 0;
}

/** Writes the record, which also counts as use. */
export function writeRecord(layout: StoreLayout, record: Omit<ImageRecord, "lastUsed">): void {
	const text = JSON.stringify({ ...record, lastUsed: undefined });
	const checked = JSON.stringify({ ...JSON.parse(text), checksum: checksum(text) });
	const mode = process.geteuid?.() === 0 ? 0o640 : 0o660;
	writeFileAtomic(layout.info(record.key), `${checked}\n`, mode);
}

/** Undefined when it is not what was written. Records of earlier versions have no check sum. */
function decodeRecord(text: string): ImageRecord | undefined {
	const { checksum: expected, ...record } = JSON.parse(text) as ImageRecord & { checksum?: string };
	const right = expected === undefined || expected === checksum(JSON.stringify(record));
	return right ? record : undefined;
}

function checksum(text: string): string {
	return createHash("sha256").update(text).digest("hex");
}

/** The keys of all records, also of damaged ones. */
export function recordedKeys(layout: StoreLayout): string[] {
	try {
		const names = fs
			.readdirSync(layout.infoDirectory)
			.filter((name) => /^sha512-[0-9a-f]{128}\.json$/.test(name));
		return names.map((name) => name.slice(0, -".json".length)).sort();
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR")) return [];
		throw unreadable(error, layout.dataDirectory);
	}
}

/** Sets the time of last use to now; a reader without the right to do so is not stopped. */
export function touchRecord(layout: StoreLayout, key: string): void {
	const now = new Date();
	try {
		fs.utimesSync(layout.info(key), now, now);
	} catch (error) {
		if (!isErrno(error, "EPERM", "EACCES", "EROFS", "ENOENT")) throw error;
	}
}
