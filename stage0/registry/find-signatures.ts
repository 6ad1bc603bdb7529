import type { OciDescriptor } from "../../appc/oci/descriptor.ts";
import { type OciManifest, parseOciDocument } from "../../appc/oci/manifest.ts";
import { OCI_INDEX } from "../../appc/oci/media-types.ts";
import {
	MAX_PAYLOAD_BYTES,
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

/** A signature and the text that it is over. */
export interface FoundSignature {
	readonly payload: Buffer;
	readonly signature: Buffer;
}

/** No image has more signers, and each costs a request. */
const MAX_SIGNATURES = 64;
const MAX_REFERRERS = 16;
const MAX_INDEX_BYTES = 4 * 1024 * 1024;

/**
 * The signatures that cosign put beside a manifest: under the tag `sha256-HEX.sig`, then those that refer to it.
 * Errors: those of {@link Registry}, of the documents and blobs; that there is nothing is none.
 */
export async function* findSignatures(registry: Registry, digest: string): AsyncGenerator<FoundSignature> {
	let found = 0;
	for await (const manifest of signatureManifests(registry, digest)) {
		for (const layer of manifest.layers) {
			const signature = layer.annotations?.[SIGNATURE_ANNOTATION];
			if (layer.mediaType !== SIMPLE_SIGNING || signature === undefined) continue;
			if (layer.size > MAX_PAYLOAD_BYTES || ++found > MAX_SIGNATURES) continue;
			const source = `signature ${layer.digest}`;
			const payload = await readVerifiedBlob(fetchBlob({ registry, descriptor: layer }), layer, source);
			yield { payload, signature: Buffer.from(signature, "base64") };
		}
	}
}

async function* signatureManifests(registry: Registry, digest: string): AsyncGenerator<OciManifest> {
	const tagged = await manifestIfThere(registry, `${digest.replace(":", "-")}.sig`);
	if (tagged) yield tagged;
	for (const referrer of await referrers(registry, digest)) {
		const manifest = await manifestIfThere(registry, referrer.digest);
		if (manifest) yield manifest;
	}
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

/** Registries before OCI 1.1 have no list of referrers. */
async function referrers(registry: Registry, digest: string): Promise<readonly OciDescriptor[]> {
	try {
		const bytes = await registry.withEndpoint(async ({ get }) =>
			readBody(await get(`referrers/${digest}`, { Accept: OCI_INDEX }), MAX_INDEX_BYTES),
		);
		const document = parseOciDocument(bytes, `referrers of ${digest}`, OCI_INDEX);
		const entries = document.type === "index" ? document.index.manifests : [];
		return entries.filter((entry) => entry.artifactType === SIGNATURE_ARTIFACT).slice(0, MAX_REFERRERS);
	} catch (error) {
		// What an old registry answers is of no kind in particular.
		if (isErrno(error, "registry-not-found", "http-status", "json-invalid", "oci-invalid")) return [];
		throw error;
	}
}
