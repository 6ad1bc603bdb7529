import type { Readable } from "node:stream";

export interface KeystoreDirectories {
	/** `<system-config>/trustedkeys`'s parent, normally /usr/lib/rkt. */
	readonly system?: string | undefined;
	/** Normally /etc/rkt; keys are added here. */
	readonly local: string;
}

export interface TrustedKey {
	/** 40 lower-case hex digits of the primary key. */
	readonly fingerprint: string;
	/** The armored file. */
	readonly file: string;
	/** The image name prefix it is trusted for; undefined for a root key. */
	readonly prefix: string | undefined;
}

/** An OpenPGP public key as people review it. */
export interface PublicKey {
	/** 40 lower-case hex digits. */
	readonly fingerprint: string;
	readonly subkeys: readonly string[];
	readonly identities: readonly string[];
}

export interface Verification {
	/** User IDs of the key that signed. */
	readonly identities: readonly string[];
	/** Primary key, 40 lower-case hex digits. */
	readonly fingerprint: string;
}

export interface DetachedSignature {
	/** Image name that selects the keys; undefined to try every trusted key. */
	readonly name: string | undefined;
	/** The signature, armored or binary. */
	readonly signature: Uint8Array;
	/** For messages: what is signed. */
	readonly source: string;
	/** The signed bytes as they are stored: a path or a stream. */
	readonly data: string | Readable;
}

/** The trusted keys of one machine. */
export interface Keystore {
	/** Keys that may sign an image of this name: root keys and those of each prefix by whole path components. */
	keysFor(name: string): TrustedKey[];
	/** True when a key file that is not a mask exists for the name or a parent of it (root keys do not count). */
	hasPrefixKeys(name: string): boolean;
	/**
	 * Checks a detached signature with gpgv against the keys of `name`.
	 * Errors: `image-unsigned`, `signature-malformed`, `signature-bad`, `signature-weak`, `signature-expired`,
	 * `signature-key-unknown`, `signature-key-untrusted`, `signature-key-expired`, `signature-key-revoked`.
	 */
	verifyDetached(request: DetachedSignature): Promise<Verification>;
	/** Throws `signature-key-unknown` when no trusted key for the name can have made this signature. */
	checkIssuer(request: Omit<DetachedSignature, "data">): Promise<void>;
	/** Writes a key for a prefix, or as root key without one; returns the file's path. */
	addKey(key: { armored: string; prefix: string | undefined }): Promise<string>;
}

export function openKeystore(directories: KeystoreDirectories): Keystore {
	throw new Error(`${directories.local}`);
}
