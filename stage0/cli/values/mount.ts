import * as path from "node:path";
import type { Mount } from "../../../appc/schema/pod-manifest.ts";
import { isACName } from "../../../appc/types/ac-name.ts";
import { readKeyValues } from "./key-values.ts";
import { invalidValue } from "./scalars.ts";

/** `--mount`: `volume=NAME,target=PATH`. Errors: `flag-value-invalid`. */
export function parseMount(value: string): Mount {
	const parameters = readKeyValues("mount", value, value.split(","), ["volume", "target"]);
	const volume = parameters.get("volume") ?? "";
	const target = parameters.get("target") ?? "";
	if (!isACName(volume)) invalidValue("mount", value, "volume must be the name of a volume");
	if (!target.startsWith("/")) invalidValue("mount", value, "target must be an absolute path");
	return { volume, path: target };
}

/** The mounts of an app: its own first, then those for all apps whose target is still free. */
export function mergeMounts(own: readonly Mount[], global: readonly Mount[]): Mount[] {
	const byTarget = new Map<string, Mount>();
	for (const mount of [...own, ...global]) {
		const target = path.posix.normalize(mount.path).replace(/(.)\/$/, "$1");
		if (!byTarget.has(target)) byTarget.set(target, mount);
	}
	return [...byTarget.values()];
}
