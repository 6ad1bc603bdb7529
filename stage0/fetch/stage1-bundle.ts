import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { readTextIfExists } from "../../lib/files.ts";

/** A stage1 image that was built together with this program. */
export interface BundledStage1 {
	/** Absolute path. */
	readonly file: string;
	/** Full image ID: the image is trusted because it is exactly this one. */
	readonly id: string;
	readonly name: string;
	readonly version: string;
	/** Version of the systemd package that it was made from; undefined in images of other builds. */
	readonly systemd?: string;
}

/** The images of `stage1-images.json` beside the program, by short name. Errors: `stage1-bundle-invalid`. */
export function bundledStage1(programDirectory: string): ReadonlyMap<string, BundledStage1> {
	const list = path.join(programDirectory, "stage1-images.json");
	const text = readTextIfExists(list);
	if (text === undefined) return new Map();
	try {
		const entries = Object.entries(JSON.parse(text) as Record<string, BundledStage1>);
		return new Map(entries.map(([name, image]) => [name, checkEntry(image, programDirectory)]));
	} catch (error) {
		return fail("stage1-bundle-invalid", `${list} is damaged`, { hint: "install rkt again", cause: error });
	}
}

function checkEntry(image: BundledStage1, programDirectory: string): BundledStage1 {
	if (!/^sha512-[0-9a-f]{128}$/.test(image.id)) throw new Error(`bad image ID ${image.id}`);
	return { ...image, file: path.resolve(programDirectory, image.file) };
}
