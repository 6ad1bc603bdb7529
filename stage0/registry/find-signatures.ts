import type { OciDescriptor } from "../../appc/oci/descriptor.ts";
import { type OciManifest, parseOciDocument } from "../../appc/oci/manifest.ts";
import { OCI_INDEX } from "../../appc/oci/media-types.ts";
import type { RegistryReference } from "../../appc/oci/reference.ts";
import {
	MAX_BUNDLE_BYTES,
	PREDICATE_ANNOTATION,
	readSigstoreBundle,
	SIGN_PREDICATE,
	SIGSTORE_BUNDLE,
	statementProblem,
} from "../../appc/oci/sigstore-bundle.ts";
import {
	claimProblem,
	MAX_PAYLOAD_BYTES,
	parseSignedClaim,
	SIGNATURE_ANNOTATION,
	SIGNATURE_ARTIFACT,
	SIMPLE_SIGNING,
} from "../../appc/oci/simple-signing.ts";
import { isErrno } from "../../lib/errors.ts";
import { readBody } from "../fetch/http-client.ts";
import { readVerifiedBlob } from "../oci/verified-blob.ts";
import { fetchBlob } from "./fetch-blob.ts";
import { fetchManifest } from "./fetch-manifest.ts";
import type { Registry } from "./registry.ts";

/** A signature that was found beside an image. */
export interface FoundSignature {
	/** What it is over. */
	readonly signed: Buffer;
	readonly signature: Buffer;
	/**
	 * What is wrong with what was signed, for the manifest of this digest and the reference that was asked for; undefined
	 * when it fits. To be asked once the signature was found good. Errors: `json-invalid`, `oci-invalid`.
	 */
	problem(digest: string, wanted: RegistryReference): string | undefined;
}

/** No image has more signers, and each costs a request. */
const MAX_SIGNATURES = 64;
const MAX_REFERRERS = 64;
const MAX_INDEX_BYTES = 4 * 1024 * 1024;

/**
 * The signatures that cosign put beside a manifest: under the tag `sha256-HEX.sig`, then those that refer to it.
 * Errors: those of {@link Registry}, of the documents and blobs; that there is nothing is none.
 */
export async function* findSignatures(registry: Registry, digest: string): AsyncGenerator<FoundSignature> {
	let found = 0;
	for await (const manifest of signatureManifests(registry, digest)) {
		for (const layer of manifest.layers) {
			if (!mayBeSignature(layer) || ++found > MAX_SIGNATURES) continue;
			const source = `signature ${layer.digest}`;
			const bytes = await readVerifiedBlob(fetchBlob({ registry, descriptor: layer }), layer, source);
			const signature = readSignature(layer, bytes, source);
			if (signature) yield signature;
		}
	}
}

function mayBeSignature({ mediaType, size, annotations }: OciDescriptor): boolean {
	if (mediaType === SIGSTORE_BUNDLE) return size <= MAX_BUNDLE_BYTES;
	return (
		mediaType === SIMPLE_SIGNING &&
		size <= MAX_PAYLOAD_BYTES &&
		annotations?.[SIGNATURE_ANNOTATION] !== undefined
	);
}

function readSignature(layer: OciDescriptor, bytes: Buffer, source: string): FoundSignature | undefined {
	if (layer.mediaType === SIGSTORE_BUNDLE) return readBundle(bytes, source);
	return {
		signed: bytes,
		signature: Buffer.from(layer.annotations?.[SIGNATURE_ANNOTATION] ?? "", "base64"),
		problem: (digest, wanted) => claimProblem(parseSignedClaim(bytes, source), digest, wanted),
	};
}

/** Bundles of other kinds are no signatures of images. */
function readBundle(bytes: Buffer, source: string): FoundSignature | undefined {
	try {
		const { signed, signature, payload } = readSigstoreBundle(bytes, source);
		return { signed, signature, problem: (digest) => statementProblem(payload, digest, source) };
	} catch (error) {
		if (isErrno(error, "json-invalid", "oci-invalid")) return undefined;
		throw error;
	}
}

async function* signatureManifests(registry: Registry, digest: string): AsyncGenerator<OciManifest> {
	const tagged = await manifestIfThere(registry, `${digest.replace(":", "-")}.sig`);
	if (tagged) yield tagged;
	for (const referrer of (await referrers(registry, digest)).filter(maySign).slice(0, MAX_REFERRERS)) {
		const manifest = await manifestIfThere(registry, referrer.digest);
		if (manifest) yield manifest;
	}
}

function maySign({ artifactType, annotations }: OciDescriptor): boolean {
	const predicate = annotations?.[PREDICATE_ANNOTATION];
	if (artifactType === SIGSTORE_BUNDLE) return predicate === undefined || predicate === SIGN_PREDICATE;
	return artifactType === SIGNATURE_ARTIFACT;
}

async function manifestIfThere(registry: Registry, tagOrDigest: string): Promise<OciManifest | undefined> {
	try {
		const { bytes, mediaType } = await fetchManifest(registry, tagOrDigest);
		const document = parseOciDocument(bytes, `signatures ${tagOrDigest}`, mediaType);
		return document.type === "manifest" ? document.manifest : undefined;
	} catch (error) {
		if (isErrno(error, "registry-not-found")) return undefined;
		throw error;
	}
}

/** What registries before OCI 1.1 answer is of no kind in particular. */
const NO_LIST = ["registry-not-found", "http-status", "json-invalid", "oci-invalid"];

/** Where a registry has no list of its own, clients keep one under a tag (distribution specification 1.1, Referrers Tag Schema). */
async function referrers(registry: Registry, digest: string): Promise<readonly OciDescriptor[]> {
	const list = await indexIfThere(`referrers of ${digest}`, () =>
		registry.withEndpoint(async ({ get }) =>
			readBody(await get(`referrers/${digest}`, { Accept: OCI_INDEX }), MAX_INDEX_BYTES),
		),
	);
	if (list) return list;
	const tag = digest.replace(":", "-").slice(0, MAX_TAG);
	return (await indexIfThere(tag, async () => (await fetchManifest(registry, tag)).bytes)) ?? [];
}

const MAX_TAG = 128;

async function indexIfThere(
	source: string,
	read: () => Promise<Buffer>,
): Promise<readonly OciDescriptor[] | undefined> {
	try {
		const document = parseOciDocument(await read(), source, OCI_INDEX);
		return document.type === "index" ? document.index.manifests : undefined;
	} catch (error) {
		if (isErrno(error, ...NO_LIST)) return undefined;
		throw error;
	}
}
