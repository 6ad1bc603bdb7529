import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import {
	collectKeys,
	type KeystoreDirectories,
	keyFiles,
	keyPlaces,
	listPrefixes,
	namePrefixes,
} from "./key-directories.ts";
import { dearmor, keyFingerprints } from "./openpgp-packets.ts";

const MAX_KEY_BYTES = 1024 * 1024;

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

/**
 * Keys that may sign an image of this name: root keys, then those of every prefix that consists of whole
 * leading components of the name. A later directory (system root, local root, system prefix, local prefix) replaces
 * keys of the same fingerprint, and an empty file there takes the key away.
 */
export function trustedKeysFor(directories: KeystoreDirectories, name: string): TrustedKey[] {
	return [...collectKeys(keyPlaces(directories, namePrefixes(name), "openpgp"), loadKey).values()];
}

/** Every key that is trusted for anything; the same fingerprint appears once for each prefix. */
export function allTrustedKeys(directories: KeystoreDirectories): TrustedKey[] {
	const found = new Map<string, TrustedKey>();
	for (const prefix of [undefined, ...listPrefixes(directories, "openpgp")]) {
		const places = keyPlaces(directories, prefix === undefined ? [] : [prefix], "openpgp");
		const keys = collectKeys(
			places.filter((place) => place.prefix === prefix),
			loadKey,
		);
		for (const key of keys.values()) found.set(`${prefix ?? ""}/${key.fingerprint}`, key);
	}
	return [...found.values()];
}

/** True when a key file that is not empty exists for the name or a parent of it. */
export function hasPrefixKeyFiles(directories: KeystoreDirectories, name: string): boolean {
	const places = keyPlaces(directories, namePrefixes(name), "openpgp").filter(
		(place) => place.prefix !== undefined,
	);
	return places.some(({ directory }) => keyFiles(directory).some((file) => fs.statSync(file).size > 0));
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
