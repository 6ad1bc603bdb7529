import * as path from "node:path";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { createImageStore, type ImageStore } from "./image-store.ts";
import { createLayerStore, type LayerStore } from "./layer-store.ts";
import { storeLayout } from "./layout.ts";
import { createTreeStore, type TreeStore } from "./tree-store.ts";

/** Images, the layers of those that have any, and the root file systems rendered from them. */
export interface Store extends ImageStore, LayerStore, TreeStore {}

/** Opens the store below a data directory. Nothing is read or made before it is needed. */
export function openStore(dataDirectory: string, syscall: Syscall): Store {
	const layout = storeLayout(path.resolve(dataDirectory));
	return {
		...createImageStore(layout, syscall),
		...createLayerStore(layout, syscall),
		...createTreeStore(layout, syscall),
	};
}
