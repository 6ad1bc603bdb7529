import { createHash } from "node:crypto";
import { type FlatImage, flattenDependencies, type ResolvedImage } from "../../appc/dependencies.ts";
import type { Dependency, ImageManifest } from "../../appc/schema/image-manifest.ts";
import { normalizeImageIDPrefix } from "../../appc/types/image-id.ts";
import { fail } from "../../lib/errors.ts";
import type { ImageRecord } from "./image-record.ts";
import { findImage, imageNotFound, intactRecord, readManifest, resolveKey } from "./image-store.ts";
import type { StoreLayout } from "./layout.ts";

/**
 * The id of the tree of an image: it changes when a dependency is replaced by another image. Costs no schema, and no
 * manifest is read for an image without dependencies. Errors: `image-not-found`, `dependency-cycle`.
 */
export function treeIdOf(layout: StoreLayout, record: ImageRecord): string {
	const keys = partsOf(layout, record);
	return `deps-sha512-${createHash("sha512").update(keys.join(",")).digest("hex")}`;
}

/** The keys of the image and its dependencies, in order. */
export function partsOf(layout: StoreLayout, record: ImageRecord): string[] {
	if (record.dependencies.length === 0) return [record.key];
	return flatImages(layout, record).map(({ id }) => id);
}

/** The images that supply the files of a tree, in order; dependencies are looked up in the store. */
export function flatImages(layout: StoreLayout, record: ImageRecord): FlatImage[] {
	return flattenDependencies(resolved(layout, record.key), (dependency, parent) => {
		const found = findDependency(layout, dependency);
		return found === undefined ? failMissing(dependency, parent) : resolved(layout, found);
	});
}

function findDependency(layout: StoreLayout, { imageID, imageName, labels }: Dependency): string | undefined {
	if (imageID === undefined) return findImage(layout, imageName, labels)?.key;
	return resolveKey(layout, normalizeImageIDPrefix(imageID));
}

function failMissing(dependency: Dependency, parent: ResolvedImage): never {
	fail(
		"image-not-found",
		`${parent.manifest.name} depends on ${dependency.imageName}, which is not in the store`,
		{
			hint: `get it with rkt fetch ${dependency.imageName}`,
		},
	);
}

/** The stored manifest was checked when it was imported, so only absent lists are filled in here. */
function resolved(layout: StoreLayout, key: string): ResolvedImage {
	if (!intactRecord(layout, key)) throw imageNotFound(key);
	const manifest = JSON.parse(readManifest(layout, key)) as ImageManifest;
	const dependencies = (manifest.dependencies ?? []).map((dependency) => ({
		...dependency,
		imageID: dependency.imageID ?? undefined,
		labels: dependency.labels ?? [],
	}));
	return { id: key, manifest: { ...manifest, dependencies, pathWhitelist: manifest.pathWhitelist ?? [] } };
}
