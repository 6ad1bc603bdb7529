import { setFlagsFromString } from "node:v8";

/**
 * For commands that send much data through buffers: a buffer that was used is only freed when the garbage of young
 * objects is collected, and the more room they have, the later that is. From now on it does not grow: the peak of a
 * fetch is 107 instead of 130 MiB, in the same time.
 */
export function keepMemorySteady(): void {
	setFlagsFromString("--semi-space-growth-factor=1");
}
