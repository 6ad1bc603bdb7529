import { createRequire } from "node:module";
import * as path from "node:path";
import { lstatIfExists } from "../../lib/files.ts";
import type { Stage1Module } from "../../stage1/entrypoints.ts";
import type { Stage1OfPod } from "./stage1-of-pod.ts";

/**
 * The stage1 image's own code as a module in this process, which saves the start of a second Node; undefined
 * when the image has none. It comes from the read-only tree store, as the executables do.
 */
export function loadStage1Module(stage1: Stage1OfPod): Stage1Module | undefined {
	const inside = stage1.entrypoints.module;
	if (inside === undefined) return undefined;
	const file = path.join(stage1.rootfs, inside);
	if (!lstatIfExists(file)?.isFile()) return undefined;
	const loaded = createRequire(__filename)(file) as Partial<Stage1Module>;
	return typeof loaded.main === "function" ? (loaded as Stage1Module) : undefined;
}
