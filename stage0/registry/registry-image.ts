import type { OciDescriptor } from "../../appc/oci/descriptor.ts";
import { formatRegistryReference, type RegistryReference } from "../../appc/oci/reference.ts";
import { acquireSlot, type SlotOptions } from "../fetch/download-slot.ts";
import { type ChosenManifest, chooseManifest, type RawDocument } from "../oci/choose-manifest.ts";
import type { OciImage } from "../oci/image-source.ts";
import { loadOciImage } from "../oci/load-image.ts";
import { fetchBlob, isBroken } from "./fetch-blob.ts";
import { fetchManifestEntry } from "./fetch-manifest.ts";
import type { Registry } from "./registry.ts";

/** The manifest for this machine, from what a reference means on. Errors: those of {@link chooseManifest}. */
export function choosePlatformManifest(
	registry: Registry,
	reference: RegistryReference,
	top: RawDocument,
): Promise<ChosenManifest> {
	return chooseManifest(top, (entry) => fetchManifestEntry(registry, entry), sourceOf(reference));
}

/**
 * A smaller layer is sooner downloaded again than it is written to the disk. Of one that is as large, a killed download
 * leaves its part.
 */
const KEPT_BYTES = 32 * 1024 * 1024;

/**
 * The image of a manifest. `slots` is where layers of `keptBytes` and more are while they are downloaded.
 * Errors: those of {@link loadOciImage}.
 */
export function openRegistryImage(
	registry: Registry,
	reference: RegistryReference,
	{ manifest, document }: ChosenManifest,
	slots: SlotOptions,
	keptBytes: number = KEPT_BYTES,
): Promise<OciImage> {
	const opened = new Set<string>();
	const open = (descriptor: OciDescriptor) => {
		if (descriptor === manifest.config) return fetchBlob({ registry, descriptor });
		// It is asked for again because it was wrong, and a mirror may be why.
		if (opened.has(descriptor.digest)) registry.leaveMirrors();
		opened.add(descriptor.digest);
		if (descriptor.size < keptBytes) return fetchBlob({ registry, descriptor });
		return fetchThroughSlot(registry, descriptor, slots);
	};
	return loadOciImage(
		{
			source: sourceOf(reference),
			reference,
			manifest,
			manifestDigest: document.digest,
			manifestText: document.bytes.toString("utf8"),
		},
		{ open, close: async () => {} },
	);
}

function sourceOf(reference: RegistryReference): string {
	return `docker://${formatRegistryReference(reference)}`;
}

/** A blob that was broken off stays where the next attempt finds it; one that is whole or wrong does not. */
async function* fetchThroughSlot(
	registry: Registry,
	descriptor: OciDescriptor,
	slots: SlotOptions,
): AsyncGenerator<Buffer> {
	const slot = await acquireSlot(`oci-blob:${descriptor.digest}`, slots);
	let keep = false;
	try {
		yield* fetchBlob({ registry, descriptor, slot });
	} catch (error) {
		keep = isBroken(error);
		throw error;
	} finally {
		if (keep) slot.keep();
		else slot.discard();
	}
}
