import type { OciDescriptor } from "../../appc/oci/descriptor.ts";
import { parseOciImageConfig } from "../../appc/oci/image-config.ts";
import { MAX_OCI_MANIFEST_BYTES, type OciManifest } from "../../appc/oci/manifest.ts";
import { DOCKER_CONFIG, layerCompression, OCI_CONFIG } from "../../appc/oci/media-types.ts";
import { quote } from "../../appc/types/quote.ts";
import { fail } from "../../lib/errors.ts";
import type { OciImage, OciLayer, OciReference } from "./image-source.ts";
import { readVerifiedBlob, verifiedBlob } from "./verified-blob.ts";

/** Where the blobs of an image are. What it gives is checked by the caller. */
export interface BlobSource {
	open(descriptor: OciDescriptor): AsyncIterable<Buffer>;
	close(): Promise<void>;
}

export interface ManifestOfImage {
	readonly source: string;
	readonly reference: OciReference | undefined;
	readonly manifest: OciManifest;
	readonly manifestDigest: string;
	readonly manifestText: string;
}

/**
 * Reads the configuration and checks that manifest and configuration fit together. Closes `blobs` when they do not.
 * Errors: `oci-not-an-image`, `oci-without-layers`, `oci-invalid`, `oci-layer-foreign`, `oci-layer-unsupported`, those
 * of {@link verifiedBlob}.
 */
export async function loadOciImage(of: ManifestOfImage, blobs: BlobSource): Promise<OciImage> {
	try {
		const { source, reference, manifest, manifestDigest, manifestText } = of;
		checkIsImage(manifest, source);
		const what = `configuration ${manifest.config.digest} of ${source}`;
		const configBytes = await readVerifiedBlob(blobs.open(manifest.config), manifest.config, what);
		const config = parseOciImageConfig(configBytes, what);
		const layers = joinLayers(manifest, config.rootfs.diff_ids, source);
		return {
			source,
			reference,
			manifestDigest,
			manifestText,
			configDigest: manifest.config.digest,
			config,
			configText: configBytes.toString("utf8"),
			layers,
			openLayer: (index) => openLayer(layers, index, blobs, source),
			close: () => blobs.close(),
		};
	} catch (error) {
		await blobs.close();
		throw error;
	}
}

function checkIsImage(manifest: OciManifest, source: string): void {
	const { mediaType, size } = manifest.config;
	if (mediaType !== OCI_CONFIG && mediaType !== DOCKER_CONFIG) {
		fail("oci-not-an-image", `${source}: it is no image, but an artifact of type ${quote(mediaType)}`, {
			hint: "registries keep other things than images too; check the name and the tag",
		});
	}
	if (size > MAX_OCI_MANIFEST_BYTES) {
		fail(
			"oci-invalid",
			`${source}: a configuration of ${size} bytes, at most ${MAX_OCI_MANIFEST_BYTES} are read`,
		);
	}
	for (const layer of manifest.layers) layerCompression(layer.mediaType, source);
	if (manifest.layers.length === 0) {
		fail("oci-without-layers", `${source}: the image has no layer, so there is no file to run`, {
			hint: "check how the image was made",
		});
	}
}

function joinLayers(manifest: OciManifest, diffIds: readonly string[], source: string): OciLayer[] {
	if (diffIds.length !== manifest.layers.length) {
		const counts = `${manifest.layers.length} layers, but its configuration ${diffIds.length}`;
		fail("oci-invalid", `${source}: the manifest has ${counts}`, { hint: "the image has to be made anew" });
	}
	return manifest.layers.map((descriptor, index) => ({ descriptor, diffId: diffIds[index] as string }));
}

function openLayer(
	layers: readonly OciLayer[],
	index: number,
	blobs: BlobSource,
	source: string,
): AsyncIterable<Buffer> {
	const layer = layers[index];
	if (!layer) throw new RangeError(`there is no layer ${index} of ${source}`);
	const { descriptor } = layer;
	return verifiedBlob(blobs.open(descriptor), descriptor, `layer ${descriptor.digest} of ${source}`);
}
