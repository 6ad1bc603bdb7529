import * as z from "zod/mini";
import { integer, once, plainText, text } from "../schema/schema-kit.ts";
import { isOciDigest } from "./digest.ts";

const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/;
const MAX_REMOTE_BYTES = 2 ** 40;

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
		architecture: z._default(plainText(), ""),
		os: z._default(plainText(), ""),
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
