import * as path from "node:path";
import type { ImageManifest } from "../../appc/schema/image-manifest.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { ImageRecord } from "./image-record.ts";
import { createImageStore, type ImageStore } from "./image-store.ts";
import { storeLayout } from "./layout.ts";
import { createTreeStore, type TreeStore } from "./tree-store.ts";

/** Images and the root file systems rendered from them. */
export interface Store extends ImageStore, TreeStore, LayeredStore {}

/** Layers of OCI images. */
export interface LayeredStore {
	hasLayer(diffId: string): boolean;
	ensureLayer(layer: {
		readonly diffId: string;
		readonly mediaType: string;
		readonly source: string;
		open(): AsyncIterable<Buffer>;
	}): Promise<void>;
	importLayered(image: {
		readonly manifest: ImageManifest;
		readonly manifestText: string;
		readonly layers: readonly string[];
		readonly source: string;
		readonly latest: boolean;
		readonly insecure: boolean;
	}): Promise<ImageRecord>;
}

/** Opens the store below a data directory. Nothing is read or made before it is needed. */
export function openStore(dataDirectory: string, syscall: Syscall): Store {
	const layout = storeLayout(path.resolve(dataDirectory));
	return { ...createImageStore(layout, syscall), ...createTreeStore(layout, syscall) } as Store;
}
