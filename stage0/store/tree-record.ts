import { createHash } from "node:crypto";
import * as path from "node:path";
import { readTextIfExists } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { encodeStamps, replaceStamps, STAMPS_FILE } from "./tree-stamps.ts";
import { describeTree } from "./tree-walk.ts";

/** What is to be written beside a tree. */
export interface TreeRecord {
	/** Texts by the names of their files. */
	readonly record: Readonly<Record<string, string>>;
	/** Bytes of file content, a file with several names once. */
	readonly size: number;
}

/**
 * Reads a tree whole and says what to write down for later checks: `files` has a line for each entry with the digest of
 * its content, `hash` is that of the list, `stamps` says how to tell in a moment that nothing was touched.
 */
export function describeForRecord(directory: string, syscall: Syscall): TreeRecord {
	const { lines, stamps, size } = describeTree(directory, syscall);
	const files = lines.map(({ line }) => `${line}\n`).join("");
	const record = { files, [STAMPS_FILE]: encodeStamps(stamps), hash: digest(files), size: String(size) };
	return { record, size };
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

/** Reads everything again. A tree that is intact gets new stamps, so that what touched it costs no second look. */
export function checkWholeTree(directory: string, syscall: Syscall): TreeCheckResult {
	const list = readTextIfExists(path.join(directory, "files"));
	if (list === undefined) return { state: "unrecorded" };
	if (digest(list) !== readTextIfExists(path.join(directory, "hash"))) return { state: "record-damaged" };
	const { lines, stamps } = describeTree(directory, syscall);
	const found = new Map(lines.map(({ name, line }) => [name, line]));
	const expected = new Map(
		list
			.split("\n")
			.filter((line) => line !== "")
			.map((line) => [(JSON.parse(line) as { Name: string }).Name, line]),
	);
	const differences = compare(expected, found);
	if (differences.length > 0) return { state: "damaged", differences };
	replaceStamps(directory, stamps);
	return { state: "intact" };
}

function compare(
	expected: ReadonlyMap<string, string>,
	found: ReadonlyMap<string, string>,
): TreeDifference[] {
	const differences: TreeDifference[] = [];
	const add = (name: string, problem: TreeDifference["problem"]): void => {
		differences.push({ path: name.slice("rootfs".length) || "/", problem });
	};
	for (const [name, line] of expected) {
		const now = found.get(name);
		if (now === undefined) add(name, "missing");
		else if (now !== line) add(name, sameAttributes(line, now) ? "content" : "attributes");
	}
	for (const name of found.keys()) if (!expected.has(name)) add(name, "unexpected");
	return differences;
}

function sameAttributes(one: string, other: string): boolean {
	const bare = (line: string): string => JSON.stringify({ ...JSON.parse(line), Digest: "", Size: 0 });
	return bare(one) === bare(other);
}
