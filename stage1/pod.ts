import * as fs from "node:fs";
import type { App } from "../appc/schema/app.ts";
import { type ImageManifest, parseImageManifest } from "../appc/schema/image-manifest.ts";
import { type PodManifest, parsePodManifest, type RuntimeApp } from "../appc/schema/pod-manifest.ts";
import { fail } from "../lib/errors.ts";
import * as podPaths from "./pod-paths.ts";

/** An app of the pod with everything that says how to run it. */
export interface PodApp {
	readonly name: string;
	readonly runtime: RuntimeApp;
	/** The pod manifest's section when it has one, else the image's. */
	readonly app: App;
	readonly image: ImageManifest;
}

/** What stage0 prepared. */
export interface Pod {
	/** Absolute path. */
	readonly directory: string;
	readonly manifest: PodManifest;
	readonly apps: readonly PodApp[];
}

/** A unit of stage1 has the name that the app's would have. */
const RESERVED_NAMES = ["systemd-journald", "systemd-journald-dev-log"];

/**
 * Reads the manifests of a pod that stage0 prepared. Only files that no pod can write are read.
 * Errors: `json-invalid`, `manifest-invalid`, `app-section-missing`, `app-name-reserved`.
 */
export function loadPod(directory: string): Pod {
	const file = podPaths.podManifestPath(directory);
	const manifest = parsePodManifest(fs.readFileSync(file), file);
	return { directory, manifest, apps: manifest.apps.map((runtime) => loadApp(directory, runtime)) };
}

function loadApp(directory: string, runtime: RuntimeApp): PodApp {
	const file = podPaths.appImageManifestPath(directory, runtime.name);
	const image = parseImageManifest(fs.readFileSync(file), file);
	const app = runtime.app ?? image.app;
	if (RESERVED_NAMES.includes(runtime.name)) {
		fail("app-name-reserved", `an app cannot be called ${runtime.name}`, {
			hint: "give the app another name with --name",
		});
	}
	if (app === undefined) {
		fail("app-section-missing", `image ${image.name} of app ${runtime.name} has no app section`, {
			hint: "give it a command with --exec",
		});
	}
	return { name: runtime.name, runtime, app, image };
}
