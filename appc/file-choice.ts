import type { TarEntry } from "./aci/entry.ts";
import type { FlatImage } from "./dependencies.ts";

/** Decides, image by image in rendering order, which entry supplies a path of the root file system. */
export interface FileChoice {
	/**
	 * What to write for the entries of one image, in the order of its archive, given all of them. Called once for each
	 * image of the list, from the first to the last.
	 */
	choose(image: number, entries: readonly TarEntry[]): Selection;
}

/**
 * What to write when the entry of this path comes by in the archive; nothing for a path that is not there. Mostly the
 * entry itself; a file that is only wanted through a hard link is written under the name of that link.
 */
export type Selection = ReadonlyMap<string, TarEntry>;

/** An implied directory has no entry yet, only something below it. */
type Supplied = "implied" | "directory" | "other";

/**
 * The rules of image.md §4 over a list of {@link flattenDependencies}: a path comes from the first image that has
 * it, if that image's own `pathWhitelist` (directories aside) and that of the nearest image above it in its branch
 * allow it, and if nothing above it was supplied as something other than a directory.
 */
export function createFileChoice(images: readonly FlatImage[]): FileChoice {
	const supplied = new Map<string, Supplied>();
	const whitelists = images.map(({ manifest }) => toWhitelist(manifest.pathWhitelist));
	return {
		choose: (image, entries) => {
			const own = whitelists[image];
			const upper = upperWhitelist(images, whitelists, image);
			const accepted = entries.filter((entry) => accepts(entry, own, upper, supplied));
			for (const { path, type } of accepted)
				supply(path, type === "directory" ? "directory" : "other", supplied);
			return select(accepted, entries);
		},
	};
}

/** Whether an image and its dependencies are taken as they are: one image without white-list. */
export function takesEverything(images: readonly FlatImage[]): boolean {
	return images.length === 1 && images[0]?.manifest.pathWhitelist.length === 0;
}

function toWhitelist(paths: readonly string[]): ReadonlySet<string> | undefined {
	return paths.length === 0 ? undefined : new Set(paths.map((path) => `rootfs${cleanAbsolute(path)}`));
}

/** `/a/../b//c/` as `/b/c`; `/` as nothing. */
function cleanAbsolute(path: string): string {
	const parts: string[] = [];
	for (const part of path.split("/")) {
		if (part === "..") parts.pop();
		else if (part !== "" && part !== ".") parts.push(part);
	}
	return parts.map((part) => `/${part}`).join("");
}

function upperWhitelist(
	images: readonly FlatImage[],
	whitelists: readonly (ReadonlySet<string> | undefined)[],
	image: number,
): ReadonlySet<string> | undefined {
	for (let above = images[image]?.parent; above !== undefined; above = images[above]?.parent) {
		if (whitelists[above]) return whitelists[above];
	}
	return undefined;
}

function accepts(
	{ path, type }: TarEntry,
	own: ReadonlySet<string> | undefined,
	upper: ReadonlySet<string> | undefined,
	supplied: ReadonlyMap<string, Supplied>,
): boolean {
	if (own && type !== "directory" && !own.has(path)) return false;
	if (upper && !upper.has(path)) return false;
	const known = supplied.get(path);
	if (known !== undefined && !(known === "implied" && type === "directory")) return false;
	return !parents(path).some((parent) => supplied.get(parent) === "other");
}

function supply(path: string, kind: Supplied, supplied: Map<string, Supplied>): void {
	supplied.set(path, kind);
	for (const parent of parents(path)) if (!supplied.has(parent)) supplied.set(parent, "implied");
}

function parents(path: string): string[] {
	const result: string[] = [];
	for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
		result.push(path.slice(0, slash));
	}
	return result;
}

/** Re-targets the hard links of the accepted entries, so that none leads to an entry that is not written. */
function select(accepted: readonly TarEntry[], entries: readonly TarEntry[]): Selection {
	const all = new Map(entries.map((entry) => [entry.path, entry]));
	const names = new Map<string, string>();
	for (const { path, type } of accepted) if (type === "file") names.set(path, path);
	const selection = new Map<string, TarEntry>();
	for (const entry of accepted) {
		const file = entry.type === "hardlink" ? linkedFile(entry, all) : entry;
		const name = entry.type === "hardlink" ? names.get(file.path) : undefined;
		if (entry.type !== "hardlink") selection.set(entry.path, entry);
		else if (name !== undefined) selection.set(entry.path, { ...entry, linkTarget: name });
		else {
			names.set(file.path, entry.path);
			selection.set(file.path, { ...file, path: entry.path });
		}
	}
	return selection;
}

/** The reader has made sure that every link leads to an earlier entry, so this ends. */
function linkedFile(entry: TarEntry, all: ReadonlyMap<string, TarEntry>): TarEntry {
	let file = entry;
	while (file.type === "hardlink") {
		const next = all.get(file.linkTarget ?? "");
		if (next === undefined) throw new Error(`hard link ${file.path} without target`);
		file = next;
	}
	return file;
}
