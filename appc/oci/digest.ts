/** `sha256:` or `sha512:` and the digest in lower-case hexadecimal digits: safe as a file name once the colon is gone. */
export type OciDigest = string;

const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

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
