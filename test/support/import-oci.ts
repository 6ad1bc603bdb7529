import { imageManifestOf } from "../../appc/oci/convert.ts";
import { parseOciImageConfig } from "../../appc/oci/image-config.ts";
import { serializeManifest } from "../../appc/schema/serialize.ts";
import type { ImageRecord } from "../../stage0/store/image-record.ts";
import type { Store } from "../../stage0/store/store.ts";
import type { TestOciImage } from "./oci-image.ts";

/** Puts an image into a store as `example.com/REPOSITORY:TAG`, without a registry or a file in between. */
export async function importOci(
	store: Store,
	image: TestOciImage,
	repository: string,
	tag = "1",
): Promise<ImageRecord> {
	const source = `docker://example.com/${repository}:${tag}`;
	for (const { diffId, blob } of image.layers) {
		await store.ensureLayer({ diffId, source, open: () => oneChunk(blob) });
	}
	const manifest = imageManifestOf({
		...{ source, manifestDigest: image.manifestDigest, configDigest: image.configDigest },
		reference: { registry: "example.com", repository, tag },
		config: parseOciImageConfig(image.config, source),
	});
	return store.importLayered({
		...{ manifest, manifestText: serializeManifest(manifest), source, latest: false, insecure: true },
		layers: image.layers.map(({ diffId }) => diffId),
	});
}

async function* oneChunk(bytes: Buffer): AsyncGenerator<Buffer> {
	yield bytes;
}
