import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { pipeline } from "node:stream/promises";
import type { ImageRecord } from "./image-record.ts";
import type { StoreLayout } from "./layout.ts";

/** Reads the archive of an image and compares it with the image ID. */
export async function verifyArchive(layout: StoreLayout, { key, layers }: ImageRecord): Promise<boolean> {
	if (layers !== undefined) return true;
	const hash = createHash("sha512");
	await pipeline(fs.createReadStream(layout.blob(key), { highWaterMark: 1024 * 1024 }), hash);
	return `sha512-${hash.digest("hex")}` === key;
}
