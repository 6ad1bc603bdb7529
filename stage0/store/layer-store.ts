import type { ImageManifest } from "../../appc/schema/image-manifest.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { ImageRecord } from "./image-record.ts";
import { createLayerHold } from "./layer-hold.ts";
import { hasLayer, type LayerInfo, readLayerInfo } from "./layer-presence.ts";
import type { StoreLayout } from "./layout.ts";

/** A layer of an OCI image, wherever it comes from. */
export interface LayerSource {
	/** `sha256:` and the SHA-256 of the uncompressed archive in hex. */
	readonly diffId: string;
	/** As its descriptor says. The content decides: real images are not always right. */
	readonly mediaType?: string;
	/** For messages. */
	readonly source: string;
	/** What {@link LayerSource.open} checks the bytes against: they end with an error when they have another digest. */
	readonly checkedDigest?: string;
	/** The bytes as they are stored there, compressed or not. Called at most once, when the layer is wanted. */
	open(): AsyncIterable<Buffer>;
}

/** An OCI image whose layers are in the store. */
export interface LayeredImage {
	readonly manifest: ImageManifest;
	/** What is stored, and hashed for the image ID. It names the layers in an annotation. */
	readonly manifestText: string;
	/** Diff IDs, bottom first. */
	readonly layers: readonly string[];
	/** A URL or path, for messages and the record. */
	readonly source: string;
	/** It is what `latest` means. */
	readonly latest: boolean;
	/** No signature was checked. */
	readonly insecure: boolean;
	/** Who signed it, as in {@link ImageRecord}. */
	readonly signer?: string | undefined;
}

/** Layers of OCI images, `<data>/cas/layer`: each unpacked once, whatever number of images has it. */
export interface LayerStore {
	/** Of one that is there, the collector keeps off from then on, as after {@link LayerStore.ensureLayer}. */
	hasLayer(diffId: string): boolean;
	/** Undefined when the layer is not there. */
	layerInfo(diffId: string): LayerInfo | undefined;
	/**
	 * Sees to it that a layer is there: of several callers, in whatever process, one reads and unpacks it, and the others
	 * wait. From then on until {@link LayerStore.importLayered} the collector leaves the layer alone. Who is not root keeps the archive instead, which root
	 * unpacks later.
	 * Errors: `layer-digest-mismatch`, those of `readLayer`, `tree-not-written`, `disk-full`, `data-directory-unusable`.
	 */
	ensureLayer(layer: LayerSource): Promise<void>;
	/**
	 * Makes an image of layers that are there, and gives its record.
	 * Errors: `layers-invalid`, `layer-missing`, `disk-full`, `data-directory-unusable`.
	 */
	importLayered(image: LayeredImage): Promise<ImageRecord>;
}

export function createLayerStore(layout: StoreLayout, syscall: Syscall): LayerStore {
	const hold = createLayerHold(layout, syscall);
	return {
		hasLayer: (diffId) => {
			if (!hasLayer(layout, diffId)) return false;
			hold.take([diffId]);
			return hasLayer(layout, diffId);
		},
		layerInfo: (diffId) => readLayerInfo(layout, diffId),
		ensureLayer: async (layer) => {
			const { ensureLayer } = await import("./ensure-layer.ts");
			await ensureLayer(layout, syscall, hold, layer);
		},
		importLayered: async (image) => {
			const { importLayered } = await import("./import-layered.ts");
			return importLayered(layout, syscall, hold, image);
		},
	};
}
