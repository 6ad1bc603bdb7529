import type { TarEntry } from "../aci/entry.ts";
import { type AttributeRule, checkDetails } from "../aci/entry-rules.ts";
import type { AciLimits } from "../aci/limits.ts";
import { refuseAci, refuseSize } from "../aci/refuse.ts";
import type { RawEntry } from "../aci/tar-read.ts";
import { quote } from "../types/quote.ts";
import { readLayerName } from "./layer-names.ts";

/**
 * What a path of the layer is. Directories that only paths imply take their attributes from the layers below; those
 * that only white-outs imply are not even there without the layers below.
 */
type Node = "implied" | "bare" | "directory" | "other";

/** What a layer says beside its entries. The empty path is the root. */
export interface LayerShape {
	/** Directories that the archive does not hold but needs for its entries. */
	readonly implied: readonly string[];
	/** Directories that the archive does not hold and needs for white-outs only. */
	readonly bare: readonly string[];
	readonly whiteouts: readonly string[];
	/** Directories that hide what the layers below have in them. */
	readonly opaque: readonly string[];
}

/** The rules of one layer, entry by entry. */
export interface LayerRules {
	/** The entry with its names checked; undefined when it stands for no file. */
	check(raw: RawEntry): TarEntry | undefined;
	finish(): LayerShape;
	/** Entries so far. */
	readonly entries: number;
}

/**
 * Holds the archive of a layer to what can be unpacked without leaving its directory and without looking at other
 * layers: no `..`, nothing below a symlink or file, hard links only to earlier files of the same layer, nothing in place
 * of a directory. Of several entries with one name the last one counts. Errors: `aci-invalid`, `aci-too-large`.
 */
export function createLayerRules(source: string, limits: AciLimits): LayerRules {
	const nodes = new Map<string, Node>();
	const whiteouts = new Set<string>();
	const opaque = new Set<string>();
	let nameBytes = 0;
	let entries = 0;

	const count = (path: string): void => {
		nameBytes += path.length;
		if (nodes.size + whiteouts.size + opaque.size > limits.maxEntries)
			refuseSize(source, `more than ${limits.maxEntries} entries`);
		if (nameBytes > limits.maxNameBytes)
			refuseSize(source, `names of more than ${limits.maxNameBytes} bytes`);
	};
	const register = (path: string, node: Node): void => {
		nodes.set(path, node);
		count(path);
	};
	/** Directories on the way to a path, up to the first that needs nothing. */
	const imply = (path: string, node: "implied" | "bare"): void => {
		for (let parent = parentOf(path); parent !== undefined; parent = parentOf(parent)) {
			const known = nodes.get(parent);
			if (known === "other")
				refuseAci(source, `${quote(path)} lies below ${quote(parent)}, which is not a directory`);
			if (known !== undefined && !(known === "bare" && node === "implied")) return;
			register(parent, node);
		}
	};
	const place = (entry: TarEntry): void => {
		const { path, type } = entry;
		const known = nodes.get(path);
		if (type !== "directory" && known !== undefined && known !== "other") {
			refuseAci(source, `${quote(path)} is a directory and then a ${type} of the same layer`);
		}
		if (type === "hardlink") checkHardLink(entry);
		imply(path, "implied");
		register(path, type === "directory" ? "directory" : "other");
	};
	const checkHardLink = ({ path, linkTarget = "" }: TarEntry): void => {
		if (linkTarget !== path && nodes.get(linkTarget) === "other") return;
		refuseAci(
			source,
			`${quote(path)} is a hard link to ${quote(linkTarget)}, which is no earlier file of the same layer`,
		);
	};
	const checkEntry = (raw: RawEntry, path: string): TarEntry => {
		if (path === "" && raw.type !== "directory") refuseAci(source, `its root is a ${raw.type}`);
		const cleanTarget = (name: string): string => {
			const target = readLayerName(name, "hard link target", source);
			return target.kind === "entry"
				? target.path
				: refuseAci(source, `${quote(path)} is a hard link to a white-out`);
		};
		return checkDetails(raw, path, cleanTarget, attributeRule, source);
	};

	return {
		check: (raw) => {
			if (++entries > limits.maxEntries) refuseSize(source, `more than ${limits.maxEntries} entries`);
			const name = readLayerName(raw.name, "name", source);
			if (name.kind === "entry") {
				const entry = checkEntry(raw, name.path);
				place(entry);
				return entry;
			}
			if (name.kind === "whiteout") {
				imply(name.path, "bare");
				whiteouts.add(name.path);
				count(name.path);
			}
			if (name.kind === "opaque") {
				imply(`${name.path}/`, "bare");
				opaque.add(name.path);
				count(name.path);
			}
			return undefined;
		},
		finish: () => shapeOf(nodes, whiteouts, opaque),
		get entries() {
			return entries;
		},
	};
}

/** ACLs go with the file; labels of security modules and trusted attributes are the host's; those of overlayfs are refused. */
const attributeRule: AttributeRule = (name) => {
	if (name.startsWith("user.overlay.") || name.startsWith("trusted.overlay.")) return "refuse";
	return name === "system.posix_acl_access" || name === "system.posix_acl_default" ? "keep" : "drop";
};

/** The path of the directory that holds it; undefined for the root. */
function parentOf(path: string): string | undefined {
	if (path === "") return undefined;
	const slash = path.lastIndexOf("/");
	return slash === -1 ? "" : path.slice(0, slash);
}

/**
 * What remains of the markers once the whole layer is known. A white-out never hides what its own layer holds, in
 * whichever order they come: beside a directory of the same name it means that the directory is a new one. Below a
 * directory that hides the layers below, white-outs mean nothing, and implied directories are new.
 */
function shapeOf(
	nodes: ReadonlyMap<string, Node>,
	whiteouts: ReadonlySet<string>,
	opaque: ReadonlySet<string>,
): LayerShape {
	const replaced = new Set([...whiteouts].filter((path) => isOwnDirectory(nodes.get(path))));
	const hiding = new Set([...opaque, ...replaced]);
	const gone = new Set([...whiteouts].filter((path) => nodes.get(path) === "bare"));
	const below = (path: string, directories: ReadonlySet<string>): boolean => {
		for (let parent = parentOf(path); parent !== undefined; parent = parentOf(parent)) {
			if (directories.has(parent)) return true;
		}
		return false;
	};
	const cut = (path: string): boolean => below(path, hiding) || below(path, gone);
	const directories = (kind: Node): string[] => {
		const found: string[] = [];
		for (const [path, node] of nodes) {
			if (node === kind && path !== "" && !replaced.has(path) && !cut(path)) found.push(path);
		}
		return found;
	};
	return {
		implied: [...(nodes.get("") === "directory" ? [] : [""]), ...directories("implied").sort()],
		bare: directories("bare")
			.filter((path) => !gone.has(path))
			.sort(),
		whiteouts: [...whiteouts]
			.filter((path) => (nodes.get(path) === undefined || gone.has(path)) && !cut(path))
			.sort(),
		opaque: [...hiding]
			.filter((path) => !gone.has(path) && !(cut(path) && nodes.get(path) === "bare"))
			.sort(),
	};
}

function isOwnDirectory(node: Node | undefined): boolean {
	return node === "implied" || node === "directory";
}
