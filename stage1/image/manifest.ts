import { APPC_VERSION, RKT_VERSION } from "../../lib/version.ts";
import {
	type AnnotatedManifest,
	ENTRYPOINT_ANNOTATIONS,
	INTERFACE_VERSION,
	INTERFACE_VERSION_ANNOTATION,
	MODULE_ANNOTATION,
} from "../entrypoints.ts";
import { ENTRYPOINT_NAMES, entryScriptPath } from "./entry-script.ts";

export type Annotation = NonNullable<AnnotatedManifest["annotations"]>[number];

export const MODULE_PATH = "/rkt/stage1.cjs";

/** Architectures as appc spells them. */
const APPC_ARCH: Readonly<Record<string, string>> = { x64: "amd64", arm64: "aarch64" };

/** The image manifest of a bundled stage1; `arch` as Node spells it, `more` what only this image says. */
export function stage1Manifest(name: string, arch: string, more: readonly Annotation[] = []): string {
	const annotations = [
		...ENTRYPOINT_NAMES.map((name) => ({ name: ENTRYPOINT_ANNOTATIONS[name], value: entryScriptPath(name) })),
		{ name: INTERFACE_VERSION_ANNOTATION, value: String(INTERFACE_VERSION) },
		{ name: MODULE_ANNOTATION, value: MODULE_PATH },
		...more,
	];
	const labels = [
		{ name: "version", value: RKT_VERSION },
		{ name: "os", value: "linux" },
		{ name: "arch", value: APPC_ARCH[arch] ?? arch },
	];
	return JSON.stringify({
		acKind: "ImageManifest",
		acVersion: APPC_VERSION,
		name,
		labels,
		annotations,
	});
}
