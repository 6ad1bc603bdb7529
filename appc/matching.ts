import type { ImageManifest } from "./schema/image-manifest.ts";
import { formatImageName } from "./types/image-name.ts";
import { type Label, labelValue } from "./types/labels.ts";

/** Whether an image has this name and every one of these labels with the same value. */
export function matchesImage(
	manifest: Pick<ImageManifest, "name" | "labels">,
	name: string,
	labels: readonly Label[],
): boolean {
	return manifest.name === name && missingLabels(manifest, labels).length === 0;
}

/** The labels that were asked for and that the image lacks or has with another value. */
export function missingLabels(manifest: Pick<ImageManifest, "labels">, labels: readonly Label[]): Label[] {
	return labels.filter(({ name, value }) => labelValue(manifest.labels, name) !== value);
}

/** The name under which an image is listed: with its version, without other labels. */
export function displayName({ name, labels }: Pick<ImageManifest, "name" | "labels">): string {
	return formatImageName({ name, labels: labels.filter((label) => label.name === "version") });
}
