import { ociImageName } from "../../appc/oci/convert.ts";
import { importOciImage } from "../oci/import-image.ts";
import { openImageFile } from "../oci/open-image-file.ts";
import type { FetchOptions } from "./fetch-options.ts";
import type { OciFileReference } from "./image-reference.ts";
import { verifyOciImage } from "./verify-oci.ts";

/**
 * Imports an image from an OCI layout or an archive, whatever the pull policy is. Layers that the store has are not
 * read. Returns the full key.
 */
export async function fetchOciFile(reference: OciFileReference, options: FetchOptions): Promise<string> {
	const { store, insecure, log } = options;
	log.info(`using image from ${reference.text}`);
	const { image, chosen } = await openImageFile(reference, store.temporaryDirectory());
	try {
		const unverified = { name: ociImageName(image), source: image.source, path: chosen.path };
		const signer = insecure.image ? undefined : await verifyOciImage(unverified, options);
		const latest = image.reference?.tag === "latest";
		return (await importOciImage(image, { store, log, latest, insecure: insecure.image, signer })).key;
	} finally {
		await image.close();
	}
}
