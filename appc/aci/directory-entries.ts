import { type BigIntStats, createReadStream, lstatSync, readdirSync, readlinkSync } from "node:fs";
import * as path from "node:path";
import type { EntryBody, EntryType, TarEntry } from "./entry.ts";

/** An entry to be written, with the content of a file. */
export interface AciContent {
	readonly entry: TarEntry;
	readonly body?: EntryBody | Buffer;
}

export interface DirectoryOptions {
	/** Reads the extended attributes of a path without following a symlink, such as `Syscall.getXattrs`. */
	readonly getXattrs?: (path: string) => ReadonlyMap<string, Buffer>;
	/** Nanoseconds since 1970 for every entry, instead of the times on disk. */
	readonly mtimeNs?: bigint;
	/** Symlinks, devices and fifos with several names stay hard links too, which images of the specification may not hold. */
	readonly linkAll?: boolean;
	/** Owner of every entry, instead of those on disk. */
	readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * A directory and everything below it as entries `rootfs`, `rootfs/…`, sorted by name so that the same tree gives
 * the same archive. Hard links within the tree stay links. Sockets are left out.
 */
export function* directoryEntries(directory: string, options: DirectoryOptions = {}): Generator<AciContent> {
	const seen = new Map<string, string>();
	yield* walk(directory, "rootfs", options, seen);
}

function* walk(
	file: string,
	name: string,
	options: DirectoryOptions,
	seen: Map<string, string>,
): Generator<AciContent> {
	const stats = lstatSync(file, { bigint: true });
	const content = describeFile(file, name, stats, options, seen);
	if (content === undefined) return;
	yield content;
	if (content.entry.type !== "directory") return;
	for (const child of readdirSync(file).sort()) {
		yield* walk(path.join(file, child), `${name}/${child}`, options, seen);
	}
}

/** One file as an entry; undefined for a socket. `seen` collects the first names of files that have several. */
export function describeFile(
	file: string,
	name: string,
	stats: BigIntStats,
	options: DirectoryOptions,
	seen: Map<string, string>,
): AciContent | undefined {
	const type = typeOf(stats);
	if (type === undefined) return undefined;
	const common = {
		path: name,
		mode: type === "symlink" ? 0o777 : Number(stats.mode) & 0o7777,
		uid: options.owner?.uid ?? Number(stats.uid),
		gid: options.owner?.gid ?? Number(stats.gid),
		mtimeNs: options.mtimeNs ?? stats.mtimeNs,
	};
	const first = firstLink(name, stats, seen, options.linkAll ?? false);
	if (first !== undefined) return { entry: { ...common, type: "hardlink", size: 0, linkTarget: first } };
	const xattrs = type === "file" || type === "directory" ? options.getXattrs?.(file) : undefined;
	const entry: TarEntry = {
		...common,
		type,
		size: type === "file" ? Number(stats.size) : 0,
		...(type === "symlink" ? { linkTarget: readlinkSync(file) } : {}),
		...(type.endsWith("device") ? { device: deviceNumbers(stats.rdev) } : {}),
		...(xattrs && xattrs.size > 0 ? { xattrs } : {}),
	};
	if (type !== "file" || entry.size === 0) return { entry };
	return { entry, body: lazyFile(file) };
}

/** The file is opened when it is its turn. */
function lazyFile(file: string): EntryBody {
	return {
		[Symbol.asyncIterator]: () =>
			(createReadStream(file, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>)[
				Symbol.asyncIterator
			](),
	};
}

function firstLink(
	name: string,
	stats: BigIntStats,
	seen: Map<string, string>,
	linkAll: boolean,
): string | undefined {
	if (stats.nlink === 1n || !(linkAll ? !stats.isDirectory() : stats.isFile())) return undefined;
	const identity = `${stats.dev}:${stats.ino}`;
	const first = seen.get(identity);
	if (first === undefined) seen.set(identity, name);
	return first;
}

function typeOf(stats: BigIntStats): EntryType | undefined {
	if (stats.isFile()) return "file";
	if (stats.isDirectory()) return "directory";
	if (stats.isSymbolicLink()) return "symlink";
	if (stats.isFIFO()) return "fifo";
	if (stats.isCharacterDevice()) return "character-device";
	return stats.isBlockDevice() ? "block-device" : undefined;
}

/** Linux packs 12 bits of major and 20 bits of minor, and more of both, into 64 bits (glibc's gnu_dev_major). */
function deviceNumbers(device: bigint): { major: number; minor: number } {
	return {
		major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
		minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
	};
}
