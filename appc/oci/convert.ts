import { APPC_VERSION } from "../../lib/version.ts";
import type { ImageManifest } from "../schema/image-manifest.ts";
import { imageManifestSchema } from "../schema/image-manifest.ts";
import { checkSchema } from "../schema/read-schema.ts";
import { serializeManifest } from "../schema/serialize.ts";
import { sanitizeACIdentifier } from "../types/ac-identifier.ts";
import { isDate } from "../types/date.ts";
import type { Label } from "../types/labels.ts";
import { quote } from "../types/quote.ts";
import { refuseConfig } from "./config-refusal.ts";
import { convertExecution } from "./convert-execution.ts";
import type { OciImageConfig } from "./image-config.ts";
import { platformLabels } from "./image-platform.ts";
import { OCI_REFUSAL } from "./manifest.ts";
import { DOCKER_ANNOTATIONS, OCI_ANNOTATIONS } from "./oci-annotations.ts";

/** What an image is made a manifest of. */
export interface ConvertibleImage {
	/** For messages. */
	readonly source: string;
	readonly reference:
		| {
				readonly registry: string;
				readonly repository: string;
				readonly tag?: string | undefined;
				readonly digest?: string | undefined;
		  }
		| undefined;
	readonly manifestDigest: string;
	readonly configDigest: string;
	readonly config: OciImageConfig;
}

/** Longer texts could not be read back. */
const MAX_MANIFEST_LENGTH = 4 * 1024 * 1024;
const UNNAMED_DIGITS = 12;

/**
 * The appc image manifest of an OCI or docker image (image.md §8 of the reference, with the places marked as bugs
 * corrected). The same image under the same name always gives the same manifest: its text is what the image ID is the
 * hash of. `warn` gets a line for each member that has no effect as it stands. Errors: `oci-invalid`,
 * `image-not-runnable`, `name-invalid`.
 */
export function imageManifestOf(
	image: ConvertibleImage,
	warn: (line: string) => void = () => {},
): ImageManifest {
	const { config, source } = image;
	const execution = config.config && convertExecution(config.config, source);
	const manifest = checkSchema(
		{
			acKind: "ImageManifest",
			acVersion: APPC_VERSION,
			name: ociImageName(image),
			labels: imageLabels(image),
			...(execution ? { app: execution.app } : {}),
			annotations: [
				...textAnnotations(image, warn),
				...originAnnotations(image),
				...(execution?.annotations ?? []),
				{ name: OCI_ANNOTATIONS.diffIds, value: config.rootfs.diff_ids.join(",") },
			],
		},
		`the manifest made from ${source}`,
		imageManifestSchema(),
		"",
		OCI_REFUSAL,
	);
	if (serializeManifest(manifest).length > MAX_MANIFEST_LENGTH) {
		refuseConfig(source, "", `is too large: its manifest would have more than ${MAX_MANIFEST_LENGTH} bytes`);
	}
	return manifest;
}

/** The name of the appc image, by which keys are chosen. */
export function ociImageName({
	reference,
	configDigest,
}: Pick<ConvertibleImage, "reference" | "configDigest">): string {
	if (reference) return sanitizeACIdentifier(`${reference.registry}/${reference.repository}`);
	const hex = configDigest.slice(configDigest.indexOf(":") + 1);
	return `localhost/image-${hex.slice(0, UNNAMED_DIGITS)}`;
}

function imageLabels({ reference, config, source }: ConvertibleImage): Label[] {
	const platform = platformLabels(config);
	if (platform === undefined) {
		const { os, architecture, variant } = config;
		refusePlatform(source, [os, architecture, variant].filter((part) => part).join("/"));
	}
	const tag = reference?.tag;
	if (tag === undefined) return platform;
	if (!/^\w[\w.-]{0,127}$/.test(tag)) refuseConfig(source, "", `has the tag ${quote(tag)}, which is none`);
	return [{ name: "version", value: tag }, ...platform];
}

function refusePlatform(source: string, platform: string): never {
	return refuseConfig(
		source,
		"",
		`is for the platform ${quote(platform)}, which rkt has no name for`,
		"image-not-runnable",
	);
}

interface NamedValue {
	readonly name: string;
	readonly value: string;
}

function textAnnotations({ config, source }: ConvertibleImage, warn: (line: string) => void): NamedValue[] {
	const { created = "", author = "", comment = "" } = config;
	if (created !== "" && !isDate(created)) warn(`${source}: "created" is no date: ${quote(created)}`);
	return filled({
		created: isDate(created) ? created : "",
		authors: author,
		"docker-comment": comment,
	});
}

function originAnnotations({ reference, manifestDigest, configDigest }: ConvertibleImage): NamedValue[] {
	const { registry = "", repository = "", tag = "", digest = "" } = reference ?? {};
	const suffix = digest === "" ? (tag === "" ? "" : `:${tag}`) : `@${digest}`;
	const named = reference !== undefined;
	return filled({
		[DOCKER_ANNOTATIONS.originalName]: named ? `${registry}/${repository}${suffix}` : "",
		[DOCKER_ANNOTATIONS.registryUrl]: registry,
		[DOCKER_ANNOTATIONS.repository]: repository,
		[DOCKER_ANNOTATIONS.imageId]: configDigest,
		[DOCKER_ANNOTATIONS.tag]: tag,
		[DOCKER_ANNOTATIONS.manifestHash]: manifestDigest,
	});
}

function filled(values: Readonly<Record<string, string>>): NamedValue[] {
	return Object.entries(values)
		.filter(([, value]) => value !== "")
		.map(([name, value]) => ({ name, value }));
}
