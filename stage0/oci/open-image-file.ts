import type { OciFileReference } from "../fetch/image-reference.ts";
import { archiveFiles } from "./archive-files.ts";
import type { ChosenManifest } from "./choose-manifest.ts";
import { directoryFiles } from "./directory-files.ts";
import { openDockerArchiveImage } from "./docker-archive-image.ts";
import type { OciImage } from "./image-source.ts";
import { openLayoutImage } from "./layout-image.ts";

export interface OpenedImage {
	readonly image: OciImage;
	readonly chosen: ChosenManifest;
}

/** The image that an `oci:`, `oci-archive:` or `docker-archive:` reference names. Archives may be expanded into `temporaryDirectory`. */
export async function openImageFile(
	{ type, path, image }: OciFileReference,
	temporaryDirectory: string,
): Promise<OpenedImage> {
	switch (type) {
		case "oci":
			return openLayoutImage(directoryFiles(path), image);
		case "oci-archive":
			return openLayoutImage(await archiveFiles(path, temporaryDirectory), image);
		case "docker-archive":
			return openDockerArchiveImage(await archiveFiles(path, temporaryDirectory), image);
	}
}
