import type { FetchOptions } from "./fetch-options.ts";
import type { ImageReference } from "./image-reference.ts";

/** Gets an image and its dependencies into the store by the pull policy. Returns the full key. */
export async function fetchImage(reference: ImageReference, options: FetchOptions): Promise<string> {
	throw new Error(`${reference.text} ${options.pullPolicy}`);
}
