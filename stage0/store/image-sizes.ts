import { RktError } from "../../lib/errors.ts";
import type { ImageRecord } from "./image-record.ts";
import type { Store } from "./store.ts";
import type { RenderedTree } from "./tree-store.ts";

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

/** The sizes of `records`, which are all of a store, by key. Of a layer count its files, or its archive until they are unpacked. */
export function measureStore(store: Store, records: readonly ImageRecord[]): Map<string, ImageSizes> {
	return measureImages(records, {
		layer: (diffId) => {
			const info = store.layerInfo(diffId);
			return info === undefined ? 0 : info.size || info.tarSize;
		},
		tree: (record) => {
			const tree = findTree(store, record);
			return tree === undefined ? record.treeStoreSize : store.treeSize(tree.treeId);
		},
	});
}

/** The tree of an image, there or not. Undefined for who is not root, and for an image that lacks a dependency. */
export function findTree(
	store: Store,
	{ key }: ImageRecord,
): (RenderedTree & { readonly rendered: boolean }) | undefined {
	if (process.geteuid?.() !== 0) return undefined;
	try {
		return store.treeOf(key);
	} catch (error) {
		if (error instanceof RktError) return undefined;
		throw error;
	}
}

export interface PartSizes {
	/** Asked once for each layer. */
	layer(diffId: string): number;
	tree(record: ImageRecord): number;
}

/** The sizes of images by key. */
export function measureImages(records: readonly ImageRecord[], parts: PartSizes): Map<string, ImageSizes> {
	const users = new Map<string, string[]>();
	for (const { key, layers = [] } of records) {
		for (const diffId of new Set(layers)) {
			const known = users.get(diffId);
			if (known === undefined) users.set(diffId, [key]);
			else known.push(key);
		}
	}
	const sizes = new Map([...users.keys()].map((diffId) => [diffId, parts.layer(diffId)]));
	return new Map(
		records.map((record) => [record.key, measureImage(record, parts.tree(record), users, sizes)]),
	);
}

function measureImage(
	{ key, layers, size }: ImageRecord,
	treeSize: number,
	users: ReadonlyMap<string, readonly string[]>,
	sizes: ReadonlyMap<string, number>,
): ImageSizes {
	if (layers === undefined) return { total: size + treeSize, shared: 0, layers: [] };
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
		total: sum(distinct) + treeSize,
		shared: sum(distinct.filter(({ sharedBy }) => sharedBy.length > 0)),
		layers: measured,
	};
}
