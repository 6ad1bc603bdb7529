import { fail } from "../../lib/errors.ts";
import type { ImageFiles } from "./image-files.ts";

/** All of a small file. Errors: `oci-file-missing`, `oci-invalid` when it is larger. */
export async function readImageFile(files: ImageFiles, name: string, maxBytes: number): Promise<Buffer> {
	const size = files.size(name);
	if (size === undefined) throw missingFile(files, name);
	if (size > maxBytes) refuseSize(files, name, maxBytes);
	const parts: Buffer[] = [];
	let seen = 0;
	for await (const chunk of files.open(name)) {
		seen += chunk.length;
		// It may grow meanwhile.
		if (seen > maxBytes) refuseSize(files, name, maxBytes);
		parts.push(chunk);
	}
	return Buffer.concat(parts);
}

function refuseSize({ source }: ImageFiles, name: string, maxBytes: number): never {
	return fail("oci-invalid", `${source}: ${name} has more than ${maxBytes} bytes`, {
		hint: "this is no image that a program makes",
	});
}

export function missingFile({ source }: ImageFiles, name: string): Error {
	try {
		return fail("oci-file-missing", `${source}: there is no file ${name}`, {
			hint: "the image was not copied completely, or is of another kind: see docs/images.md",
		});
	} catch (error) {
		return error as Error;
	}
}
