import * as z from "zod/mini";
import { parseJson } from "../../lib/json.ts";
import { checkSchema, type SchemaRefusal } from "../schema/read-schema.ts";
import { once } from "../schema/schema-kit.ts";
import { digestParts } from "./digest.ts";

/** Layer and artifact type of what cosign 3 puts beside an image. */
export const SIGSTORE_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
/** Annotation that tells what a bundle states without reading it. */
export const PREDICATE_ANNOTATION = "dev.sigstore.bundle.predicateType";
/** The statement "I sign this image"; others are about how it was made or what is in it. */
export const SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1";

export const MAX_BUNDLE_BYTES = 256 * 1024;

const bundleSchema = once(() =>
	z.object({
		dsseEnvelope: z.object({
			payload: z.string(),
			payloadType: z.literal("application/vnd.in-toto+json"),
			signatures: z.array(z.object({ sig: z.string() })).check(z.minLength(1), z.maxLength(1)),
		}),
	}),
);

const statementSchema = once(() =>
	z.object({
		_type: z.string().check(z.regex(/^https:\/\/in-toto\.io\/Statement\/v(?:0\.1|1)$/)),
		subject: z.array(z.object({ digest: z.record(z.string(), z.string()) })),
		predicateType: z.string(),
	}),
);

const REFUSAL: SchemaRefusal = { code: "oci-invalid", hint: "the image has to be signed anew" };

/** A signed statement, not yet verified. */
export interface SigstoreEnvelope {
	/** What the signature is over. */
	readonly signed: Buffer;
	readonly signature: Buffer;
	/** The statement inside. */
	readonly payload: Buffer;
}

/**
 * The envelope (DSSE version 1) of a Sigstore bundle of version 0.3. Certificates and log entries in the bundle are not
 * looked at. Errors: `json-invalid`, `oci-invalid`.
 */
export function readSigstoreBundle(bytes: Uint8Array, source: string): SigstoreEnvelope {
	const document = parseJson(bytes, source, { maxBytes: MAX_BUNDLE_BYTES });
	const { dsseEnvelope } = checkSchema(document, source, bundleSchema(), "", REFUSAL);
	const { payloadType, signatures } = dsseEnvelope;
	const payload = Buffer.from(dsseEnvelope.payload, "base64");
	const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `;
	return {
		signed: Buffer.concat([Buffer.from(head), payload]),
		signature: Buffer.from(signatures[0]?.sig ?? "", "base64"),
		payload,
	};
}

/**
 * What is wrong with a statement for the manifest of this digest; undefined when it signs it. Statements name no
 * repository and no tag. Errors: `json-invalid`, `oci-invalid`.
 */
export function statementProblem(payload: Uint8Array, digest: string, source: string): string | undefined {
	const document = parseJson(payload, source, { maxBytes: MAX_BUNDLE_BYTES });
	const { subject, predicateType } = checkSchema(document, source, statementSchema(), "", REFUSAL);
	if (predicateType !== SIGN_PREDICATE) return "it is a statement about the image, but does not sign it";
	const { algorithm, hex } = digestParts(digest);
	const named = subject.some(
		(entry) => Object.hasOwn(entry.digest, algorithm) && entry.digest[algorithm] === hex,
	);
	return named ? undefined : "it is for another manifest";
}
