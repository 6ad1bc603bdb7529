import { fail } from "../../lib/errors.ts";

const DIFF_ID = /^sha256:([0-9a-f]{64})$/;

/** Most layers of one image: overlayfs takes 500 lower directories, docker makes up to 127 layers. */
export const MAX_LAYERS = 256;

/** True for a list as a record may have it, which any member of the store's group can write. */
export function isLayerList(value: unknown): value is readonly string[] {
	return Array.isArray(value) && value.every((diffId) => typeof diffId === "string" && DIFF_ID.test(diffId));
}

/** The digits of a diff ID, which is safe as a file name. Errors: `layer-id-invalid`. */
export function layerHex(diffId: string): string {
	const hex = DIFF_ID.exec(diffId)?.[1];
	if (hex !== undefined) return hex;
	return fail("layer-id-invalid", `${JSON.stringify(diffId)} is no diff ID of a layer`, {
		hint: "the image must be made anew: its configuration has to name each layer as sha256: and 64 lower-case hexadecimal digits",
	});
}
