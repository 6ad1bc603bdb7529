import { formatRegistryReference } from "../../appc/oci/reference.ts";
import { fail } from "../../lib/errors.ts";
import { type ImageReference, parseImageReference } from "../fetch/image-reference.ts";
import type { ImageRecord } from "../store/image-record.ts";
import type { ImageStore } from "../store/image-store.ts";

/**
 * The full key of an image in the store, named by hash, beginning of a hash, `NAME[:VERSION][,LABEL=VALUE]`, or by the
 * `docker://` reference that it was fetched by. Errors: `image-not-found`, `image-id-…`, `image-reference-invalid`.
 */
export function findImage(store: ImageStore, text: string): string {
	const reference = parseImageReference(text);
	if (reference.type === "hash") return store.resolveKey(reference.prefix);
	const found = findRecord(store, reference);
	if (found) return found.key;
	return fail("image-not-found", `image ${JSON.stringify(text)} is not in the store`, {
		hint: "rkt image list shows the images",
	});
}

function findRecord(store: ImageStore, reference: ImageReference): ImageRecord | undefined {
	switch (reference.type) {
		case "name":
			return store.find(reference.name, reference.labels);
		case "docker": {
			const remote = store.getRemote(`docker://${formatRegistryReference(reference.reference)}`);
			return remote && store.record(remote.key);
		}
		default:
			return undefined;
	}
}
