import { fail } from "../../lib/errors.ts";
import { parseImageReference } from "../fetch/image-reference.ts";
import type { ImageStore } from "../store/image-store.ts";

/**
 * The full key of an image in the store, named by hash, beginning of a hash, or
 * `NAME[:VERSION][,LABEL=VALUE]`. Errors: `image-not-found`, `image-id-…`, `image-reference-invalid`.
 */
export function findImage(store: ImageStore, text: string): string {
	const reference = parseImageReference(text);
	if (reference.type === "hash") return store.resolveKey(reference.prefix);
	const found = reference.type === "name" ? store.find(reference.name, reference.labels) : undefined;
	if (found) return found.key;
	return fail("image-not-found", `image ${JSON.stringify(text)} is not in the store`, {
		hint: "rkt image list shows the images",
	});
}
