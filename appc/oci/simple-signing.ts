import * as z from "zod/mini";
import { parseJson } from "../../lib/json.ts";
import { checkSchema, type SchemaRefusal } from "../schema/read-schema.ts";
import { once } from "../schema/schema-kit.ts";
import { parseNamedReference, type RegistryReference } from "./reference.ts";

/** Layer of an image of signatures: the text that is signed. */
export const SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json";
/** Annotation of such a layer: the signature in base64. */
export const SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature";
/** Artifact type of signatures that refer to an image (OCI 1.1). */
export const SIGNATURE_ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json";

export const MAX_PAYLOAD_BYTES = 64 * 1024;

const payloadSchema = once(() =>
	z.object({
		critical: z.object({
			type: z.literal("cosign container image signature"),
			image: z.object({ "docker-manifest-digest": z.string() }),
			identity: z.object({ "docker-reference": z.string() }),
		}),
	}),
);

/** What a signature says. */
export interface SignedClaim {
	/** Of the manifest or index. */
	readonly digest: string;
	/** The image's name as it was signed. */
	readonly reference: string;
}

const REFUSAL: SchemaRefusal = { code: "oci-invalid", hint: "the image has to be signed anew" };

/** Reads a payload (containers/image, "signature-protocols: simple signing"; cosign, SPEC.md). Errors: `json-invalid`, `oci-invalid`. */
export function parseSignedClaim(bytes: Uint8Array, source: string): SignedClaim {
	const document = parseJson(bytes, source, { maxBytes: MAX_PAYLOAD_BYTES });
	const { image, identity } = checkSchema(document, source, payloadSchema(), "", REFUSAL).critical;
	return { digest: image["docker-manifest-digest"], reference: identity["docker-reference"] };
}

/**
 * What is wrong with a claim for the image of this name and digest; undefined when it fits. The repository must be the
 * same. A tag in the claim must be the one that was asked for, unless a digest was asked for; cosign itself writes none.
 */
export function claimProblem(
	claim: SignedClaim,
	digest: string,
	wanted: RegistryReference,
): string | undefined {
	if (claim.digest !== digest) return `it is for the manifest ${claim.digest}`;
	const signed = parseNamedReference(claim.reference);
	if (typeof signed === "string") return "the name in it is not one of an image";
	if (signed.registry !== wanted.registry || signed.repository !== wanted.repository) {
		return `it is for ${signed.registry}/${signed.repository}`;
	}
	if (signed.digest !== undefined && signed.digest !== digest) return `it is for the digest ${signed.digest}`;
	if (signed.tag !== undefined && wanted.tag !== undefined && signed.tag !== wanted.tag) {
		return `it is for the tag ${signed.tag}`;
	}
	return undefined;
}
