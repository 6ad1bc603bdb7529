import { APPC_VERSION, RKT_VERSION } from "../../lib/version.ts";
import {
	ENTRYPOINT_ANNOTATIONS,
	INTERFACE_VERSION,
	INTERFACE_VERSION_ANNOTATION,
	MODULE_ANNOTATION,
} from "../entrypoints.ts";
import { ENTRYPOINT_NAMES, entryScriptPath } from "./entry-script.ts";

export const STAGE1_NAME = "coreos.com/rkt/stage1-nspawn";
export const MODULE_PATH = "/rkt/stage1.cjs";

/** Architectures as appc spells them. */
const APPC_ARCH: Readonly<Record<string, string>> = { x64: "amd64", arm64: "aarch64" };

/** The image manifest of the bundled stage1. */
export function stage1Manifest(arch: string): string {
	const annotations = [
		...ENTRYPOINT_NAMES.map((name) => ({ name: ENTRYPOINT_ANNOTATIONS[name], value: entryScriptPath(name) })),
		{ name: INTERFACE_VERSION_ANNOTATION, value: String(INTERFACE_VERSION) },
		{ name: MODULE_ANNOTATION, value: MODULE_PATH },
	];
	const labels = [
		{ name: "version", value: RKT_VERSION },
		{ name: "os", value: "linux" },
		{ name: "arch", value: APPC_ARCH[arch] ?? arch },
	];
	return JSON.stringify({
		acKind: "ImageManifest",
		acVersion: APPC_VERSION,
		name: STAGE1_NAME,
		labels,
		annotations,
	});
}
