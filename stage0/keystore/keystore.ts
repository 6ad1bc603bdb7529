import * as fs from "node:fs";
import * as path from "node:path";
import { Readable } from "node:stream";
import { isACIdentifier } from "../../appc/types/ac-identifier.ts";
import { fail, isErrno, messageOf } from "../../lib/errors.ts";
import { makeDirectories, writeFileAtomic } from "../../lib/files.ts";
import { type CosignKey, cosignKeysFor, parseCosignKey } from "./cosign-keys.ts";
import { runGpgv } from "./gpgv.ts";
import { judgeStatus, type StatusContext, type Verification } from "./gpgv-status.ts";
import { type KeyKind, type KeystoreDirectories, keyDirectory } from "./key-directories.ts";
import { armor, dearmor, keyFingerprints } from "./openpgp-packets.ts";
import { allTrustedKeys, hasPrefixKeyFiles, type TrustedKey, trustedKeysFor } from "./trusted-keys.ts";

export interface DetachedSignature {
	/** Image name that selects the keys; undefined tries every key that is trusted for anything. */
	readonly name: string | undefined;
	/** The signature, armored or binary. */
	readonly signature: Uint8Array;
	/** For messages: what is signed. */
	readonly source: string;
	/** The signed bytes as they are stored: a path or a stream. */
	readonly data: string | Readable;
}

/** The trusted keys of one machine, read anew at every call. */
export interface Keystore {
	readonly directories: KeystoreDirectories;
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
	/** Throws `signature-key-unknown` or `signature-key-untrusted` when no key of the name made this signature. */
	checkIssuer(request: Omit<DetachedSignature, "data">): Promise<void>;
	/**
	 * Throws `signature-key-untrusted` when a key that was found valid for an unknown name is not one for `name`.
	 */
	checkTrusted(verification: Verification, name: string, source: string): void;
	/**
	 * Writes a key for a prefix, or as root key without one; returns the file's path.
	 * Errors: `key-malformed`, `trust-prefix-invalid`, `keystore-unusable`.
	 */
	addKey(key: NewKey): string;
	/** Keys with which cosign may have signed an image of this name, chosen as {@link keysFor} does. */
	cosignKeysFor(name: string): CosignKey[];
	/** As {@link addKey}, for a public key of cosign in PEM. */
	addCosignKey(key: NewKey): string;
}

export interface NewKey {
	/** Armored or binary, exactly one public key. */
	readonly data: Uint8Array;
	/** Image name prefix; undefined for a root key. */
	readonly prefix: string | undefined;
	/** A URL or path, for messages. */
	readonly source: string;
}

export function openKeystore(directories: KeystoreDirectories): Keystore {
	return {
		directories,
		keysFor: (name) => trustedKeysFor(directories, name),
		hasPrefixKeys: (name) => hasPrefixKeyFiles(directories, name),
		verifyDetached: (request) => verifyDetached(directories, request),
		checkIssuer: (request) => checkIssuer(directories, request),
		checkTrusted: (verification, name, source) => checkTrusted(directories, verification, name, source),
		addKey: (key) => addKey(directories.local, key),
		cosignKeysFor: (name) => cosignKeysFor(directories, name),
		addCosignKey: (key) => addCosignKey(directories.local, key),
	};
}

async function verifyDetached(
	directories: KeystoreDirectories,
	request: DetachedSignature,
): Promise<Verification> {
	const context = statusContext(directories, request);
	const fd = typeof request.data === "string" ? fs.openSync(request.data, "r") : undefined;
	try {
		const data = fd ?? (request.data as Readable);
		const { status, exitCode } = await runGpgv({ ...request, keyring: toKeyring(context.keys), data });
		return judgeStatus(status, exitCode, context);
	} finally {
		if (fd !== undefined) fs.closeSync(fd);
	}
}

/** A signature is tried on nothing at all: of a known key it is bad, of an unknown one it cannot be told. */
async function checkIssuer(
	directories: KeystoreDirectories,
	request: Omit<DetachedSignature, "data">,
): Promise<void> {
	const context = statusContext(directories, request);
	const { status, exitCode } = await runGpgv({
		...request,
		keyring: toKeyring(context.keys),
		data: Readable.from([]),
	});
	if (/^\[GNUPG:\] ERRSIG /m.test(status)) judgeStatus(status, exitCode, context);
}

function statusContext(
	directories: KeystoreDirectories,
	request: Pick<DetachedSignature, "name" | "source">,
): StatusContext {
	const allKeys = () => allTrustedKeys(directories);
	const keys = request.name === undefined ? allKeys() : trustedKeysFor(directories, request.name);
	return { source: request.source, name: request.name, keys, allKeys };
}

function toKeyring(keys: readonly TrustedKey[]): Uint8Array {
	return Buffer.concat(keys.map((key) => key.block));
}

function checkTrusted(
	directories: KeystoreDirectories,
	{ fingerprint }: Verification,
	name: string,
	source: string,
): void {
	if (trustedKeysFor(directories, name).some((key) => key.fingerprint === fingerprint)) return;
	fail(
		"signature-key-untrusted",
		`image ${name} (${source}): signed with key ${fingerprint}, which is not trusted for this name`,
		{ hint: `if you trust the publisher, add the key: rkt trust --prefix=${name}` },
	);
}

function addKey(local: string, key: NewKey): string {
	if (key.prefix !== undefined) checkPrefix(key.prefix);
	const block = dearmor(key.data, "PUBLIC KEY BLOCK", false);
	const fingerprint = block && keyFingerprints(block)?.[0];
	if (!block || fingerprint === undefined) {
		fail("key-malformed", `${key.source} does not hold exactly one OpenPGP version 4 public key`, {
			hint: "export one key into the file: gpg --armor --export FINGERPRINT",
		});
	}
	return writeKey(
		local,
		{ kind: "openpgp", prefix: key.prefix, fingerprint },
		armor(block, "PUBLIC KEY BLOCK"),
	);
}

function addCosignKey(local: string, key: NewKey): string {
	if (key.prefix !== undefined) checkPrefix(key.prefix);
	const { fingerprint, pem } = parseCosignKey(key.data, key.source);
	return writeKey(local, { kind: "cosign", prefix: key.prefix, fingerprint }, pem);
}

interface KeyAddress {
	readonly kind: KeyKind;
	readonly prefix: string | undefined;
	readonly fingerprint: string;
}

function writeKey(local: string, { kind, prefix, fingerprint }: KeyAddress, text: string): string {
	const directory = keyDirectory(local, prefix, kind);
	const file = path.join(directory, fingerprint);
	try {
		makeKeyDirectory(path.join(local, "trustedkeys"), directory);
		writeFileAtomic(file, text, 0o644);
	} catch (error) {
		if (!isErrno(error, "EACCES", "EPERM", "EROFS", "ENOTDIR", "ENOENT", "ENOSPC")) throw error;
		fail("keystore-unusable", `cannot write the key file ${file}: ${messageOf(error)}`, {
			hint: "adding keys needs root or membership of the group rkt-admin",
			cause: error,
		});
	}
	return file;
}

/** The prefix becomes a path below the keystore. */
export function checkPrefix(prefix: string): void {
	if (isACIdentifier(prefix)) return;
	fail("trust-prefix-invalid", `"${prefix}" is not a prefix of image names`, {
		hint: "give a name without a scheme, such as --prefix=example.com/app",
	});
}

/** Readable for everybody, whatever the umask is. */
function makeKeyDirectory(top: string, directory: string): void {
	makeDirectories(path.dirname(top), 0o755);
	let current = top;
	for (const component of ["", ...path.relative(top, directory).split("/")]) {
		current = path.join(current, component);
		if (fs.existsSync(current)) continue;
		fs.mkdirSync(current, { mode: 0o755 });
		fs.chmodSync(current, 0o755);
	}
}
