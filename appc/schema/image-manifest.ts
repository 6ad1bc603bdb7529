import * as z from "zod/mini";
import { appSchema } from "./app.ts";
import { annotationList, annotationValue, labelList, SUPPORTS_SYSTEMD_NOTIFY } from "./common.ts";
import { readSchema } from "./read-schema.ts";
import { absolutePath, acIdentifier, acVersion, hash, integer, list, once } from "./schema-kit.ts";

const dependency = once(() =>
	z.object({
		imageName: acIdentifier(),
		imageID: z.optional(hash()),
		labels: labelList(),
		/** Bytes of the archive as it is downloaded. */
		size: z.optional(integer(0, Number.MAX_SAFE_INTEGER)),
	}),
);

/** The image manifest (appc 0.8.11, Image Manifest Schema). Absent lists are empty. */
export const imageManifestSchema = once(() =>
	z.object({
		acKind: z.literal("ImageManifest"),
		acVersion: acVersion(),
		name: acIdentifier(),
		labels: labelList(),
		app: z.optional(appSchema()),
		annotations: annotationList(),
		dependencies: list(dependency()),
		pathWhitelist: list(absolutePath()),
	}),
);

export type ImageManifest = z.infer<ReturnType<typeof imageManifestSchema>>;
export type Dependency = z.infer<ReturnType<typeof dependency>>;

/** Errors: `json-invalid`, `manifest-invalid`, naming `source`, the member and the value. */
export function parseImageManifest(text: string | Uint8Array, source: string): ImageManifest {
	return readSchema(text, source, imageManifestSchema());
}

/** Whether the image says that its app tells systemd when it is ready. */
export function supportsNotify(manifest: ImageManifest): boolean {
	return annotationValue(manifest.annotations, SUPPORTS_SYSTEMD_NOTIFY) === "true";
}

/** Annotation of images that were converted from docker: the repository they came from. */
export function dockerRepository(manifest: ImageManifest): string | undefined {
	return annotationValue(manifest.annotations, "appc.io/docker/repository");
}
