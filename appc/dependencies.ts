import { fail } from "../lib/errors.ts";
import type { Dependency, ImageManifest } from "./schema/image-manifest.ts";
import type { ImageID } from "./types/image-id.ts";

export interface ResolvedImage {
	readonly id: ImageID;
	readonly manifest: ImageManifest;
}

/** An image in rendering order. */
export interface FlatImage extends ResolvedImage {
	/** 0 for the image that is rendered, 1 for its dependencies, and so on. */
	readonly level: number;
	/** Position of the image whose dependency this is; undefined for the first. */
	readonly parent?: number;
}

/** Every image that a real chain needs fits many times; a hostile one ends here. */
const MAX_LEVEL = 64;
const MAX_IMAGES = 1024;

/**
 * The images of a root file system in the order in which they supply files (image.md §4): each image, then its
 * dependencies with the last one first, each followed by its own. A(B,C), C(D) gives A, C, D, B.
 * An image that several need stands there several times, since each branch has its own white-list.
 * `resolve` finds a dependency, in the store for example. Errors: `dependency-cycle`, `dependency-too-deep`,
 * `dependency-id-mismatch`, and those of `resolve`.
 */
export function flattenDependencies(
	root: ResolvedImage,
	resolve: (dependency: Dependency, parent: ResolvedImage) => ResolvedImage,
): FlatImage[] {
	const flat: FlatImage[] = [];
	const visit = (
		image: ResolvedImage,
		branch: readonly ResolvedImage[],
		parent: number | undefined,
	): void => {
		checkBranch(image, branch);
		if (flat.length === MAX_IMAGES) {
			fail("dependency-too-deep", `${root.manifest.name} has more than ${MAX_IMAGES} dependencies`);
		}
		const position = flat.length;
		flat.push({ ...image, level: branch.length, ...(parent === undefined ? {} : { parent }) });
		for (const dependency of image.manifest.dependencies.toReversed()) {
			const found = resolve(dependency, image);
			checkIdentity(dependency, found, image);
			visit(found, [...branch, image], position);
		}
	};
	visit(root, [], undefined);
	return flat;
}

function checkBranch(image: ResolvedImage, branch: readonly ResolvedImage[]): void {
	const first = branch.findIndex(({ id }) => id === image.id);
	if (first !== -1) {
		const cycle = [...branch.slice(first), image].map(({ manifest }) => manifest.name).join(" → ");
		fail("dependency-cycle", `images depend on each other in a circle: ${cycle}`, {
			hint: "one of these images must be made anew without its dependency",
		});
	}
	if (branch.length > MAX_LEVEL) {
		fail(
			"dependency-too-deep",
			`${branch[0]?.manifest.name} depends on images over more than ${MAX_LEVEL} levels`,
		);
	}
}

/** A dependency that names an image ID is only that image (appc 0.8.11, Dependency Matching). */
function checkIdentity(dependency: Dependency, found: ResolvedImage, parent: ResolvedImage): void {
	if (dependency.imageID === undefined || found.id.startsWith(dependency.imageID)) return;
	fail(
		"dependency-id-mismatch",
		`${parent.manifest.name} depends on ${dependency.imageName} with image ID ${dependency.imageID}, but found ${found.id}`,
		{ hint: "fetch the right image with `rkt fetch`" },
	);
}
