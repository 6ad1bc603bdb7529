import * as path from "node:path";
import type { LayerShape } from "../../appc/oci/layer-rules.ts";
import { encodeChecked, readChecked } from "./checked-text.ts";

const SHAPE_FILE = "shape";

/** What an unpacked layer says beside its files, as it is kept beside them. */
export function encodeShape(shape: LayerShape): Record<string, string> {
	return { [SHAPE_FILE]: encodeChecked(JSON.stringify(shape)) };
}

/** Undefined when it is not there or damaged. */
export function readShape(directory: string): LayerShape | undefined {
	const text = readChecked(path.join(directory, SHAPE_FILE));
	return text ? (JSON.parse(text) as LayerShape) : undefined;
}
