import * as fs from "node:fs";
import * as path from "node:path";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { ImageRecord } from "./image-record.ts";
import type { StoreLayout } from "./layout.ts";
import { createLockedDirectory } from "./locked-directory.ts";
import { withLock } from "./named-lock.ts";
import { createTreeWriter, type TreeWriter } from "./render-tree.ts";
import { treeIdOf } from "./tree-images.ts";
import { emptyTree } from "./tree-store.ts";
import { completeTree } from "./write-tree.ts";

/** A root file system that is written while its image is still read, so that the image is read and hashed once. */
export interface EarlyTree {
	readonly writer: TreeWriter;
	/** Makes it the tree of an image without dependencies, unless there is one already. */
	adopt(record: ImageRecord): Promise<void>;
	/** Stops writing, if that goes on, and removes what was not adopted. */
	discard(): Promise<void>;
}

/** In a directory of its own, locked, so that nobody takes it for left over. */
export function beginEarlyTree(layout: StoreLayout, syscall: Syscall): EarlyTree {
	const { directory, fd } = createLockedDirectory(layout.treeDirectory, syscall);
	const writer = createTreeWriter(directory);
	return {
		writer,
		adopt: (record) => {
			const treeId = treeIdOf(layout, record);
			return withLock(syscall, layout.treeLock(treeId), async () => {
				const final = layout.tree(treeId);
				if (fs.existsSync(path.join(final, "rendered"))) return;
				emptyTree(layout, treeId);
				fs.renameSync(directory, final);
				await completeTree(layout, syscall, record, final);
			});
		},
		discard: async () => {
			await writer.abort();
			fs.rmSync(directory, { recursive: true, force: true });
			fs.closeSync(fd);
		},
	};
}
