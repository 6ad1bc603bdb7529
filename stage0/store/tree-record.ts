import { createHash } from "node:crypto";
import * as path from "node:path";
import { isErrno } from "../../lib/errors.ts";
import { readTextIfExists } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { encodeStamps, replaceStamps, STAMPS_FILE } from "./tree-stamps.ts";
import { describeTree, type FileContent } from "./tree-walk.ts";

/** What is to be written beside a tree. */
export interface TreeRecord {
	/** Texts by the names of their files. */
	readonly record: Readonly<Record<string, string>>;
	/** Bytes of file content, a file with several names once. */
	readonly size: number;
}

/**
 * Reads a tree whole and says what to write down for later checks: `files` has a line for each entry with the digest of
 * its content, and of a `sealed` file the kernel's; `hash` is that of the list, `stamps` says how to tell in a moment that
 * nothing was touched.
 */
export function describeForRecord(directory: string, syscall: Syscall, sealed: boolean): TreeRecord {
	const { lines, stamps, size } = describeTree(directory, syscall, (_name, fd, read) => ({
		Digest: read(),
		...(sealed && { Verity: syscall.measureVerity(fd) }),
	}));
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

/**
 * Looks at everything again. Files are read but for those that the kernel still knows under the digest that was recorded,
 * unless `readAll` is set. A tree that is intact gets new stamps, so that what touched it costs no second look.
 */
export function checkWholeTree(directory: string, syscall: Syscall, readAll: boolean): TreeCheckResult {
	const list = readTextIfExists(path.join(directory, "files"));
	if (list === undefined) return { state: "unrecorded" };
	if (digest(list) !== readTextIfExists(path.join(directory, "hash"))) return { state: "record-damaged" };
	const recorded = list.split("\n").filter((line) => line !== "");
	const entries = recorded.map((line) => JSON.parse(line) as FileContent & { readonly Name: string });
	const known = new Map(entries.map((entry) => [entry.Name, entry]));
	const { lines, stamps } = describeTree(directory, syscall, (name, fd, read) => {
		const { Digest, Verity } = known.get(name) ?? { Digest: "" };
		const isSealed = !readAll && Verity !== undefined && syscall.measureVerity(fd) === Verity;
		// A file that came here as a copy is not sealed, and as good.
		return { Digest: isSealed ? Digest : readIfPossible(read), Verity };
	});
	const found = new Map(lines.map(({ name, line }) => [name, line]));
	const expected = new Map(entries.map(({ Name }, index) => [Name, recorded[index] as string]));
	const differences = compare(expected, found);
	if (differences.length > 0) return { state: "damaged", differences };
	replaceStamps(directory, stamps);
	return { state: "intact" };
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
