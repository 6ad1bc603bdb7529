import { createHash } from "node:crypto";
import * as fs from "node:fs";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import {
	type DescribedXattrs,
	describeEntry,
	describeXattrs,
	type FirstNames,
	firstName,
} from "./entry-description.ts";
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
	readonly links: FirstNames;
	readonly lines: { name: string; line: string }[];
	readonly stamps: (string | number)[];
	size: number;
	readonly content: ContentOf;
}

/** What is known of the content of a file. */
export interface FileContent {
	/** SHA-256 in hex. */
	readonly Digest: string;
	/** The kernel's digest of a sealed file, see {@link sealTree}. */
	readonly Verity?: string | undefined;
}

/** Says what the content of an open file is; `read` gives its SHA-256. */
export type ContentOf = (name: string, fd: number, read: () => string) => FileContent;

const READ_BYTES = 1024 * 1024;

/**
 * Reads `rootfs` of a directory whole. A line has the metadata of an entry as JSON, as in rkt's hash of a tree
 * (image.md §9), and the SHA-256 of its content. Times do not count; further names of a file are hard links.
 */
export function describeTree(directory: string, syscall: Syscall, content: ContentOf): TreeDescription {
	const walk: Walk = {
		directory,
		syscall,
		buffer: Buffer.allocUnsafe(READ_BYTES),
		links: new Map(),
		lines: [],
		stamps: [],
		size: 0,
		content,
	};
	visit(walk, "rootfs");
	return walk;
}

function visit(walk: Walk, name: string): void {
	const file = `${walk.directory}/${name}`;
	const stats = fs.lstatSync(file, { throwIfNoEntry: false });
	if (stats === undefined || stats.isSocket()) return;
	const first = stats.nlink > 1 && !stats.isDirectory() ? firstName(walk.links, name, stats) : undefined;
	walk.stamps.push(name, stats.ino, stats.ctimeMs, stats.size);
	walk.lines.push({ name, line: JSON.stringify(describe(walk, name, stats, first)) });
	if (!stats.isDirectory()) return;
	for (const child of fs.readdirSync(file).sort()) visit(walk, `${name}/${child}`);
}

function describe(walk: Walk, name: string, stats: fs.Stats, link: string | undefined) {
	const file = `${walk.directory}/${name}`;
	const hasContent = stats.isFile() && link === undefined && stats.size > 0;
	return {
		...describeEntry({ file, name, stats, link, xattrs: attributes(walk.syscall, file, stats) }),
		...(hasContent ? contentOf(walk, name, stats.size) : { Digest: "" }),
	};
}

function attributes(syscall: Syscall, file: string, stats: fs.Stats): DescribedXattrs {
	if (!stats.isFile() && !stats.isDirectory()) return [];
	const isWanted = (name: string) => isKeptAttribute(name) || name.startsWith("trusted.overlay.");
	return describeXattrs(syscall.getXattrs(file), isWanted);
}

function contentOf(walk: Walk, name: string, size: number): FileContent {
	const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW;
	const fd = fs.openSync(`${walk.directory}/${name}`, flags);
	walk.size += size;
	try {
		return walk.content(name, fd, () => digestContent(fd, walk.buffer));
	} finally {
		fs.closeSync(fd);
	}
}

function digestContent(fd: number, buffer: Buffer): string {
	const hash = createHash("sha256");
	for (;;) {
		const length = fs.readSync(fd, buffer, 0, buffer.length, null);
		if (length === 0) return hash.digest("hex");
		hash.update(buffer.subarray(0, length));
	}
}
