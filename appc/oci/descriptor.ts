import * as z from "zod/mini";
import { integer, once, plainText, text } from "../schema/schema-kit.ts";

/** `sha256:` or `sha512:` and the digest in lower-case hexadecimal digits: safe as a file name once the colon is gone. */
export type OciDigest = string;

const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;
const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/;
const MAX_REMOTE_BYTES = 2 ** 40;

/** True for a digest with one of the two registered algorithms (OCI image specification 1.1, Digests). */
export function isOciDigest(value: string): value is OciDigest {
	return DIGEST.test(value);
}

/** A name of `createHash` and the digits, from a valid digest. */
export function digestParts(digest: OciDigest): {
	readonly algorithm: "sha256" | "sha512";
	readonly hex: string;
} {
	return digest.startsWith("sha512:")
		? { algorithm: "sha512", hex: digest.slice("sha512:".length) }
		: { algorithm: "sha256", hex: digest.slice("sha256:".length) };
}

export const ociDigest = once(() =>
	text(isOciDigest, 'must be "sha256:" and 64, or "sha512:" and 128, lower-case hexadecimal digits'),
);

export const mediaType = once(() =>
	text((value) => MEDIA_TYPE.test(value), "must be a media type, TYPE/SUBTYPE"),
);

/** Values of annotations are strings; other members are of no use to rkt. */
export const ociAnnotations = once(() => z.record(z.string(), plainText()));

const platform = once(() =>
	z.object({
		architecture: plainText(),
		os: plainText(),
		variant: z.optional(plainText()),
		"os.version": z.optional(plainText()),
	}),
);

/** Says what a blob or manifest must be (OCI image specification 1.1, Content Descriptors). */
export const ociDescriptor = once(() =>
	z.object({
		mediaType: mediaType(),
		digest: ociDigest(),
		/** Bytes. */
		size: integer(0, MAX_REMOTE_BYTES),
		annotations: z.optional(ociAnnotations()),
		platform: z.optional(platform()),
		artifactType: z.optional(plainText()),
	}),
);

export type OciDescriptor = z.infer<ReturnType<typeof ociDescriptor>>;
export type OciPlatform = z.infer<ReturnType<typeof platform>>;
