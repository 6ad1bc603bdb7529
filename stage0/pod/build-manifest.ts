import type { App, EnvironmentVariable } from "../../appc/schema/app.ts";
import { emptyApp } from "../../appc/schema/app.ts";
import { readIsolators } from "../../appc/schema/app-isolators.ts";
import type { ImageManifest } from "../../appc/schema/image-manifest.ts";
import {
	type ExposedPort,
	type PodManifest,
	podManifestSchema,
	type RuntimeApp,
	type Volume,
} from "../../appc/schema/pod-manifest.ts";
import { checkSchema } from "../../appc/schema/read-schema.ts";
import { appNameOfImage } from "../../appc/types/ac-name.ts";
import { checkRunnable } from "../../appc/types/labels.ts";
import { fail } from "../../lib/errors.ts";
import { APPC_VERSION } from "../../lib/version.ts";
import { matchPorts } from "../../stage1/network/ports.ts";
import { appCapabilities } from "../../stage1/security/capabilities.ts";
import type { AppOverrides } from "./app-overrides.ts";

/** One image of the pod with what the command line says about it. */
export interface AppSource {
	/** Full image ID. */
	readonly imageId: string;
	readonly image: ImageManifest;
	readonly overrides: AppOverrides;
	/** Lays the environment of the pod over the image's. */
	readonly mergeEnvironment: (image: readonly EnvironmentVariable[]) => EnvironmentVariable[];
}

export interface PodParts {
	readonly apps: readonly AppSource[];
	readonly volumes: readonly Volume[];
	readonly ports: readonly ExposedPort[];
	/** Numeric user and group of an app whose image has no `app` section. */
	readonly caller: { readonly user: string; readonly group: string };
}

/** Tells other programs whether apps may be added to the pod while it runs. */
const MUTABLE_ANNOTATION = "coreos.com/rkt/stage1/mutable";

/**
 * The manifest of a pod that is started from images. What apps get without asking, such as volumes for mount
 * points, is left to stage1. Errors: `image-without-app`, `image-not-runnable`, `app-name-repeated`,
 * `volume-repeated`, `mount-dangling`, `port-not-found`, `port-ambiguous`, `port-invalid`, `port-in-use`, `capability-unknown`, `isolators-conflict`, `manifest-invalid`.
 */
export function buildPodManifest(parts: PodParts): PodManifest {
	const apps = parts.apps.map((source) => buildRuntimeApp(source, parts.caller));
	checkNames(apps);
	checkMounts(apps, parts.volumes);
	matchPorts(
		parts.ports,
		apps.map(({ name, app }) => ({ name, ports: app?.ports ?? [] })),
	);
	for (const app of apps) appCapabilities(readIsolators(app.app?.isolators ?? []).capabilities);
	const manifest = {
		acVersion: APPC_VERSION,
		acKind: "PodManifest",
		apps,
		volumes: [...parts.volumes],
		isolators: [],
		annotations: [{ name: MUTABLE_ANNOTATION, value: "false" }],
		ports: [...parts.ports],
	};
	return checkSchema(manifest, "the pod manifest made from the command line", podManifestSchema());
}

function buildRuntimeApp(source: AppSource, caller: PodParts["caller"]): RuntimeApp {
	const { image, overrides } = source;
	checkRunnable(image.labels, `image ${image.name}`);
	return {
		name: overrides.name ?? appNameOfImage(image.name),
		image: { id: source.imageId, name: image.name, labels: image.labels },
		app: buildApp(source, caller),
		readOnlyRootFS: overrides.readOnlyRootFS ?? false,
		mounts: [...overrides.mounts],
		annotations: [...overrides.annotations],
	};
}

function buildApp(source: AppSource, caller: PodParts["caller"]): App {
	const { image, overrides } = source;
	if (image.app === undefined && overrides.exec === undefined) {
		fail("image-without-app", `image ${JSON.stringify(image.name)} says nothing about how to run it`, {
			hint: "name the program: --exec=PATH after the image",
		});
	}
	const app = image.app ?? emptyApp(caller.user, caller.group);
	const exec = [...(overrides.exec === undefined ? app.exec : [overrides.exec]), ...overrides.args];
	if (exec.length === 0) {
		fail("image-without-app", `image ${JSON.stringify(image.name)} has an empty "exec"`, {
			hint: "name the program: --exec=BINARY after the image",
		});
	}
	return {
		...app,
		exec,
		user: overrides.user ?? app.user,
		group: overrides.group ?? app.group,
		supplementaryGIDs: [...(overrides.supplementaryGIDs ?? app.supplementaryGIDs)],
		...workingDirectory(overrides.workingDirectory ?? app.workingDirectory),
		environment: source.mergeEnvironment(app.environment),
		isolators: mergeIsolators(app.isolators, overrides.isolators),
		userAnnotations: { ...(overrides.userAnnotations ?? app.userAnnotations) },
		userLabels: { ...(overrides.userLabels ?? app.userLabels) },
	};
}

function workingDirectory(directory: string | undefined): Pick<App, "workingDirectory"> {
	return directory === undefined ? {} : { workingDirectory: directory };
}

function mergeIsolators(image: App["isolators"], overrides: AppOverrides["isolators"]): App["isolators"] {
	let result = image;
	for (const { isolator, replaces } of overrides) {
		result = [...result.filter((other) => !replaces.includes(other.name)), isolator];
	}
	return result;
}

function checkNames(apps: readonly RuntimeApp[]): void {
	const seen = new Set<string>();
	for (const app of apps) {
		if (seen.has(app.name)) {
			fail("app-name-repeated", `two apps of the pod have the name ${JSON.stringify(app.name)}`, {
				hint: "give one of them another: --name=NAME after the image",
			});
		}
		seen.add(app.name);
	}
}

function checkMounts(apps: readonly RuntimeApp[], volumes: readonly Volume[]): void {
	const names = new Set(volumes.map((volume) => volume.name));
	if (names.size < volumes.length) {
		const twice = volumes.find((volume, index) => volumes.findIndex((v) => v.name === volume.name) !== index);
		fail("volume-repeated", `the volume ${JSON.stringify(twice?.name)} is declared twice`, {
			hint: "give every --volume another name",
		});
	}
	for (const mount of apps.flatMap((app) => app.mounts)) {
		if (names.has(mount.volume)) continue;
		fail(
			"mount-dangling",
			`dangling mount point ${JSON.stringify(mount.path)}: volume ${JSON.stringify(mount.volume)} not found`,
			{
				hint: `declare it: --volume=${mount.volume},kind=host,source=PATH`,
			},
		);
	}
}
