import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import type { ImageReference } from "../fetch/image-reference.ts";
import { archiveFiles } from "./archive-files.ts";

/** Names at the top of an archive by which it is told. docker writes the first two; only the first knows whole names. */
const MARKS = [
	["manifest.json", "docker-archive"],
	["oci-layout", "oci-archive"],
	["manifest", "file"],
] as const;

/**
 * Tells what kind of image a file or directory holds by what is in it: an ACI, an OCI layout, the same in an archive, or
 * what `docker save` writes. Errors: `file-not-found`, `image-file-unknown`, those of {@link archiveFiles}.
 */
export async function detectImageFile(word: string, temporaryDirectory: string): Promise<ImageReference> {
	const file = path.resolve(word);
	if (fs.statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
		if (fs.existsSync(path.join(file, "oci-layout"))) {
			return { type: "oci", text: word, path: file, image: undefined };
		}
		return unknownFile(file, "it is a directory without a file oci-layout");
	}
	const files = await archiveFiles(file, temporaryDirectory);
	try {
		const type = MARKS.find(([name]) => files.size(name) !== undefined)?.[1];
		if (type === undefined) return unknownFile(file, "its archive holds no manifest of any kind");
		return type === "file"
			? { type, text: word, path: file }
			: { type, text: word, path: file, image: undefined };
	} finally {
		await files.close();
	}
}

function unknownFile(file: string, problem: string): never {
	return fail("image-file-unknown", `${file} is no image: ${problem}`, {
		hint: "give an ACI, an OCI layout (a directory or a tar archive), or what docker save or podman save wrote",
	});
}
