import { quote } from "../types/quote.ts";
import type { EntryType, TarEntry } from "./entry.ts";
import { decodeName, NAME_MAX, PATH_MAX } from "./path-rules.ts";
import { refuseAci } from "./refuse.ts";
import type { RawEntry } from "./tar-read.ts";

/**
 * Whether an extended attribute that is neither a file capability nor the user's own is kept, left out, or a reason
 * to refuse the archive.
 */
export type AttributeRule = (name: string) => "keep" | "drop" | "refuse";

const LARGEST_ID = 0xfffffffe;
/** XATTR_SIZE_MAX. */
const LARGEST_ATTRIBUTE = 0x10000;

/** Character devices that every app has anyway, as `major:minor` (Linux, Documentation/admin-guide/devices.txt). */
const HARMLESS_DEVICES = ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2"];

/** An entry with a checked path, everything else of it checked too, whatever the path may be. */
export function checkDetails(
	raw: RawEntry,
	path: string,
	cleanTarget: (name: string) => string,
	attributeRule: AttributeRule,
	source: string,
): TarEntry {
	if (raw.size > 0 && raw.type !== "file") refuseAci(source, `${quote(path)} is a ${raw.type} with content`);
	checkID(raw.uid, path, source);
	checkID(raw.gid, path, source);
	const { type, mode, uid, gid, size, mtimeNs, data } = raw;
	const entry: TarEntry = { path, type, mode, uid, gid, size, mtimeNs, ...(data && { data }) };
	if (type === "directory" || type === "file")
		return raw.xattrs.size === 0 ? entry : withXattrs(entry, raw.xattrs, attributeRule, source);
	return { ...entry, ...typeDetails(raw, path, cleanTarget, source) };
}

function checkID(id: number, path: string, source: string): void {
	if (id < 0 || id > LARGEST_ID)
		refuseAci(source, `${quote(path)} belongs to the impossible user or group ${id}`);
}

function typeDetails(
	raw: RawEntry,
	path: string,
	cleanTarget: (name: string) => string,
	source: string,
): Partial<TarEntry> {
	switch (raw.type) {
		case "hardlink":
			return { linkTarget: cleanTarget(raw.linkName) };
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

/** Whether an image may hold this device. */
export function isAllowedDevice(
	type: EntryType,
	{ major, minor }: { major: number; minor: number },
): boolean {
	return type === "character-device" && HARMLESS_DEVICES.includes(`${major}:${minor}`);
}

function checkDevice(
	{ type, major, minor }: RawEntry,
	path: string,
	source: string,
): { major: number; minor: number } {
	if (!isAllowedDevice(type, { major, minor })) {
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
 * File capabilities and the user's own attributes, as in rkt, and what the rule keeps. Overlayfs may take
 * `user.overlay.` attributes for its own white-outs.
 */
function withXattrs(
	entry: TarEntry,
	xattrs: ReadonlyMap<string, Buffer>,
	attributeRule: AttributeRule,
	source: string,
): TarEntry {
	const { path } = entry;
	const kept = new Map<string, Buffer>();
	for (const [name, value] of xattrs) {
		if (name === "security.capability") {
			if (!CAPABILITY_SIZES.includes(value.length))
				refuseAci(source, `${quote(path)} has malformed capabilities`);
		} else if (!name.startsWith("user.") || name.startsWith("user.overlay.")) {
			const verdict = attributeRule(name);
			if (verdict === "drop") continue;
			if (verdict === "refuse")
				refuseAci(source, `${quote(path)} has the attribute ${quote(name)} of overlayfs`);
		}
		if (name.length > NAME_MAX || value.length > LARGEST_ATTRIBUTE || /[\0\ufffd]/.test(name)) {
			refuseAci(source, `${quote(path)} has the impossible attribute ${quote(name)}`);
		}
		kept.set(name, value);
	}
	return kept.size === 0 ? entry : { ...entry, xattrs: kept };
}
