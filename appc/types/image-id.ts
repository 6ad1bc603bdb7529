import { fail } from "../../lib/errors.ts";
import { quote } from "./quote.ts";

/** `sha512-` and the 128 lower-case hexadecimal digits of the SHA-512 over the uncompressed archive (appc 0.8.11, Image ID). */
export type ImageID = string;

const PREFIX = "sha512-";
const DIGITS = 128;
/** rkt resolves a prefix of the image ID from this many digits on. */
export const SHORTEST_IMAGE_ID_DIGITS = 2;

export function isImageID(text: string): text is ImageID {
	return /^sha512-[0-9a-f]{128}$/.test(text);
}

/** True for an image ID in full or cut short; upper-case digits are accepted. */
export function isImageIDPrefix(text: string): boolean {
	return /^sha512-[0-9a-fA-F]{2,128}$/.test(text);
}

/** The image ID itself. Errors: `image-id-invalid`. */
export function checkImageID(text: string): ImageID {
	return isImageID(text)
		? text
		: refuseID(text, `must be "${PREFIX}" and ${DIGITS} lower-case hexadecimal digits`);
}

/**
 * An image ID, or the beginning of one, as it stands in file names: lower-case. Errors: `image-id-invalid` with the
 * reason, which is what `rkt` prints for a bad hash.
 */
export function normalizeImageIDPrefix(text: string): string {
	if (isImageIDPrefix(text)) return text.toLowerCase();
	if (!text.startsWith(PREFIX)) return refuseID(text, `must begin with "${PREFIX}"`);
	const digits = text.slice(PREFIX.length);
	if (digits.length < SHORTEST_IMAGE_ID_DIGITS) return refuseID(text, "is too short");
	if (digits.length > DIGITS) return refuseID(text, "is too long");
	return refuseID(text, "may hold only hexadecimal digits");
}

/** Whether `id` is the one meant by `prefix`, which {@link normalizeImageIDPrefix} gave. */
export function matchesImageIDPrefix(id: ImageID, prefix: string): boolean {
	return id.startsWith(prefix);
}

/** `sha512-` and the first digits, for display; rkt shows 12, 32 or 64. */
export function shortImageID(id: ImageID, hexDigits: number): string {
	return id.slice(0, PREFIX.length + hexDigits);
}

export function imageIDFromDigest(digest: Uint8Array): ImageID {
	return PREFIX + Buffer.from(digest.buffer, digest.byteOffset, digest.length).toString("hex");
}

function refuseID(text: string, reason: string): never {
	return fail("image-id-invalid", `image ID ${quote(text)} ${reason}`, {
		hint: "`rkt image list --full` shows the IDs of the images in the store",
	});
}
