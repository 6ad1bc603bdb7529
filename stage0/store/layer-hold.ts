import * as fs from "node:fs";
import { isErrno } from "../../lib/errors.ts";
import { LOCK_SH, type Syscall } from "../../lib/syscall/syscall.ts";
import type { StoreLayout } from "./layout.ts";

/**
 * Keeps the collector away from layers that no image names yet. The lock is held while any layer is needed, at the
 * longest until the process ends.
 */
export interface LayerHold {
	take(layers: readonly string[]): void;
	drop(layers: readonly string[]): void;
}

export function createLayerHold(layout: StoreLayout, syscall: Syscall): LayerHold {
	const needed = new Set<string>();
	let fd: number | undefined;
	return {
		take: (layers) => {
			for (const layer of layers) needed.add(layer);
			if (fd !== undefined) return;
			const flags = fs.constants.O_RDONLY | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW;
			const opened = openLock(layout.layersInUse, flags);
			if (opened === undefined) return;
			try {
				syscall.flock(opened, LOCK_SH);
			} catch (error) {
				fs.closeSync(opened);
				throw error;
			}
			fd = opened;
		},
		drop: (layers) => {
			for (const layer of layers) needed.delete(layer);
			if (needed.size > 0 || fd === undefined) return;
			fs.closeSync(fd);
			fd = undefined;
		},
	};
}

/** Where nothing can be written, nothing is collected either. */
function openLock(file: string, flags: number): number | undefined {
	try {
		return fs.openSync(file, flags, 0o660);
	} catch (error) {
		if (isErrno(error, "EACCES", "EROFS")) return undefined;
		throw error;
	}
}
