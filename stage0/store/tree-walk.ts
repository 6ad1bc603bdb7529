import { createHash } from "node:crypto";
import * as fs from "node:fs";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { isKeptAttribute } from "./kept-attributes.ts";
import type { Stamps } from "./tree-stamps.ts";

export interface TreeDescription {
	/** In lexical order, directory by directory; `name` is `rootfs` or below it. */
	readonly lines: readonly { readonly name: string; readonly line: string }[];
	readonly stamps: Stamps;
	/** Bytes of file content, a file with several names once. */
	readonly size: number;
}

interface Walk {
	readonly directory: string;
	readonly syscall: Syscall;
	readonly buffer: Buffer;
	/** First path of each file that has several names, by device and inode. */
	readonly links: Map<string, string>;
	readonly lines: { name: string; line: string }[];
	readonly stamps: (string | number)[];
	size: number;
}

const READ_BYTES = 1024 * 1024;

/**
 * Reads `rootfs` of a directory whole. A line has the metadata of an entry as JSON, as in rkt's hash of a tree
 * (image.md §9), and the SHA-256 of its content. Times do not count; further names of a file are hard links.
 */
export function describeTree(directory: string, syscall: Syscall): TreeDescription {
	const walk: Walk = {
		directory,
		syscall,
		buffer: Buffer.allocUnsafe(READ_BYTES),
		links: new Map(),
		lines: [],
		stamps: [],
		size: 0,
	};
	visit(walk, "rootfs");
	return walk;
}

function visit(walk: Walk, name: string): void {
	const file = `${walk.directory}/${name}`;
	const stats = fs.lstatSync(file, { throwIfNoEntry: false });
	if (stats === undefined || stats.isSocket()) return;
	const first = stats.nlink > 1 && !stats.isDirectory() ? firstName(walk, name, stats) : undefined;
	walk.stamps.push(name, stats.ino, stats.ctimeMs, stats.size);
	walk.lines.push({ name, line: JSON.stringify(describe(walk, name, stats, first)) });
	if (!stats.isDirectory()) return;
	for (const child of fs.readdirSync(file).sort()) visit(walk, `${name}/${child}`);
}

/** The name under which the same file was met before. */
function firstName(walk: Walk, name: string, stats: fs.Stats): string | undefined {
	const inode = `${stats.dev}:${stats.ino}`;
	const known = walk.links.get(inode);
	if (known === undefined) walk.links.set(inode, name);
	return known;
}

function describe(walk: Walk, name: string, stats: fs.Stats, link: string | undefined) {
	const file = `${walk.directory}/${name}`;
	const device = stats.isCharacterDevice() || stats.isBlockDevice() ? stats.rdev : 0;
	const content = stats.isFile() && link === undefined;
	return {
		Name: name,
		Mode: stats.mode & 0o7777,
		UID: stats.uid,
		GID: stats.gid,
		Size: content ? stats.size : 0,
		Typeflag: link === undefined ? typeFlag(stats) : "1",
		Linkname: link ?? (stats.isSymbolicLink() ? fs.readlinkSync(file) : ""),
		Devmajor: (device >> 8) & 0xfff,
		Devminor: (device & 0xff) | ((device >> 12) & 0xfff00),
		Xattrs: attributes(walk.syscall, file, stats),
		Digest: content && stats.size > 0 ? contentDigest(walk, file) : "",
	};
}

/** As in tar headers. */
function typeFlag(stats: fs.Stats): string {
	if (stats.isDirectory()) return "5";
	if (stats.isSymbolicLink()) return "2";
	if (stats.isCharacterDevice()) return "3";
	if (stats.isBlockDevice()) return "4";
	return stats.isFIFO() ? "6" : "0";
}

function attributes(syscall: Syscall, file: string, stats: fs.Stats): { Name: string; Value: string }[] {
	if (!stats.isFile() && !stats.isDirectory()) return [];
	const kept = [...syscall.getXattrs(file)].filter(
		([name]) => isKeptAttribute(name) || name.startsWith("trusted.overlay."),
	);
	const sorted = kept.sort(([a], [b]) => (a < b ? -1 : 1));
	return sorted.map(([name, value]) => ({ Name: name, Value: value.toString("base64") }));
}

function contentDigest(walk: Walk, file: string): string {
	const hash = createHash("sha256");
	const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
	try {
		for (;;) {
			const length = fs.readSync(fd, walk.buffer, 0, walk.buffer.length, null);
			if (length === 0) return hash.digest("hex");
			hash.update(walk.buffer.subarray(0, length));
			walk.size += length;
		}
	} finally {
		fs.closeSync(fd);
	}
}
