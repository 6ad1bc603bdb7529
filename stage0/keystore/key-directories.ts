import * as fs from "node:fs";
import * as path from "node:path";
import { fail, isErrno } from "../../lib/errors.ts";

export interface KeystoreDirectories {
	/** Vendor configuration, normally /usr/lib/rkt. */
	readonly system?: string | undefined;
	/** Administrator's configuration, normally /etc/rkt; keys are added here. */
	readonly local: string;
}

/** `openpgp` keys sign images in the manner of the App Container specification, `cosign` keys those of registries. */
export type KeyKind = "openpgp" | "cosign";

/** A directory of keys, one in a file, named by its fingerprint; an empty file takes the key away. */
export interface KeyPlace {
	readonly directory: string;
	/** The image name prefix they are trusted for; undefined for root keys. */
	readonly prefix: string | undefined;
}

export type KeyLoader<T> = (file: string, size: number, prefix: string | undefined) => T;

const TOPS: Readonly<Record<KeyKind, string>> = {
	openpgp: "trustedkeys",
	cosign: path.join("trustedkeys", "cosign.d"),
};

/** Below the configuration directory `base`. */
export function keyDirectory(base: string, prefix: string | undefined, kind: KeyKind = "openpgp"): string {
	const top = path.join(base, TOPS[kind]);
	return prefix === undefined ? path.join(top, "root.d") : path.join(top, "prefix.d", prefix);
}

/** `a.com/b/c` gives `a.com`, `a.com/b`, `a.com/b/c`. */
export function namePrefixes(name: string): string[] {
	const components = name.split("/");
	return components.map((_, index) => components.slice(0, index + 1).join("/"));
}

/** System root, local root, system prefixes, local prefixes: a later key replaces an earlier one. */
export function keyPlaces(
	directories: KeystoreDirectories,
	prefixes: readonly string[],
	kind: KeyKind,
): KeyPlace[] {
	const bases = [directories.system, directories.local].filter((base) => base !== undefined && base !== "");
	const roots = bases.map((base) => ({
		directory: keyDirectory(base as string, undefined, kind),
		prefix: undefined,
	}));
	const places = bases.flatMap((base) =>
		prefixes.map((prefix) => ({ directory: keyDirectory(base as string, prefix, kind), prefix })),
	);
	return [...roots, ...places];
}

/** The prefixes that have a directory of keys. */
export function listPrefixes(directories: KeystoreDirectories, kind: KeyKind): string[] {
	const prefixes = new Set<string>();
	for (const base of [directories.system, directories.local]) {
		if (!base) continue;
		const top = keyDirectory(base, "", kind);
		for (const directory of subdirectories(top)) prefixes.add(path.relative(top, directory));
	}
	return [...prefixes];
}

function subdirectories(directory: string): string[] {
	const children = readDirectory(directory).filter((entry) => entry.isDirectory());
	return children.flatMap((entry) => {
		const child = path.join(directory, entry.name);
		return [child, ...subdirectories(child)];
	});
}

function readDirectory(directory: string): fs.Dirent[] {
	try {
		return fs.readdirSync(directory, { withFileTypes: true });
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR")) return [];
		return fail("keystore-unusable", `cannot read the trusted keys in ${directory}`, { cause: error });
	}
}

export function keyFiles(directory: string): string[] {
	const files = readDirectory(directory).filter((entry) => entry.isFile());
	return files.map((entry) => path.join(directory, entry.name)).sort();
}

/** The keys of these places by fingerprint. */
export function collectKeys<T>(places: readonly KeyPlace[], load: KeyLoader<T>): Map<string, T> {
	const keys = new Map<string, T>();
	for (const { directory, prefix } of places) {
		for (const file of keyFiles(directory)) {
			const fingerprint = path.basename(file);
			const size = fs.statSync(file).size;
			if (size === 0) keys.delete(fingerprint);
			else keys.set(fingerprint, load(file, size, prefix));
		}
	}
	return keys;
}
