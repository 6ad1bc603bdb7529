import { fail } from "../../lib/errors.ts";
import { quote } from "../types/quote.ts";

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
export const DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json";
export const DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws";

export type LayerCompression = "none" | "gzip" | "zstd";

const LAYERS: Readonly<Record<string, LayerCompression>> = {
	"application/vnd.oci.image.layer.v1.tar": "none",
	"application/vnd.oci.image.layer.v1.tar+gzip": "gzip",
	"application/vnd.oci.image.layer.v1.tar+zstd": "zstd",
	"application/vnd.docker.image.rootfs.diff.tar": "none",
	"application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
	"application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
};

/** Layers that lie elsewhere than in the registry: docker's foreign ones, and those which OCI calls nondistributable. */
const FOREIGN =
	/^application\/vnd\.(?:oci\.image\.layer\.nondistributable\.v1\.tar|docker\.image\.rootfs\.foreign\.diff\.tar)(?:[.+][a-z]+)?$/;

export function isManifestType(type: string): boolean {
	return type === OCI_MANIFEST || type === DOCKER_MANIFEST;
}

export function isIndexType(type: string): boolean {
	return type === OCI_INDEX || type === DOCKER_MANIFEST_LIST;
}

export function isSchema1Type(type: string): boolean {
	return type === DOCKER_SCHEMA1 || type === DOCKER_SCHEMA1_SIGNED;
}

/** How a layer is stored. Errors: `oci-layer-foreign`, `oci-layer-unsupported`. */
export function layerCompression(type: string, source: string): LayerCompression {
	const known = Object.hasOwn(LAYERS, type) ? LAYERS[type] : undefined;
	if (known !== undefined) return known;
	if (FOREIGN.test(type)) {
		fail("oci-layer-foreign", `${source}: a layer of type ${quote(type)} is not kept by registries`, {
			hint: "such layers belong to Windows images, which rkt cannot run",
		});
	}
	return fail(
		"oci-layer-unsupported",
		`${source}: a layer has the type ${quote(type)}, which rkt does not know`,
		{
			hint: "layers are tar archives, plain or compressed with gzip or zstd",
		},
	);
}
