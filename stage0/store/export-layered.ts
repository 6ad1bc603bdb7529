import type { Writable } from "node:stream";
import { type WrittenAci, writeAci } from "../../appc/aci/write.ts";
import { OCI_ANNOTATIONS } from "../../appc/oci/oci-annotations.ts";
import type { ImageManifest } from "../../appc/schema/image-manifest.ts";
import { serializeManifest } from "../../appc/schema/serialize.ts";
import type { Store } from "./store.ts";

/**
 * Writes an OCI image as one archive with an ID of its own: the files of all layers as a pod sees them, and the manifest
 * without the list of layers, which it no longer has. The same image always gives the same bytes.
 * Errors: those of `entriesOf` and of the output.
 */
export async function exportLayered(
	store: Store,
	key: string,
	createOutput: () => Writable,
): Promise<WrittenAci> {
	const rootfs = await store.entriesOf(key);
	const manifest = serializeManifest(withoutLayers(await store.manifest(key)));
	return writeAci({ manifest, rootfs }, createOutput());
}

/** The manifest of an image that has all files of its layers itself. */
export function withoutLayers(manifest: ImageManifest): ImageManifest {
	const annotations = manifest.annotations.filter(({ name }) => name !== OCI_ANNOTATIONS.diffIds);
	return { ...manifest, annotations };
}
