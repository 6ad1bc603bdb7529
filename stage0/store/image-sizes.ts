import type { ImageRecord } from "./image-record.ts";
import type { LayerInfo } from "./layer-presence.ts";

/** What an image takes of the disk, in bytes. */
export interface ImageSizes {
	/** Archive, layers and the tree rendered from them. */
	readonly total: number;
	/** Of these, what other images have too: it stays when this one is removed. */
	readonly shared: number;
	/** Bottom first; empty for an image that is one archive. */
	readonly layers: readonly LayerSize[];
}

export interface LayerSize {
	readonly diffId: string;
	readonly size: number;
	/** Keys of the other images with this layer. */
	readonly sharedBy: readonly string[];
}

/** Of a layer: its files, or its archive until they are unpacked. */
export function sizeOnDisk(info: LayerInfo | undefined): number {
	return info === undefined ? 0 : info.size || info.tarSize;
}

/** The sizes of all images of a store by key. `sizeOfLayer` is asked once for each layer. */
export function measureImages(
	records: readonly ImageRecord[],
	sizeOfLayer: (diffId: string) => number,
): Map<string, ImageSizes> {
	const users = new Map<string, string[]>();
	for (const { key, layers = [] } of records) {
		for (const diffId of new Set(layers)) {
			const known = users.get(diffId);
			if (known === undefined) users.set(diffId, [key]);
			else known.push(key);
		}
	}
	const sizes = new Map([...users.keys()].map((diffId) => [diffId, sizeOfLayer(diffId)]));
	return new Map(records.map((record) => [record.key, measureImage(record, users, sizes)]));
}

function measureImage(
	{ key, layers, size, treeStoreSize }: ImageRecord,
	users: ReadonlyMap<string, readonly string[]>,
	sizes: ReadonlyMap<string, number>,
): ImageSizes {
	if (layers === undefined) return { total: size + treeStoreSize, shared: 0, layers: [] };
	const measured = layers.map((diffId) => ({
		diffId,
		size: sizes.get(diffId) ?? 0,
		sharedBy: (users.get(diffId) ?? []).filter((user) => user !== key),
	}));
	// A layer that an image has twice lies on the disk once.
	const distinct = [...new Map(measured.map((layer) => [layer.diffId, layer])).values()];
	const sum = (list: readonly LayerSize[]): number =>
		list.reduce((total, { size: bytes }) => total + bytes, 0);
	return {
		total: sum(distinct) + treeStoreSize,
		shared: sum(distinct.filter(({ sharedBy }) => sharedBy.length > 0)),
		layers: measured,
	};
}
