import { quote } from "../types/quote.ts";
import type { TarEntry } from "./entry.ts";
import { checkDetails } from "./entry-rules.ts";
import type { AciLimits } from "./limits.ts";
import { cleanPath } from "./path-rules.ts";
import { refuseAci, refuseSize } from "./refuse.ts";
import type { RawEntry } from "./tar-read.ts";

/** What a path of the archive is. */
type Node = "implied directory" | "directory" | "file" | "other";

/** The rules of one archive, entry by entry. */
export interface Layout {
	/** The entry with its names checked; undefined for the `./` that some archives begin with. */
	check(raw: RawEntry): TarEntry | undefined;
	/** Whether `manifest` and `rootfs` were there. */
	finish(): void;
	/** Entries so far. */
	readonly entries: number;
}

/**
 * Holds an archive to the layout of the specification (appc 0.8.11, Image Layout) and to what can be unpacked
 * without leaving its directory: no path twice, no absolute path or `..`, nothing below a symlink or file, hard
 * links only to earlier files. Errors: `aci-invalid`, `aci-too-large`.
 */
export function createLayout(source: string, limits: AciLimits): Layout {
	const nodes = new Map<string, Node>();
	let nameBytes = 0;
	let entries = 0;

	const register = (path: string, node: Node): void => {
		nodes.set(path, node);
		nameBytes += path.length;
		if (nodes.size > limits.maxEntries) refuseSize(source, `more than ${limits.maxEntries} entries`);
		if (nameBytes > limits.maxNameBytes)
			refuseSize(source, `names of more than ${limits.maxNameBytes} bytes`);
	};
	const imply = (path: string): void => {
		for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
			const parent = path.slice(0, slash);
			const node = nodes.get(parent);
			if (node === "file" || node === "other") {
				refuseAci(source, `${quote(path)} lies below ${quote(parent)}, which is not a directory`);
			}
			if (node !== undefined) return;
			register(parent, "implied directory");
		}
	};
	const place = (entry: TarEntry): void => {
		const { path, type } = entry;
		const known = nodes.get(path);
		if (known !== undefined && !(known === "implied directory" && type === "directory")) {
			refuseAci(source, `${quote(path)} stands twice in the archive`);
		}
		if (
			type === "hardlink" &&
			(entry.linkTarget === "manifest" || nodes.get(entry.linkTarget ?? "") !== "file")
		) {
			refuseAci(
				source,
				`${quote(path)} is a hard link to ${quote(entry.linkTarget)}, which is no earlier file of rootfs`,
			);
		}
		if (known === undefined) imply(path);
		register(
			path,
			type === "directory" ? "directory" : type === "file" || type === "hardlink" ? "file" : "other",
		);
	};

	return {
		check: (raw) => {
			if (++entries > limits.maxEntries) refuseSize(source, `more than ${limits.maxEntries} entries`);
			const entry = checkEntry(raw, source);
			if (entry !== undefined) place(entry);
			return entry;
		},
		finish: () => {
			for (const path of ["manifest", "rootfs"]) {
				if (!nodes.has(path)) refuseAci(source, `it has no ${path}`);
			}
		},
		get entries() {
			return entries;
		},
	};
}

function checkEntry(raw: RawEntry, source: string): TarEntry | undefined {
	const path = cleanPath(raw.name, "name", source);
	if (path === "" && raw.type === "directory") return undefined;
	checkPlace(path, raw, source);
	const cleanTarget = (name: string): string => cleanPath(name, "hard link target", source);
	// ACLs, SELinux labels and trusted attributes are no part of an image.
	return checkDetails(raw, path, cleanTarget, () => "drop", source);
}

function checkPlace(path: string, { type }: RawEntry, source: string): void {
	if (path === "manifest") {
		if (type !== "file") refuseAci(source, `its manifest is a ${type}, not a file`);
	} else if (path === "rootfs") {
		if (type !== "directory") refuseAci(source, `its rootfs is a ${type}, not a directory`);
	} else if (!path.startsWith("rootfs/")) {
		refuseAci(source, `it holds ${quote(path)}; only manifest and rootfs may stand at the top`);
	}
}
