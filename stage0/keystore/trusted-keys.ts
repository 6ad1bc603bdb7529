import * as fs from "node:fs";
import * as path from "node:path";
import { fail, isErrno } from "../../lib/errors.ts";
import { dearmor, keyFingerprints } from "./openpgp-packets.ts";

export interface KeystoreDirectories {
	/** Vendor configuration, normally /usr/lib/rkt. */
	readonly system?: string | undefined;
	/** Administrator's configuration, normally /etc/rkt; keys are added here. */
	readonly local: string;
}

export interface TrustedKey {
	/** 40 lower-case hex digits of the primary key. */
	readonly fingerprint: string;
	/** Fingerprints of the primary key and its subkeys. */
	readonly fingerprints: readonly string[];
	/** The armored file. */
	readonly file: string;
	/** The image name prefix it is trusted for; undefined for a root key. */
	readonly prefix: string | undefined;
	/** Binary key block. */
	readonly block: Uint8Array;
}

const MAX_KEY_BYTES = 1024 * 1024;

/**
 * Keys that may sign an image of this name: root keys, then those of every prefix that consists of whole
 * leading components of the name. A later directory (system root, local root, system prefix, local prefix) replaces
 * keys of the same fingerprint, and an empty file there takes the key away.
 */
export function trustedKeysFor(directories: KeystoreDirectories, name: string): TrustedKey[] {
	const keys = new Map<string, TrustedKey>();
	for (const { directory, prefix } of searchOrder(directories, namePrefixes(name))) {
		loadDirectory(directory, prefix, keys);
	}
	return [...keys.values()];
}

/** Every key that is trusted for anything; the same fingerprint appears once for each prefix. */
export function allTrustedKeys(directories: KeystoreDirectories): TrustedKey[] {
	const found = new Map<string, TrustedKey>();
	for (const prefix of [undefined, ...listPrefixes(directories)]) {
		const keys = new Map<string, TrustedKey>();
		const order = searchOrder(directories, prefix === undefined ? [] : [prefix]);
		for (const place of order) if (place.prefix === prefix) loadDirectory(place.directory, prefix, keys);
		for (const key of keys.values()) found.set(`${prefix ?? ""}/${key.fingerprint}`, key);
	}
	return [...found.values()];
}

/** True when a key file that is not empty exists for the name or a parent of it. */
export function hasPrefixKeyFiles(directories: KeystoreDirectories, name: string): boolean {
	const places = searchOrder(directories, namePrefixes(name)).filter((place) => place.prefix !== undefined);
	return places.some(({ directory }) => keyFiles(directory).some((file) => fs.statSync(file).size > 0));
}

export function keyDirectory(local: string, prefix: string | undefined): string {
	const base = path.join(local, "trustedkeys");
	return prefix === undefined ? path.join(base, "root.d") : path.join(base, "prefix.d", prefix);
}

/** `a.com/b/c` gives `a.com`, `a.com/b`, `a.com/b/c`. */
function namePrefixes(name: string): string[] {
	const components = name.split("/");
	return components.map((_, index) => components.slice(0, index + 1).join("/"));
}

function searchOrder(directories: KeystoreDirectories, prefixes: readonly string[]) {
	const bases = [directories.system, directories.local].filter((base) => base !== undefined && base !== "");
	const roots = bases.map((base) => ({
		directory: keyDirectory(base as string, undefined),
		prefix: undefined,
	}));
	const places = bases.flatMap((base) =>
		prefixes.map((prefix) => ({ directory: keyDirectory(base as string, prefix), prefix })),
	);
	return [...roots, ...places];
}

function listPrefixes(directories: KeystoreDirectories): string[] {
	const prefixes = new Set<string>();
	for (const base of [directories.system, directories.local]) {
		if (!base) continue;
		const top = path.join(base, "trustedkeys", "prefix.d");
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

function keyFiles(directory: string): string[] {
	const files = readDirectory(directory).filter((entry) => entry.isFile());
	return files.map((entry) => path.join(directory, entry.name)).sort();
}

function loadDirectory(directory: string, prefix: string | undefined, keys: Map<string, TrustedKey>): void {
	for (const file of keyFiles(directory)) {
		const fingerprint = path.basename(file);
		const size = fs.statSync(file).size;
		if (size === 0) keys.delete(fingerprint);
		else keys.set(fingerprint, loadKey(file, size, prefix));
	}
}

function loadKey(file: string, size: number, prefix: string | undefined): TrustedKey {
	const block = size > MAX_KEY_BYTES ? undefined : dearmor(fs.readFileSync(file), "PUBLIC KEY BLOCK", false);
	const fingerprints = block && keyFingerprints(block);
	const fingerprint = fingerprints?.[0];
	if (!block || !fingerprints || fingerprint === undefined) {
		return fail("key-malformed", `trusted key file ${file} does not hold one OpenPGP public key`, {
			hint: "remove the file, or add the key again with rkt trust",
		});
	}
	if (fingerprint !== path.basename(file)) {
		fail("key-fingerprint-mismatch", `trusted key file ${file} holds the key ${fingerprint}`, {
			hint: "a key file is named by the fingerprint of its key: remove it, or add the key with rkt trust",
		});
	}
	return { fingerprint, fingerprints, file, prefix, block };
}
