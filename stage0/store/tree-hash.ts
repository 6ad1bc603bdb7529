import { createHash, type Hash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import {
	type DescribedXattrs,
	describeEntry,
	describeXattrs,
	type FirstNames,
	firstName,
} from "./entry-description.ts";
import { hashFile } from "./hash-file.ts";

export interface TreeDigest {
	/** `sha512-` and 128 hex digits. */
	readonly hash: string;
	/** Bytes of file content, a file with several names once. */
	readonly size: number;
}

/** Written beside the root file system by the store itself. */
const OWN_FILES = new Set(["manifest", "hash", "rendered", "image", "size", "files", "stamps"]);
const READ_BYTES = 1024 * 1024;

interface Walk {
	readonly root: string;
	readonly syscall: Syscall;
	readonly hash: Hash;
	readonly buffer: Buffer;
	readonly links: FirstNames;
	size: number;
}

/**
 * The hash of a tree that an earlier version rendered (image.md §9): for each entry in lexical order its metadata as JSON, then its
 * bytes. Times and user names do not count; further names of a file count as hard links.
 */
export function digestTree(directory: string, syscall: Syscall): TreeDigest {
	const buffer = Buffer.allocUnsafe(READ_BYTES);
	const walk: Walk = {
		root: directory,
		syscall,
		hash: createHash("sha512"),
		buffer,
		links: new Map(),
		size: 0,
	};
	for (const name of fs.readdirSync(directory).sort()) if (!OWN_FILES.has(name)) visit(walk, name);
	return { hash: `sha512-${walk.hash.digest("hex")}`, size: walk.size };
}

function visit(walk: Walk, name: string): void {
	const file = path.join(walk.root, name);
	const stats = fs.lstatSync(file);
	if (stats.isSocket()) return;
	const first = stats.isFile() && stats.nlink > 1 ? firstName(walk.links, name, stats) : undefined;
	walk.hash.update(JSON.stringify(describe(walk, name, stats, first)));
	if (stats.isFile() && first === undefined) hashContent(walk, file);
	if (!stats.isDirectory()) return;
	for (const child of fs.readdirSync(file).sort()) visit(walk, path.join(name, child));
}

function describe(walk: Walk, name: string, stats: fs.Stats, link: string | undefined) {
	const file = path.join(walk.root, name);
	return describeEntry({ file, name, stats, link, xattrs: attributes(walk.syscall, file, stats) });
}

function attributes(syscall: Syscall, file: string, stats: fs.Stats): DescribedXattrs {
	if (!stats.isFile() && !stats.isDirectory()) return [];
	const isWanted = (name: string) => name.startsWith("user.") || name === "security.capability";
	return describeXattrs(syscall.getXattrs(file), isWanted);
}

function hashContent(walk: Walk, file: string): void {
	const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
	try {
		walk.size += hashFile(walk.hash, fd, walk.buffer);
	} finally {
		fs.closeSync(fd);
	}
}
