import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { makeOciImage } from "./oci-image.ts";
import { makeLayer, type OciLayer } from "./oci-layer.ts";
import { writeOciLayout } from "./oci-layout.ts";

/** Unpacks layers, bottom first, with umoci into a new directory; gives the root file system. Throws what umoci says. */
export function unpackWithUmoci(layers: readonly OciLayer[], directory: string): string {
	const layout = path.join(directory, "layout");
	// umoci of Debian 12 does not know zstd.
	const plain = layers.map(({ tar }) => makeLayer(tar));
	writeOciLayout(layout, [{ tag: "latest", images: [makeOciImage({ layers: plain })] }]);
	const bundle = path.join(directory, "bundle");
	const result = spawnSync("umoci", ["unpack", "--image", `${layout}:latest`, bundle], { encoding: "utf8" });
	if (result.status !== 0) throw new Error(`umoci: ${result.error?.message ?? result.stderr}`);
	return path.join(bundle, "rootfs");
}
