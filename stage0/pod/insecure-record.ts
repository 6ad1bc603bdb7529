import { readTextIfExists, replaceFile } from "../../lib/files.ts";
import type { RunOptions } from "../../stage1/arguments.ts";
import { insecureOptionsPath } from "../../stage1/pod-paths.ts";

/** Records in a pod which security features it is started without; anybody who may see the pod may read it. */
export function recordInsecureOptions(pod: string, options: RunOptions): void {
	const words = [
		...(options.disableCapabilities ? ["capabilities"] : []),
		...(options.disablePaths ? ["paths"] : []),
		...(options.disableSeccomp ? ["seccomp"] : []),
	];
	if (words.length > 0) replaceFile(insecureOptionsPath(pod), `${words.join("\n")}\n`, 0o644);
}

/** The words of `--insecure-options` that the pod was started with. */
export function readInsecureOptions(pod: string): string[] {
	return (readTextIfExists(insecureOptionsPath(pod)) ?? "").split("\n").filter(Boolean);
}
