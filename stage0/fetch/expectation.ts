import { formatImageName, type ImageName, withHostLabels } from "../../appc/types/image-name.ts";
import { type Label, labelValue } from "../../appc/types/labels.ts";
import { fail } from "../../lib/errors.ts";

/** What was asked for, which the image must be. */
export interface Expectation {
	/** Of an image that was found by its name. */
	readonly name?: ImageName | undefined;
	/** Image ID of a dependency, in full or cut short. */
	readonly imageId?: string | undefined;
	/** Bytes of a dependency, as downloaded or uncompressed. */
	readonly size?: number | undefined;
}

/**
 * An image has the name and every label that the user gave, with insecure options too: otherwise a mirror could
 * put any image under any name into the store. This machine's os and arch, which discovery fills in, may be missing
 * in the image but not differ.
 * Errors: `image-name-mismatch`, `image-label-mismatch`.
 */
export function checkName(image: ImageName, wanted: ImageName | undefined, source: string): void {
	if (!wanted) return;
	if (image.name !== wanted.name) {
		fail("image-name-mismatch", `${source}: the image is called "${image.name}", expected "${wanted.name}"`, {
			hint: "the server offers another image than was asked for: tell its publisher",
		});
	}
	for (const label of withHostLabels(wanted).labels) checkLabel(image.labels, label, wanted, source);
}

function checkLabel(labels: readonly Label[], label: Label, wanted: ImageName, source: string): void {
	const value = labelValue(labels, label.name);
	if (value === label.value) return;
	if (value === undefined && labelValue(wanted.labels, label.name) === undefined) return;
	const has = value === undefined ? "is missing" : `is "${value}"`;
	fail("image-label-mismatch", `${source}: the label "${label.name}" ${has}, expected "${label.value}"`, {
		hint: `${formatImageName(wanted)} was asked for, but the server offers another image`,
	});
}

/** Errors: `image-size-mismatch`. */
export function checkSize(sizes: readonly number[], wanted: number | undefined, source: string): void {
	if (wanted === undefined || sizes.includes(wanted)) return;
	fail("image-size-mismatch", `${source}: the image has ${sizes.join(" or ")} bytes, expected ${wanted}`, {
		hint: "the image was changed since another image named it as dependency: ask its publisher",
	});
}
