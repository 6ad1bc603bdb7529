import * as fs from "node:fs";
import type { App } from "../appc/schema/app.ts";
import type { ImageManifest } from "../appc/schema/image-manifest.ts";
import type { PodManifest, RuntimeApp } from "../appc/schema/pod-manifest.ts";
import { fail } from "../lib/errors.ts";
import type { ReadManifests } from "./entrypoints.ts";
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
 * A pod that stage0 prepared. Only files that no pod can write are read, and none when the manifests are given:
 * making the schemas takes 7 ms.
 * Errors: `json-invalid`, `manifest-invalid`, `app-section-missing`, `app-name-reserved`.
 */
export async function loadPod(directory: string, given?: ReadManifests): Promise<Pod> {
	const { pod: manifest, images } = given ?? (await readManifests(directory));
	const apps = manifest.apps.map((runtime) => makePodApp(runtime, images.get(runtime.name) as ImageManifest));
	return { directory, manifest, apps };
}

async function readManifests(directory: string): Promise<ReadManifests> {
	const [{ parseImageManifest }, { parsePodManifest }] = await Promise.all([
		import("../appc/schema/image-manifest.ts"),
		import("../appc/schema/pod-manifest.ts"),
	]);
	const file = podPaths.podManifestPath(directory);
	const pod = parsePodManifest(fs.readFileSync(file), file);
	const images = pod.apps.map(({ name }): [string, ImageManifest] => {
		const imageFile = podPaths.appImageManifestPath(directory, name);
		return [name, parseImageManifest(fs.readFileSync(imageFile), imageFile)];
	});
	return { pod, images: new Map(images) };
}

function makePodApp(runtime: RuntimeApp, image: ImageManifest): PodApp {
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
