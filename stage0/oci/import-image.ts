import { imageManifestOf } from "../../appc/oci/convert.ts";
import { serializeManifest } from "../../appc/schema/serialize.ts";
import { crashPoint } from "../../lib/crash-point.ts";
import type { Log } from "../../lib/log.ts";
import type { ImageRecord } from "../store/image-record.ts";
import { checkLayerList } from "../store/layer-chain.ts";
import type { Store } from "../store/store.ts";
import type { OciImage } from "./image-source.ts";
import { importLayers } from "./import-layers.ts";

export interface ImportOciOptions {
	readonly store: Store;
	readonly log: Log;
	/** For the progress line; absent for images that are not downloaded. */
	readonly label?: string | undefined;
	/** It is what its name means without a version. */
	readonly latest: boolean;
	/** No signature was checked. */
	readonly insecure: boolean;
	/** Who signed it, as in {@link ImageRecord}. */
	readonly signer?: string | undefined;
}

/** Makes an OCI image an image of the store: its layers, then the manifest that is made from it, then the record. */
export async function importOciImage(image: OciImage, options: ImportOciOptions): Promise<ImageRecord> {
	const { store, log, latest, insecure, signer } = options;
	const manifest = imageManifestOf(image, (line) => log.info(`${image.source}: ${line}`));
	const manifestText = serializeManifest(manifest);
	const layers = image.layers.map(({ diffId }) => diffId);
	checkLayerList(manifestText, layers, image.source);
	await importLayers(image, options);
	crashPoint("oci-layers-there");
	return store.importLayered({
		manifest,
		manifestText,
		layers,
		source: image.source,
		latest,
		insecure,
		signer,
	});
}
