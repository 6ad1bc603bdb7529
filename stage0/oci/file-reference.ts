import { isRepository, isTag } from "../../appc/oci/reference.ts";
import type { OciReference } from "./image-source.ts";

/** What podman calls the registry of images that come from no registry. */
const NO_REGISTRY = "localhost";

/** The name of an image in a file whose own name is all that there is: `localhost/FILE:TAG`. */
export function fileReference(fileName: string, tag: string): OciReference {
	const stem = fileName.replace(/\.(?:tar|oci|tgz)(?:\.(?:gz|xz|bz2))?$/i, "").toLowerCase();
	const words = stem.replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
	const repository = isRepository(words) ? words : "image";
	return { registry: NO_REGISTRY, repository, ...(isTag(tag) ? { tag } : {}) };
}
