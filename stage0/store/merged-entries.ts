import * as fs from "node:fs";
import { type AciContent, type DirectoryOptions, describeFile } from "../../appc/aci/directory-entries.ts";
import { quote } from "../../appc/types/quote.ts";
import { fail } from "../../lib/errors.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { isKeptAttribute } from "./kept-attributes.ts";
import { type OwnerRange, unshiftAttributes, unshiftId } from "./owner-range.ts";

interface Merge {
	readonly syscall: Syscall;
	/** First names of files that have several. */
	readonly seen: Map<string, string>;
	readonly linkAll: boolean;
}

export interface MergeOptions extends Pick<DirectoryOptions, "linkAll"> {
	/** In which of the directories files belong to the users of a pod. */
	readonly ranges?: ReadonlyMap<string, OwnerRange>;
}

/** What the layers have under one name, uppermost first: one thing that is no directory, or directories. */
type Found = {
	readonly file: string;
	readonly stats: fs.BigIntStats;
	/** Its owners are ids of that range, or not shifted. */
	readonly range: OwnerRange | undefined;
}[];

/**
 * The union of directories, uppermost first, as overlayfs shows it, without mounting anything: entries `rootfs`,
 * `rootfs/…` sorted by name, parents before their children. Hard links within one of them stay links. Sockets are left
 * out. What overlayfs keeps for itself (white-outs, its attributes) is not shown.
 */
export function* mergedEntries(
	lowers: readonly string[],
	syscall: Syscall,
	{ ranges, linkAll = false }: MergeOptions = {},
): Generator<AciContent> {
	const found = lowers.map((file) => ({
		...{ file, stats: fs.lstatSync(file, { bigint: true }) },
		range: ranges?.get(file),
	}));
	yield* walk({ syscall, seen: new Map(), linkAll }, found, "rootfs");
}

function* walk(merge: Merge, found: Found, name: string): Generator<AciContent> {
	const [top] = found;
	if (top === undefined) return;
	const getXattrs = (file: string): ReadonlyMap<string, Buffer> =>
		unshiftAttributes(
			new Map([...merge.syscall.getXattrs(file)].filter(([key]) => isKeptAttribute(key))),
			top.range,
		);
	const owner = {
		uid: unshiftId(Number(top.stats.uid), top.range),
		gid: unshiftId(Number(top.stats.gid), top.range),
	};
	const content = describeFile(
		top.file,
		name,
		top.stats,
		{ getXattrs, owner, linkAll: merge.linkAll },
		merge.seen,
	);
	if (content === undefined) return;
	yield content;
	if (content.entry.type !== "directory") return;
	const names = new Set(found.flatMap(({ file }) => readNames(file)));
	for (const child of [...names].sort()) yield* walk(merge, look(merge, found, child), `${name}/${child}`);
}

/** A pod can make names that are no text. Error `file-name-invalid`. */
function readNames(directory: string): string[] {
	const names = fs.readdirSync(directory);
	const mangled = names.find(
		(name) => name.includes("\ufffd") && !fs.lstatSync(`${directory}/${name}`, { throwIfNoEntry: false }),
	);
	if (mangled === undefined) return names;
	return fail("file-name-invalid", `${directory} has a file whose name is no UTF-8: ${quote(mangled)}`, {
		hint: "an image can only hold names that are text",
	});
}

/** Something that is no directory ends the search, as does a directory that hides what lies below. */
function look({ syscall }: Merge, directories: Found, name: string): Found {
	const found: Found = [];
	for (const [index, directory] of directories.entries()) {
		const file = `${directory.file}/${name}`;
		const stats = fs.lstatSync(file, { bigint: true, throwIfNoEntry: false });
		if (stats === undefined) continue;
		const one = { file, stats, range: directory.range };
		if (!stats.isDirectory()) return found.length > 0 || isWhiteout(stats) ? found : [one];
		found.push(one);
		const last = index === directories.length - 1;
		if (!last && syscall.getXattrs(file).get("trusted.overlay.opaque")?.toString() === "y") return found;
	}
	return found;
}

function isWhiteout(stats: fs.BigIntStats): boolean {
	return stats.isCharacterDevice() && stats.rdev === 0n;
}
