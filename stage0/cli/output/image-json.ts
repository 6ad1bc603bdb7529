import { DOCKER_ANNOTATIONS } from "../../../appc/oci/oci-annotations.ts";
import { annotationValue } from "../../../appc/schema/common.ts";
import { appMembers } from "../../../appc/schema/serialize.ts";
import type { InspectedImage } from "../commands/image-inspect.ts";

const NS_PER_MS = 1_000_000;

/** An image as `rkt image inspect --format=json` prints it: times in nanoseconds, sizes in bytes, IDs in full. */
export function imageToJson({ record, manifest, sizes, tree }: InspectedImage): Record<string, unknown> {
	return {
		id: record.key,
		name: record.name,
		labels: Object.fromEntries(record.labels.map(({ name, value }) => [name, value])),
		format: record.layers === undefined ? "aci" : "oci",
		source: record.source,
		signature: record.insecure ? "unchecked" : "verified",
		signer: record.signer,
		latest: record.latest,
		import_time: record.importTime * NS_PER_MS,
		last_used_time: record.lastUsed * NS_PER_MS,
		size: sizes.total,
		shared_size: sizes.shared,
		archive_size: record.layers === undefined ? record.size : undefined,
		tree: tree && {
			id: tree.treeId,
			rendered: tree.rendered,
			size: tree.rendered ? record.treeStoreSize : 0,
		},
		layers: sizes.layers.map(({ diffId, size, sharedBy }) => ({
			diff_id: diffId,
			size,
			...(sharedBy.length > 0 ? { shared_by: sharedBy } : {}),
		})),
		manifest_digest: annotationValue(manifest.annotations, DOCKER_ANNOTATIONS.manifestHash),
		config_digest: annotationValue(manifest.annotations, DOCKER_ANNOTATIONS.imageId),
		dependencies: record.dependencies.map(({ imageName, imageID }) => ({ name: imageName, id: imageID })),
		app: manifest.app && appMembers(manifest.app),
		guest_kernel: record.guestKernel ?? undefined,
	};
}
