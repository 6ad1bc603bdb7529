import type { Label } from "../../appc/types/labels.ts";

/** An IMAGE argument of the command line. `text` is what the user typed. */
export type ImageReference =
	| { readonly type: "hash"; readonly text: string; readonly prefix: string }
	| { readonly type: "name"; readonly text: string; readonly name: string; readonly labels: readonly Label[] }
	| { readonly type: "url"; readonly text: string; readonly url: string }
	| { readonly type: "file"; readonly text: string; readonly path: string }
	| { readonly type: "docker"; readonly text: string };

/**
 * Tells what an IMAGE argument means, in rkt's order: hash, URL scheme, path, name.
 * Errors: `image-reference-invalid`, `image-name-invalid`.
 */
export function parseImageReference(text: string): ImageReference {
	throw new Error(text);
}
