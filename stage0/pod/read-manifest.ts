import { fail } from "../../lib/errors.ts";
import { readTextIfExists } from "../../lib/files.ts";
import { appImageManifestPath, podManifestPath } from "../../stage1/pod-paths.ts";

/*
 * The manifests in a pod directory were checked when stage0 wrote them. Looking at pods must be fast, so they
 * are read here without the schemas: every member may be missing, and only members of the expected type count.
 */

export interface LooseVolume {
	readonly name: string;
	readonly kind: "host" | "empty";
	readonly source?: string;
	readonly readOnly?: boolean;
}

export interface LooseMount {
	readonly volume: string;
	readonly path: string;
	readonly appVolume?: LooseVolume;
}

export interface LooseApp {
	readonly name: string;
	readonly imageId: string;
	readonly imageName: string | undefined;
	readonly imageVersion: string | undefined;
	readonly mounts: readonly LooseMount[];
	readonly userAnnotations: Readonly<Record<string, string>>;
	readonly userLabels: Readonly<Record<string, string>>;
}

export interface LoosePodManifest {
	readonly apps: readonly LooseApp[];
	readonly volumes: readonly LooseVolume[];
	readonly ports: readonly unknown[];
	readonly userAnnotations: Readonly<Record<string, string>>;
	readonly userLabels: Readonly<Record<string, string>>;
}

type Json = Readonly<Record<string, unknown>>;

/** Errors: `pod-damaged` when the file is missing or no JSON object. */
export function readPodManifest(pod: string): LoosePodManifest {
	const file = podManifestPath(pod);
	const text = readTextIfExists(file);
	const value = text === undefined ? undefined : parseObject(text);
	if (value === undefined)
		fail("pod-damaged", `${file} is missing or no JSON`, { hint: "remove the pod with rkt rm" });
	return {
		apps: objects(value.apps).map((app) => toApp(pod, app)),
		volumes: objects(value.volumes).map(toVolume),
		ports: objects(value.ports),
		userAnnotations: strings(value.userAnnotations),
		userLabels: strings(value.userLabels),
	};
}

/** An app whose manifest says nothing uses what its image says. */
function toApp(pod: string, entry: Json): LooseApp {
	const name = string(entry.name) ?? "";
	const image = object(entry.image);
	const hasImageName = typeof image.name === "string";
	const hasApp = typeof entry.app === "object" && entry.app !== null;
	const manifest = hasImageName && hasApp ? {} : readImageManifest(pod, name);
	const app = object(hasApp ? entry.app : manifest.app);
	return {
		name,
		imageId: string(image.id) ?? "",
		imageName: string(image.name) ?? string(manifest.name),
		imageVersion: versionOf(hasImageName ? image.labels : manifest.labels),
		mounts: objects(entry.mounts).map(toMount),
		userAnnotations: strings(app.userAnnotations),
		userLabels: strings(app.userLabels),
	};
}

function readImageManifest(pod: string, app: string): Json {
	if (!/^[a-z0-9-]+$/.test(app)) return {};
	return parseObject(readTextIfExists(appImageManifestPath(pod, app)) ?? "") ?? {};
}

function versionOf(labels: unknown): string | undefined {
	return string(objects(labels).find((label) => label.name === "version")?.value);
}

function toMount(entry: Json): LooseMount {
	const volume = { volume: string(entry.volume) ?? "", path: string(entry.path) ?? "" };
	const own = object(entry.appVolume);
	return own.name === undefined ? volume : { ...volume, appVolume: toVolume(own) };
}

function toVolume(entry: Json): LooseVolume {
	const source = string(entry.source);
	return {
		name: string(entry.name) ?? "",
		kind: entry.kind === "empty" ? "empty" : "host",
		...(source === undefined ? {} : { source }),
		...(typeof entry.readOnly === "boolean" ? { readOnly: entry.readOnly } : {}),
	};
}

function parseObject(text: string): Json | undefined {
	try {
		const value: unknown = JSON.parse(text);
		return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
	} catch {
		return undefined;
	}
}

function object(value: unknown): Json {
	return typeof value === "object" && value !== null ? (value as Json) : {};
}

function objects(value: unknown): Json[] {
	return Array.isArray(value) ? value.map(object) : [];
}

function string(value: unknown): string | undefined {
	return typeof value === "string" ? value : undefined;
}

function strings(value: unknown): Record<string, string> {
	const entries = Object.entries(object(value)).filter(([, text]) => typeof text === "string");
	return Object.fromEntries(entries) as Record<string, string>;
}
