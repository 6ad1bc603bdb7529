import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { gzipSync } from "node:zlib";
import type { AciEntry } from "./make-aci.ts";
import { octal, paxHeader, TAR_END, tarEntry } from "./tar-bytes.ts";

/** One entry of a layer, in the order of the archive; a path may come twice. */
export interface LayerEntry {
	/** Relative, without a slash at the end. Written as it is, so that tests can write wrong ones. */
	readonly path: string;
	/** Default `file`. */
	readonly type?: keyof typeof FLAGS;
	readonly content?: string | Buffer;
	/** Text of a symbolic link; path of the entry that a hard link repeats. */
	readonly link?: string;
	readonly mode?: number;
	readonly uid?: number;
	readonly gid?: number;
	/** Seconds since 1970, such as `1700000000.25`. */
	readonly mtime?: string;
	readonly device?: { readonly major: number; readonly minor: number };
	/** By full name, such as `user.note`; `security.capability` needs a buffer. */
	readonly xattrs?: Readonly<Record<string, string | Buffer>>;
}

const FLAGS = {
	file: "0",
	hardlink: "1",
	symlink: "2",
	"character-device": "3",
	"block-device": "4",
	directory: "5",
	fifo: "6",
} as const;

export type LayerCompression = "none" | "gzip" | "zstd";

/** A layer with both of its digests. */
export interface OciLayer {
	/** The bytes as a registry stores them. */
	readonly blob: Buffer;
	readonly mediaType: string;
	/** `sha256:` of the blob. */
	readonly digest: string;
	/** `sha256:` of the tar inside. */
	readonly diffId: string;
	readonly tar: Buffer;
}

type More = Omit<LayerEntry, "path" | "type">;

export const fileEntry = (path: string, content: string | Buffer, more: More = {}): LayerEntry => ({
	path,
	content,
	...more,
});
export const directoryEntry = (path: string, more: More = {}): LayerEntry => ({
	path,
	type: "directory",
	...more,
});
export const symlinkEntry = (path: string, link: string): LayerEntry => ({ path, type: "symlink", link });
export const hardlinkEntry = (path: string, link: string): LayerEntry => ({ path, type: "hardlink", link });

/** Removes what lower layers have at this path. */
export function whiteoutEntry(path: string): LayerEntry {
	const at = path.lastIndexOf("/") + 1;
	return fileEntry(`${path.slice(0, at)}.wh.${path.slice(at)}`, "");
}

/** Removes what lower layers have in this directory. */
export const opaqueEntry = (directory: string): LayerEntry => fileEntry(`${directory}/.wh..wh..opq`, "");

/** The files of an image of the older kind as entries; `busyboxFiles()` of make-aci.ts for example. */
export function layerFiles(files: Readonly<Record<string, AciEntry>>): LayerEntry[] {
	return Object.entries(files).map(([path, entry]): LayerEntry => {
		if ("directory" in entry) return directoryEntry(path, { mode: entry.mode ?? 0o755 });
		if ("symlink" in entry) return symlinkEntry(path, entry.symlink);
		if ("text" in entry) return fileEntry(path, entry.text, entry);
		const mode = entry.mode ?? fs.statSync(entry.copyOf).mode & 0o7777;
		return fileEntry(path, fs.readFileSync(entry.copyOf), { mode });
	});
}

/** The tar of a layer. Built without rkt's own archive code, so that tests compare two opinions. */
export function layerTar(entries: readonly LayerEntry[]): Buffer {
	return Buffer.concat([...entries.flatMap(entryBlocks), TAR_END]);
}

/** A layer of these entries, or of a finished tar. */
export function makeLayer(
	content: readonly LayerEntry[] | Buffer,
	compression: LayerCompression = "gzip",
): OciLayer {
	const tar = Buffer.isBuffer(content) ? content : layerTar(content);
	const blob = compressLayer(tar, compression);
	const suffix = compression === "none" ? "" : `+${compression}`;
	return {
		blob,
		mediaType: `application/vnd.oci.image.layer.v1.tar${suffix}`,
		digest: sha256(blob),
		diffId: sha256(tar),
		tar,
	};
}

export function sha256(bytes: Buffer | string): string {
	return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function compressLayer(tar: Buffer, compression: LayerCompression): Buffer {
	if (compression === "none") return tar;
	if (compression === "gzip") return gzipSync(tar, { level: 1 });
	const result = spawnSync("zstd", ["-q", "-c", "-1"], { input: tar, maxBuffer: 2 * tar.length + 65536 });
	if (result.status !== 0) throw new Error(`zstd failed: ${result.stderr}`);
	return result.stdout;
}

const latin1 = (text: string): string => Buffer.from(text).toString("latin1");

function entryBlocks(entry: LayerEntry): Buffer[] {
	const { type = "file", link = "", mtime = "0" } = entry;
	const name = latin1(type === "directory" ? `${entry.path}/` : entry.path);
	const records: Record<string, string> = {};
	if (name.length > 100) records.path = name;
	if (link.length > 100) records.linkpath = latin1(link);
	if (mtime.includes(".")) records.mtime = mtime;
	for (const [key, value] of Object.entries(entry.xattrs ?? {})) {
		records[`SCHILY.xattr.${key}`] = Buffer.from(value).toString("latin1");
	}
	const header = tarEntry({
		name,
		flag: FLAGS[type],
		link: latin1(link),
		mode: `${octal(entry.mode ?? (type === "directory" ? 0o755 : type === "symlink" ? 0o777 : 0o644), 7)}\0`,
		uid: `${octal(entry.uid ?? 0, 7)}\0`,
		gid: `${octal(entry.gid ?? 0, 7)}\0`,
		mtime: `${octal(Math.floor(Number(mtime)), 11)}\0`,
		major: entry.device?.major ?? 0,
		minor: entry.device?.minor ?? 0,
		body: entry.content ?? "",
	});
	return Object.keys(records).length === 0 ? [header] : [paxHeader(records), header];
}
