import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { listDirectory, readTextIfExists } from "../../lib/files.ts";
import { appTreeStoreIdPath, stage1TreeStoreIdPath } from "../../stage1/pod-paths.ts";

/** The trees that a pod is mounted from, each once: that of stage1 and, unless it was copied, those of its apps. */
export function treesOfPod(pod: string): string[] {
	const files = [
		stage1TreeStoreIdPath(pod),
		...listDirectory(path.join(pod, "appsinfo")).map((app) => appTreeStoreIdPath(pod, app)),
	];
	return [...new Set(files.flatMap((file) => readTextIfExists(file)?.trim() || []))];
}

/** The id of a tree that a pod has recorded. Error `pod-damaged`. */
export function readTreeId(file: string): string {
	const text = readTextIfExists(file)?.trim() ?? "";
	if (/^deps-sha512-[0-9a-f]{1,128}$/.test(text)) return text;
	return fail("pod-damaged", `${file} holds no tree id`, { hint: "remove the pod with rkt rm" });
}
