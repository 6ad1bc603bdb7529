import { quote } from "../types/quote.ts";
import type { TarEntry } from "./entry.ts";
import type { AciLimits } from "./limits.ts";
import { cleanPath, decodeName, NAME_MAX, PATH_MAX } from "./path-rules.ts";
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

const LARGEST_ID = 0xfffffffe;

/** Character devices that every app has anyway, as `major:minor` (Linux, Documentation/admin-guide/devices.txt). */
const HARMLESS_DEVICES = ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2"];

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
	if (raw.size > 0 && raw.type !== "file") refuseAci(source, `${quote(path)} is a ${raw.type} with content`);
	checkID(raw.uid, path, source);
	checkID(raw.gid, path, source);
	const { type, mode, uid, gid, size, mtimeNs } = raw;
	const entry: TarEntry = { path, type, mode, uid, gid, size, mtimeNs };
	if (type === "directory" || type === "file")
		return raw.xattrs.size === 0 ? entry : withXattrs(entry, raw.xattrs, source);
	return { ...entry, ...typeDetails(raw, path, source) };
}

function checkID(id: number, path: string, source: string): void {
	if (id < 0 || id > LARGEST_ID)
		refuseAci(source, `${quote(path)} belongs to the impossible user or group ${id}`);
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

function typeDetails(raw: RawEntry, path: string, source: string): Partial<TarEntry> {
	switch (raw.type) {
		case "hardlink":
			return { linkTarget: cleanPath(raw.linkName, "hard link target", source) };
		case "symlink":
			return { linkTarget: checkSymlink(raw.linkName, path, source) };
		case "character-device":
		case "block-device":
			return { device: checkDevice(raw, path, source) };
		default:
			return {};
	}
}

/** Where a symlink points does not matter: nothing is ever written or read through it outside of its root. */
function checkSymlink(target: string, path: string, source: string): string {
	const text = decodeName(target, "symlink target", source);
	if (text === "" || target.length > PATH_MAX) {
		refuseAci(source, `${quote(path)} is a symlink with an empty or overlong target`);
	}
	return text;
}

function checkDevice(
	{ type, major, minor }: RawEntry,
	path: string,
	source: string,
): { major: number; minor: number } {
	if (type !== "character-device" || !HARMLESS_DEVICES.includes(`${major}:${minor}`)) {
		refuseAci(
			source,
			`${quote(path)} is the ${type} ${major}:${minor}; of devices only null, zero, full, random, urandom, tty, console and ptmx are allowed`,
		);
	}
	return { major, minor };
}

/** Capabilities of files have three sizes (linux/capability.h); anything else would fail when it is written. */
const CAPABILITY_SIZES = [12, 20, 24];

/**
 * File capabilities and the user's own attributes, as in rkt; ACLs, SELinux labels and trusted attributes are
 * dropped, as are `user.overlay.` attributes: overlayfs may take those for its own white-outs.
 */
function withXattrs(entry: TarEntry, xattrs: ReadonlyMap<string, Buffer>, source: string): TarEntry {
	const { path } = entry;
	const kept = new Map<string, Buffer>();
	for (const [name, value] of xattrs) {
		if (name === "security.capability") {
			if (!CAPABILITY_SIZES.includes(value.length))
				refuseAci(source, `${quote(path)} has malformed capabilities`);
		} else if (!name.startsWith("user.") || name.startsWith("user.overlay.")) continue;
		if (name.length > NAME_MAX || value.length > 0xffff || /[\0\ufffd]/.test(name)) {
			refuseAci(source, `${quote(path)} has the impossible attribute ${quote(name)}`);
		}
		kept.set(name, value);
	}
	return kept.size === 0 ? entry : { ...entry, xattrs: kept };
}
