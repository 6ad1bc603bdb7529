import { constants, createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { collectKeys, type KeystoreDirectories, keyPlaces, namePrefixes } from "./key-directories.ts";

/** A public key with which cosign signs. */
export interface CosignKey {
	/** SHA-256 over the key as SubjectPublicKeyInfo (RFC 5280) in DER, 64 lower-case hex digits. */
	readonly fingerprint: string;
	/** In words. */
	readonly algorithm: string;
	readonly pem: string;
	readonly key: KeyObject;
}

const MAX_KEY_BYTES = 64 * 1024;
const MIN_RSA_BITS = 2048;

/** The keys that are trusted for an image of this name, from root keys on. Errors: `key-malformed`, `key-fingerprint-mismatch`. */
export function cosignKeysFor(directories: KeystoreDirectories, name: string): CosignKey[] {
	return [...collectKeys(keyPlaces(directories, namePrefixes(name), "cosign"), loadKey).values()];
}

/** Reads one public key in PEM: ECDSA on P-256, Ed25519, or RSA from 2048 bits on. Errors: `key-malformed`. */
export function parseCosignKey(data: Uint8Array, source: string): CosignKey {
	const text = Buffer.from(data).toString("latin1");
	const [block, ...more] = text.match(/-----BEGIN [A-Z ]+-----[\s\S]+?-----END [A-Z ]+-----/g) ?? [];
	if (
		data.length > MAX_KEY_BYTES ||
		block === undefined ||
		more.length > 0 ||
		!block.includes(" PUBLIC KEY-----")
	) {
		refuseKey(source, "it does not hold exactly one public key in PEM");
	}
	const key = readKey(block, source);
	const algorithm = algorithmOf(key) ?? refuseKey(source, "its algorithm is not one that rkt verifies");
	const der = key.export({ type: "spki", format: "der" });
	return {
		fingerprint: createHash("sha256").update(der).digest("hex"),
		algorithm,
		pem: key.export({ type: "spki", format: "pem" }).toString(),
		key,
	};
}

/** Whether this key made this signature over these bytes, in the manner of cosign. */
export function verifyCosignSignature(
	{ key }: CosignKey,
	payload: Uint8Array,
	signature: Uint8Array,
): boolean {
	try {
		switch (key.asymmetricKeyType) {
			case "ed25519":
				return verify(null, payload, key, signature);
			case "rsa":
				return verify("sha256", payload, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
			default:
				return verify("sha256", payload, key, signature);
		}
	} catch {
		return false;
	}
}

function readKey(pem: string, source: string): KeyObject {
	try {
		return createPublicKey({ key: pem, format: "pem" });
	} catch {
		return refuseKey(source, "the public key in it is malformed");
	}
}

function algorithmOf(key: KeyObject): string | undefined {
	const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
	switch (key.asymmetricKeyType) {
		case "ec":
			return namedCurve === "prime256v1" ? "ECDSA P-256" : undefined;
		case "ed25519":
			return "Ed25519";
		case "rsa":
			return modulusLength >= MIN_RSA_BITS ? `RSA ${modulusLength}` : undefined;
		default:
			return undefined;
	}
}

function loadKey(file: string, size: number): CosignKey {
	const data = size > MAX_KEY_BYTES ? Buffer.alloc(0) : fs.readFileSync(file);
	const key = parseCosignKey(data, `trusted key file ${file}`);
	if (key.fingerprint === path.basename(file)) return key;
	return fail("key-fingerprint-mismatch", `trusted key file ${file} holds the key ${key.fingerprint}`, {
		hint: "a key file is named by the fingerprint of its key: remove it, or add the key with rkt trust --cosign",
	});
}

function refuseKey(source: string, problem: string): never {
	return fail("key-malformed", `${source}: ${problem}`, {
		hint: "give the file cosign.pub: one PEM public key, ECDSA P-256, Ed25519 or RSA with 2048 bits or more",
	});
}
