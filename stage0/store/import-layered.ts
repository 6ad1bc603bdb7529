import { createHash } from "node:crypto";
import { crashPoint } from "../../lib/crash-point.ts";
import { fail } from "../../lib/errors.ts";
import { writeFileAtomic } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { type ImageRecord, readRecord, writeRecord } from "./image-record.ts";
import { checkLayerList } from "./layer-chain.ts";
import type { LayerHold } from "./layer-hold.ts";
import { missingLayers, readLayerInfo } from "./layer-presence.ts";
import type { LayeredImage } from "./layer-store.ts";
import { createFanOut, createLayout, type StoreLayout, unusable } from "./layout.ts";
import { withLock } from "./named-lock.ts";

/** See {@link LayerStore.importLayered}. */
export async function importLayered(
	layout: StoreLayout,
	syscall: Syscall,
	hold: LayerHold,
	image: LayeredImage,
): Promise<ImageRecord> {
	const { layers, manifestText, source } = image;
	checkLayerList(manifestText, layers, source);
	createLayout(layout);
	try {
		hold.take(layers);
		const [missing] = missingLayers(layout, layers);
		if (missing !== undefined) {
			fail("layer-missing", `${source}: its layer ${missing} is not in the store`, {
				hint: "fetch the image again",
			});
		}
		const key = `sha512-${createHash("sha512").update(manifestText).digest("hex")}`;
		return await withLock(syscall, layout.imageLock(key), () => publish(layout, key, image));
	} catch (error) {
		throw unusable(error, layout.dataDirectory);
	} finally {
		hold.drop(layers);
	}
}

/** The record comes last: without it there is no image. */
function publish(layout: StoreLayout, key: string, image: LayeredImage): ImageRecord {
	const { manifest, manifestText, layers, source, latest, insecure, signer } = image;
	createFanOut(layout.manifest(key));
	writeFileAtomic(layout.manifest(key), manifestText, 0o660);
	crashPoint("import-manifest");
	const sizes = [...new Set(layers)].map((diffId) => readLayerInfo(layout, diffId)?.tarSize ?? 0);
	const record: ImageRecord = {
		key,
		name: manifest.name,
		labels: manifest.labels,
		dependencies: [],
		importTime: Date.now(),
		lastUsed: Date.now(),
		latest,
		size: sizes.reduce((sum, size) => sum + size, 0),
		treeStoreSize: readRecord(layout, key)?.treeStoreSize ?? 0,
		insecure,
		source,
		manifestHash: createHash("sha256").update(manifestText).digest("hex"),
		layers,
		...(signer === undefined ? {} : { signer }),
	};
	writeRecord(layout, record);
	crashPoint("import-record");
	return record;
}
