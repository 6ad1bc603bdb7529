import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { canRender } from "./can-render.ts";
import { fetchImage } from "./fetch-image.ts";
import type { FetchOptions } from "./fetch-options.ts";
import { type ImageReference, parseImageReference } from "./image-reference.ts";
import { type BundledStage1, bundledStage1 } from "./stage1-bundle.ts";

/** The `--stage1-*` flag that was given; `image` is 0.8's `--stage1-image`: path, URL, hash or short name. */
export type Stage1Selection =
	| { readonly kind: "default" }
	| { readonly kind: "url" | "path" | "name" | "hash" | "from-dir" | "image"; readonly value: string };

export interface Stage1Options extends FetchOptions {
	/** Where stage1-images.json and the bundled images are: the directory of the program. */
	readonly programDirectory: string;
}

const DEFAULT_BUNDLED = "nspawn";

/**
 * The full key of the stage1 image, which is fetched unless it is in the store. Bundled images are trusted by their
 * exact ID; others need a signature like any image. Dependencies are not fetched (cli.md §3.6).
 * Errors: `stage1-unknown`, `stage1-missing`, and those of fetching.
 */
export async function resolveStage1(selection: Stage1Selection, options: Stage1Options): Promise<string> {
	const settings: Stage1Options = {
		...options,
		pullPolicy: "new",
		dependencies: false,
		signature: undefined,
	};
	if (selection.kind === "default") return resolveDefault(settings);
	const { kind, value } = selection;
	switch (kind) {
		case "from-dir":
			return resolvePath(path.resolve(imagesDirectory(settings), value), settings);
		case "path":
			return resolvePath(path.resolve(value), settings);
		case "image":
			return resolveAny(value, settings);
		default:
			return fetchImage(referenceOf(kind, value), settings);
	}
}

function imagesDirectory({ config, programDirectory }: Stage1Options): string {
	return config.paths.stage1Images ?? programDirectory;
}

function referenceOf(kind: "url" | "name" | "hash", value: string): ImageReference {
	const reference = parseImageReference(value);
	const fits =
		reference.type === kind || (kind === "url" && reference.type !== "name" && reference.type !== "hash");
	if (fits) return reference;
	return fail(
		"stage1-unknown",
		`--stage1-${kind}: "${value}" is not ${kind === "url" ? "a URL" : `an image ${kind}`}`,
	);
}

/** What the configuration names, else the image that was built with this program. */
async function resolveDefault(options: Stage1Options): Promise<string> {
	const { name, version, location } = options.config.stage1;
	if (name !== undefined && version !== undefined) {
		const stored = options.store.find(name, [{ name: "version", value: version }]);
		if (stored) return useStored(stored.key, name, version, options);
	}
	if (location !== undefined) {
		const isPath = path.isAbsolute(location);
		return isPath ? resolvePath(location, options) : fetchImage(parseImageReference(location), options);
	}
	const bundled = bundledStage1(options.programDirectory).get(DEFAULT_BUNDLED);
	if (bundled) return importBundled(bundled, options);
	return fail(
		"stage1-missing",
		`there is no stage1 image beside the program in ${options.programDirectory}`,
		{
			hint: "install rkt again, or choose an image with --stage1-path or --stage1-name",
		},
	);
}

async function resolveAny(value: string, options: Stage1Options): Promise<string> {
	const bundled = bundledStage1(options.programDirectory);
	const image = bundled.get(value);
	if (image) return importBundled(image, options);
	if (/^[a-z0-9-]+$/.test(value) && !value.startsWith("sha512-") && !fs.existsSync(value)) {
		fail("stage1-unknown", `there is no stage1 image called "${value}"`, {
			hint: `bundled are: ${[...bundled.keys()].join(", ") || "none"}; or give a path, URL or image ID`,
		});
	}
	const reference = parseImageReference(value);
	return reference.type === "file" ? resolvePath(reference.path, options) : fetchImage(reference, options);
}

/** A bundled image is recognised wherever its path is written out. */
async function resolvePath(file: string, options: Stage1Options): Promise<string> {
	const images = [...bundledStage1(options.programDirectory).values()];
	const bundled = images.find((image) => image.file === file || sameFile(image.file, file));
	return bundled
		? importBundled(bundled, options)
		: fetchImage({ type: "file", text: file, path: file }, options);
}

function sameFile(one: string, other: string): boolean {
	const [first, second] = [one, other].map((file) => fs.statSync(file, { throwIfNoEntry: false }));
	return first !== undefined && first.ino === second?.ino && first.dev === second.dev;
}

async function importBundled(image: BundledStage1, options: Stage1Options): Promise<string> {
	if (options.store.record(image.id)) return useStored(image.id, image.name, image.version, options);
	options.log.info(`using image from file ${image.file}`);
	const render = await canRender(options);
	const imported = { source: image.file, expectedId: image.id, render };
	return (await options.store.importAci(image.file, imported)).key;
}

function useStored(key: string, name: string, version: string, { log }: Stage1Options): string {
	log.info(`using image from local store for image name ${name}:${version}`);
	return key;
}
