import { OCI_ANNOTATIONS } from "../../appc/oci/oci-annotations.ts";
import { fail } from "../../lib/errors.ts";
import { layerHex, MAX_LAYERS } from "./layer-id.ts";

/**
 * Compares a list of layers with the one that the manifest names. The image ID is the hash of the manifest, so that it
 * stands for the content of every layer. Errors: `layers-invalid`, `layer-id-invalid`.
 */
export function checkLayerList(manifestText: string, layers: readonly string[], source: string): void {
	if (layers.length === 0 || layers.length > MAX_LAYERS) {
		fail("layers-invalid", `${source} has ${layers.length} layers; an image has 1 to ${MAX_LAYERS}`, {
			hint: "let its author squash layers",
		});
	}
	for (const diffId of layers) layerHex(diffId);
	if (diffIdsOf(manifestText) === layers.join(",")) return;
	fail("layers-invalid", `${source}: its manifest names other layers than its record`, {
		hint: "remove it with rkt image rm and fetch it again",
	});
}

function diffIdsOf(manifestText: string): string | undefined {
	const { annotations } = JSON.parse(manifestText) as {
		annotations?: readonly { name: string; value: string }[] | null;
	};
	return annotations?.find(({ name }) => name === OCI_ANNOTATIONS.diffIds)?.value;
}
