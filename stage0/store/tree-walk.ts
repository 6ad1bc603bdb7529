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
import { hashFile } from "./hash-file.ts";
import { isKeptAttribute } from "./kept-attributes.ts";

/** One entry of a tree. */
export interface WalkedEntry {
	/** `rootfs` or below it. */
	readonly name: string;
	/** Its metadata as JSON, with what is known of its content. */
	readonly line: string;
	readonly stats: fs.Stats;
}

export interface Visitor {
	readonly content: ContentOf;
	visit(entry: WalkedEntry): void;
}

interface Walk {
	readonly directory: string;
	readonly syscall: Syscall;
	readonly visitor: Visitor;
	readonly buffer: Buffer;
	readonly links: FirstNames;
	size: number;
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
 * Reads `rootfs` of a directory whole, entry by entry in lexical order, directory by directory; none is kept, so that it
 * does not matter how many there are. A line has the metadata of an entry as JSON, as in rkt's hash of a tree (image.md
 * §9), and the SHA-256 of its content. Times do not count; further names of a file are hard links. Returns the bytes of
 * file content, a file with several names once.
 */
export function walkTree(directory: string, syscall: Syscall, visitor: Visitor): number {
	const buffer = Buffer.allocUnsafe(READ_BYTES);
	const walk: Walk = { directory, syscall, visitor, buffer, links: new Map(), size: 0 };
	walkEntry(walk, "rootfs");
	return walk.size;
}

function walkEntry(walk: Walk, name: string): void {
	const file = `${walk.directory}/${name}`;
	const stats = fs.lstatSync(file, { throwIfNoEntry: false });
	if (stats === undefined || stats.isSocket()) return;
	const first = stats.nlink > 1 && !stats.isDirectory() ? firstName(walk.links, name, stats) : undefined;
	walk.visitor.visit({ name, line: JSON.stringify(describe(walk, name, stats, first)), stats });
	if (!stats.isDirectory()) return;
	for (const child of fs.readdirSync(file).sort()) walkEntry(walk, `${name}/${child}`);
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
		return walk.visitor.content(name, fd, () => digestContent(fd, walk.buffer));
	} finally {
		fs.closeSync(fd);
	}
}

function digestContent(fd: number, buffer: Buffer): string {
	const hash = createHash("sha256");
	hashFile(hash, fd, buffer);
	return hash.digest("hex");
}
