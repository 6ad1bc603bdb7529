import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../../lib/errors.ts";
import { readTextIfExists } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { encodeStamp, replaceStamps, STAMPS_FILE } from "./tree-stamps.ts";
import { type FileContent, walkTree } from "./tree-walk.ts";

/** What stands beside a tree. */
export interface TreeRecord {
	/** Names of files that are written, but not flushed: they grow with the tree. */
	readonly lists: readonly string[];
	/** Texts that are still to be written, by the names of their files. */
	readonly record: Readonly<Record<string, string>>;
	/** Bytes of file content, a file with several names once. */
	readonly size: number;
}

const FILES = "files";

/**
 * Reads a tree whole and writes down what later checks need: `files` has a line for each entry with the digest of its
 * content, and of a `sealed` file the kernel's; `hash` is that of the list, `stamps` says how to tell in a moment that
 * nothing was touched.
 */
export function recordTree(directory: string, syscall: Syscall, sealed: boolean): TreeRecord {
	const hash = createHash("sha512");
	const files = createListWriter(path.join(directory, FILES));
	const stamps = createListWriter(path.join(directory, STAMPS_FILE));
	try {
		let separator = "[";
		const size = walkTree(directory, syscall, {
			content: (_name, fd, read) => ({
				Digest: read(),
				...(sealed && { Verity: syscall.measureVerity(fd) }),
			}),
			visit: (entry) => {
				const line = `${entry.line}\n`;
				hash.update(line);
				files.add(line);
				stamps.add(separator + encodeStamp(entry));
				separator = ",";
			},
		});
		stamps.add("]");
		for (const list of [files, stamps]) list.flush();
		const record = { hash: `sha512-${hash.digest("hex")}`, size: String(size) };
		return { lists: [FILES, STAMPS_FILE], record, size };
	} finally {
		for (const list of [files, stamps]) list.close();
	}
}

const BATCH = 64 * 1024;

/** Writes a text piece by piece. */
function createListWriter(file: string): { add(text: string): void; flush(): void; close(): void } {
	const fd = fs.openSync(file, "w", 0o600);
	let batch = "";
	const flush = (): void => {
		fs.writeFileSync(fd, batch);
		batch = "";
	};
	return {
		add: (text) => {
			batch += text;
			if (batch.length > BATCH) flush();
		},
		flush,
		close: () => fs.closeSync(fd),
	};
}

function digest(list: string): string {
	return `sha512-${createHash("sha512").update(list).digest("hex")}`;
}

/** One entry of a tree that is not what it was. */
export interface TreeDifference {
	/** Relative to the root. */
	readonly path: string;
	readonly problem: "content" | "attributes" | "missing" | "unexpected";
}

export type TreeCheckResult =
	| { readonly state: "intact" }
	/** There is no list of files, as a version before it left none, or one that is itself damaged. */
	| { readonly state: "unrecorded" | "record-damaged" }
	| { readonly state: "damaged"; readonly differences: readonly TreeDifference[] };

/**
 * Looks at everything again. Files are read but for those that the kernel still knows under the digest that was recorded,
 * unless `readAll` is set. A tree that is intact gets new stamps, so that what touched it costs no second look.
 */
export function checkWholeTree(directory: string, syscall: Syscall, readAll: boolean): TreeCheckResult {
	const list = readTextIfExists(path.join(directory, FILES));
	if (list === undefined) return { state: "unrecorded" };
	if (digest(list) !== readTextIfExists(path.join(directory, "hash"))) return { state: "record-damaged" };
	const lines = list.split("\n").filter((line) => line !== "");
	const expected = new Map(lines.map((line) => [parseLine(line).Name, line]));
	const differences: TreeDifference[] = [];
	const add = (name: string, problem: TreeDifference["problem"] | undefined): void => {
		if (problem !== undefined) differences.push({ path: name.slice("rootfs".length) || "/", problem });
	};
	const stamps: string[] = [];
	walkTree(directory, syscall, {
		content: (name, fd, read) => {
			const { Digest, Verity } = parseLine(expected.get(name) ?? '{"Digest":""}');
			const isSealed = !readAll && Verity !== undefined && syscall.measureVerity(fd) === Verity;
			// A file that came here as a copy is not sealed, and as good.
			return { Digest: isSealed ? Digest : readIfPossible(read), Verity };
		},
		visit: (entry) => {
			add(entry.name, differenceOf(expected.get(entry.name), entry.line));
			expected.delete(entry.name);
			stamps.push(encodeStamp(entry));
		},
	});
	for (const name of expected.keys()) add(name, "missing");
	if (differences.length > 0) return { state: "damaged", differences };
	replaceStamps(directory, stamps);
	return { state: "intact" };
}

function parseLine(line: string): FileContent & { readonly Name: string } {
	return JSON.parse(line) as FileContent & { readonly Name: string };
}

/** What the disk or the kernel's own check does not give has no digest. */
function readIfPossible(read: () => string): string {
	try {
		return read();
	} catch (error) {
		if (isErrno(error, "EIO")) return "";
		throw error;
	}
}

function differenceOf(expected: string | undefined, found: string): TreeDifference["problem"] | undefined {
	if (expected === undefined) return "unexpected";
	if (expected === found) return undefined;
	return sameAttributes(expected, found) ? "content" : "attributes";
}

function sameAttributes(one: string, other: string): boolean {
	const bare = (line: string): string => JSON.stringify({ ...JSON.parse(line), Digest: "", Size: 0 });
	return bare(one) === bare(other);
}
