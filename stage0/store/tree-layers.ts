import * as path from "node:path";
import { readTextIfExists } from "../../lib/files.ts";

/**
 * The layers that the files of a tree are in, bottom first: those of an OCI image. Its own directory only holds what no
 * single layer can know. Undefined for a tree that has all of its files itself.
 */
export function readTreeLayers(directory: string): string[] | undefined {
	return readTextIfExists(path.join(directory, "layers"))
		?.split("\n")
		.filter((line) => /^sha256:[0-9a-f]{64}$/.test(line));
}
