import * as path from "node:path";
import type { FetchOptions } from "./fetch-options.ts";

/** Whether fetched images are unpacked at once: when it is wanted, and root could run them with overlayfs. */
export async function canRender({ store, render }: Pick<FetchOptions, "store" | "render">): Promise<boolean> {
	if (render === false || process.geteuid?.() !== 0) return false;
	const { overlayProblem } = await import("../pod/overlay-support.ts");
	return overlayProblem(path.dirname(path.dirname(store.temporaryDirectory()))) === undefined;
}
