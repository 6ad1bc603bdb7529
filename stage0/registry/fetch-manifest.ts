import type { OciDescriptor } from "../../appc/oci/descriptor.ts";
import { isOciDigest } from "../../appc/oci/digest.ts";
import { MAX_OCI_MANIFEST_BYTES } from "../../appc/oci/manifest.ts";
import {
	DOCKER_MANIFEST,
	DOCKER_MANIFEST_LIST,
	isIndexType,
	isManifestType,
	isSchema1Type,
	OCI_INDEX,
	OCI_MANIFEST,
} from "../../appc/oci/media-types.ts";
import { type HttpResponse, readBody } from "../fetch/http-client.ts";
import { type RawDocument, rawDocument } from "../oci/choose-manifest.ts";
import { verifyBytes } from "../oci/verified-blob.ts";
import type { Registry } from "./registry.ts";

const ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST].join(", ");

/**
 * The manifest or index that a tag or digest means. A digest in the request must be that of the answer; one that the
 * server names must be, too. Errors: `oci-digest-mismatch`, `response-too-large`, those of {@link Registry}.
 */
export function fetchManifest(registry: Registry, tagOrDigest: string): Promise<RawDocument> {
	return registry.withEndpoint(async ({ get, endpoint }) => {
		const response = await get(`manifests/${tagOrDigest}`, { Accept: ACCEPT });
		const bytes = await readBody(response, MAX_OCI_MANIFEST_BYTES);
		const source = `${endpoint.host}/${endpoint.repository}/manifests/${tagOrDigest}`;
		const named = response.headers["docker-content-digest"];
		if (typeof named === "string" && isOciDigest(named)) verifyBytes(bytes, named, source);
		const document = rawDocument(bytes, announcedType(response));
		if (!isOciDigest(tagOrDigest)) return document;
		verifyBytes(bytes, tagOrDigest, source);
		return { ...document, digest: tagOrDigest };
	});
}

/** A document that an index names. */
export async function fetchManifestEntry(registry: Registry, { digest }: OciDescriptor): Promise<Buffer> {
	return (await fetchManifest(registry, digest)).bytes;
}

/** Registries that know nothing better say that a manifest is JSON or text, which says nothing. */
function announcedType({ headers }: HttpResponse): string {
	const type = (headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
	return isManifestType(type) || isIndexType(type) || isSchema1Type(type) ? type : "";
}
