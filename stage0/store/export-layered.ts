import type { Writable } from "node:stream";
import { type WrittenAci, writeAci } from "../../appc/aci/write.ts";
import { OCI_ANNOTATIONS } from "../../appc/oci/oci-annotations.ts";
import type { ImageManifest } from "../../appc/schema/image-manifest.ts";
import { serializeManifest } from "../../appc/schema/serialize.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { mergedEntries } from "./merged-entries.ts";
import type { Store } from "./store.ts";

/**
 * Writes an OCI image as one archive with an ID of its own: the files of all layers as a pod sees them, and the manifest
 * without the list of layers, which it no longer has. The same image always gives the same bytes.
 * Errors: those of `ensureTree` and of the output.
 */
export async function exportLayered(
	store: Store,
	syscall: Syscall,
	key: string,
	createOutput: () => Writable,
): Promise<WrittenAci> {
	const { lowers } = await store.ensureTree(key);
	const manifest = serializeManifest(withoutLayers(await store.manifest(key)));
	return writeAci({ manifest, rootfs: mergedEntries(lowers, syscall) }, createOutput());
}

export function withoutLayers(manifest: ImageManifest): ImageManifest {
	const annotations = manifest.annotations.filter(({ name }) => name !== OCI_ANNOTATIONS.diffIds);
	return { ...manifest, annotations };
}
