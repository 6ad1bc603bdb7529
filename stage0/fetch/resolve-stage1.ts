import type { FetchOptions } from "./fetch-options.ts";

/** The `--stage1-*` flag that was given; `image` is 0.8's `--stage1-image`: path, URL, hash or short name. */
export type Stage1Selection =
	| { readonly kind: "default" }
	| { readonly kind: "url" | "path" | "name" | "hash" | "from-dir" | "image"; readonly value: string };

export interface Stage1Options extends FetchOptions {
	/** Where stage1-images.json and the bundled images are: the directory of the program. */
	readonly programDirectory: string;
}

/** The key of the stage1 image; imported when it is not in the store. */
export async function resolveStage1(selection: Stage1Selection, options: Stage1Options): Promise<string> {
	throw new Error(`${selection.kind} ${options.programDirectory}`);
}
