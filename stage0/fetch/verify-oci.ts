import { Readable } from "node:stream";
import type { RegistryReference } from "../../appc/oci/reference.ts";
import { fail, isErrno, messageOf, RktError } from "../../lib/errors.ts";
import { type CosignKey, verifyCosignSignature } from "../keystore/cosign-keys.ts";
import type { RawDocument } from "../oci/choose-manifest.ts";
import { type FoundSignature, findSignatures } from "../registry/find-signatures.ts";
import type { Registry } from "../registry/registry.ts";
import type { FetchOptions } from "./fetch-options.ts";
import { logVerification, readSignature, signerOf } from "./fetch-signature.ts";

/** What is to be verified before anything of an image is kept. */
export interface UnverifiedImage {
	/** Of the appc image: chooses the keys. */
	readonly name: string;
	readonly source: string;
	/** From what the reference means to the manifest of this platform; to sign one of them is enough. */
	readonly path: readonly RawDocument[];
	/** Where signatures of cosign are; absent for images that come from files. */
	readonly remote?: { readonly registry: Registry; readonly reference: RegistryReference };
}

/**
 * Throws unless somebody who is trusted for the name signed the image: `--signature` is an OpenPGP signature over the
 * bytes of the manifest or index; without it the registry is searched for signatures of cosign. An index that is
 * signed vouches for the manifests whose digests it names. Gives who signed, for the record of the image.
 * Errors: `image-unsigned`, those of `verifyDetached`, `signature-key-unknown`, `signature-claim-mismatch`.
 */
export async function verifyOciImage(image: UnverifiedImage, options: FetchOptions): Promise<string> {
	if (options.signature !== undefined) return verifyDetached(image, options.signature, options);
	const keys = options.keystore.cosignKeysFor(image.name);
	if (!image.remote || keys.length === 0) {
		failUnsigned(image, image.remote ? "no key of cosign is trusted for it" : "no signature is given");
	}
	return verifyCosign(image, image.remote, keys, options);
}

async function verifyDetached(
	{ name, source, path }: UnverifiedImage,
	file: string,
	options: FetchOptions,
): Promise<string> {
	const signature = readSignature(file);
	let first: unknown;
	for (const { bytes, digest } of path) {
		try {
			const data = Readable.from([bytes]);
			const what = `manifest ${digest} of ${source}`;
			const verification = await options.keystore.verifyDetached({ name, signature, source: what, data });
			logVerification(options, verification);
			return signerOf(verification);
		} catch (error) {
			if (!isErrno(error, "signature-bad")) throw error;
			first ??= error;
		}
	}
	throw first;
}

async function verifyCosign(
	image: UnverifiedImage,
	{ registry, reference }: NonNullable<UnverifiedImage["remote"]>,
	keys: readonly CosignKey[],
	options: FetchOptions,
): Promise<string> {
	let seen = 0;
	let problem: string | undefined;
	for (const { digest } of image.path) {
		for await (const found of findSignatures(registry, digest)) {
			seen++;
			const key = keys.find((candidate) => verifyCosignSignature(candidate, found.signed, found.signature));
			if (!key) continue;
			const wrong = claimFault(found, digest, reference);
			if (wrong === undefined) {
				options.log.info("signature verified:");
				options.log.info(`  cosign key ${key.fingerprint} (${key.algorithm})`);
				return `cosign:${key.fingerprint}`;
			}
			problem ??= wrong;
		}
	}
	if (problem !== undefined) {
		fail("signature-claim-mismatch", `${image.source}: a trusted key signed something else: ${problem}`, {
			hint: "the registry offers a signature of another image: tell whoever runs it",
		});
	}
	if (seen === 0) failUnsigned(image, "the registry has no signature of cosign for it");
	return fail(
		"signature-key-unknown",
		`${image.source}: none of its ${seen} signatures is of a trusted key`,
		{
			hint: `if you trust the publisher, add the key: rkt trust --cosign --prefix=${image.name} FILE`,
		},
	);
}

/** What is signed is read only after its signature was found good. */
function claimFault(
	{ problem }: FoundSignature,
	digest: string,
	reference: RegistryReference,
): string | undefined {
	try {
		return problem(digest, reference);
	} catch (error) {
		if (!(error instanceof RktError)) throw error;
		return messageOf(error);
	}
}

function failUnsigned({ source, name, remote }: UnverifiedImage, problem: string): never {
	const trust = remote ? `trust the publisher's key with rkt trust --cosign --prefix=${name} FILE, ` : "";
	return fail("image-unsigned", `${source}: nothing vouches for the image: ${problem}`, {
		hint: `${trust}give a signature of its manifest with --signature=FILE, or accept any image with --insecure-options=image`,
	});
}
