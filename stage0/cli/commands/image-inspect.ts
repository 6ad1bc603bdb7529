import type { ImageManifest } from "../../../appc/schema/image-manifest.ts";
import { fail } from "../../../lib/errors.ts";
import { writeStdout } from "../../../lib/log.ts";
import type { ImageRecord } from "../../store/image-record.ts";
import { findTree, type ImageSizes, measureStore } from "../../store/image-sizes.ts";
import type { Store } from "../../store/store.ts";
import type { Handler } from "../command.ts";
import { findImage } from "../find-image.ts";
import { describeImage } from "../output/image-description.ts";
import { type OutputFormat, printJson } from "../output/print-json.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** All that is known of an image in the store. */
export interface InspectedImage {
	readonly record: ImageRecord;
	readonly manifest: ImageManifest;
	readonly sizes: ImageSizes;
	/** Undefined when the tree store cannot be looked into. */
	readonly tree: { readonly treeId: string; readonly rendered: boolean } | undefined;
}

/** `rkt image inspect`: text for people, or JSON with the same. */
export const inspectImages: Handler = async (context, { options, args }) => {
	const { openStore } = await import("../../store/store.ts");
	const { imageToJson } = await import("../output/image-json.ts");
	const store = openStore(findDataDirectory(context), await loadSyscall());
	const format = options.text("format") as OutputFormat;
	const sizes = measureStore(store, store.list());
	const images: InspectedImage[] = [];
	for (const word of args) images.push(await inspectImage(store, findImage(store, word), sizes));
	if (format === "") writeStdout(images.map(describeImage).join("\n"));
	else printJson(images.map(imageToJson), format);
	return 0;
};

async function inspectImage(
	store: Store,
	key: string,
	sizes: ReadonlyMap<string, ImageSizes>,
): Promise<InspectedImage> {
	const record = store.record(key);
	const measured = sizes.get(key);
	if (record === undefined || measured === undefined) {
		return fail("image-not-found", `the image ${key} was removed meanwhile`, {
			hint: "rkt image list shows the images in the store",
		});
	}
	const manifest = await store.manifest(key);
	return {
		record,
		manifest,
		sizes: measured,
		tree: findTree(store, record),
	};
}
