import { createHash } from "node:crypto";
import type { OciDescriptor } from "../../appc/oci/descriptor.ts";
import { digestParts } from "../../appc/oci/digest.ts";
import { fail } from "../../lib/errors.ts";

/** What a blob must be. */
export type Expected = Pick<OciDescriptor, "digest" | "size">;

/**
 * The same bytes, ended with an error when they are not those that are expected: at the first byte too many, else after
 * the last one. Errors: `oci-size-mismatch`, `oci-digest-mismatch`, which name `source`.
 */
export async function* verifiedBlob(
	chunks: AsyncIterable<Buffer>,
	{ digest, size }: Expected,
	source: string,
): AsyncGenerator<Buffer> {
	const hash = createHash(digestParts(digest).algorithm);
	let seen = 0;
	for await (const chunk of chunks) {
		seen += chunk.length;
		if (seen > size) refuseSize(source, `more than the ${size} bytes that were announced`);
		hash.update(chunk);
		yield chunk;
	}
	if (seen < size) refuseSize(source, `${seen} bytes, but ${size} were announced`);
	checkDigest(hash.digest("hex"), digest, source);
}

/** All of a small blob. `size` of the descriptor bounds what is read. */
export async function readVerifiedBlob(
	chunks: AsyncIterable<Buffer>,
	expected: Expected,
	source: string,
): Promise<Buffer> {
	const parts: Buffer[] = [];
	for await (const chunk of verifiedBlob(chunks, expected, source)) parts.push(chunk);
	return Buffer.concat(parts);
}

/** Errors: `oci-digest-mismatch`. */
export function verifyBytes(bytes: Uint8Array, digest: string, source: string): void {
	checkDigest(createHash(digestParts(digest).algorithm).update(bytes).digest("hex"), digest, source);
}

export function sha256Digest(bytes: Uint8Array): string {
	return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function checkDigest(hex: string, digest: string, source: string): void {
	const { algorithm, hex: expected } = digestParts(digest);
	if (hex === expected) return;
	fail("oci-digest-mismatch", `${source}: its digest is ${algorithm}:${hex}, but must be ${digest}`, {
		hint: "the content was changed or damaged on its way: try again, and tell whoever keeps it",
	});
}

function refuseSize(source: string, problem: string): never {
	return fail("oci-size-mismatch", `${source}: ${problem}`, {
		hint: "the content was changed or damaged on its way: try again, and tell whoever keeps it",
	});
}
