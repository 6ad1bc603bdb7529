import { createHash } from "node:crypto";
import { PassThrough, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type ImageID, imageIDFromDigest } from "../types/image-id.ts";
import type { AciContent } from "./directory-entries.ts";
import { createTarPacker, writableSink } from "./tar-pack.ts";

export interface WriteAciOptions {
	/** The text of the image manifest. */
	readonly manifest: string;
	/** `rootfs` and what is below it, parents before their children. */
	readonly rootfs: AsyncIterable<AciContent> | Iterable<AciContent>;
	/** Of the entry `manifest`, in nanoseconds since 1970. Default 0. */
	readonly mtimeNs?: bigint;
	readonly compression?: "none" | "gzip";
	/** 1 to 9. */
	readonly level?: number;
}

export interface WrittenAci {
	readonly imageId: ImageID;
	readonly uncompressedBytes: number;
}

/**
 * Writes an image: the manifest first, then the root file system in the given order. The same content gives the
 * same bytes. Ends `output`. Errors: `archive-size`, and those of the content and of the output.
 */
export async function writeAci(options: WriteAciOptions, output: Writable): Promise<WrittenAci> {
	const plain = new PassThrough();
	const written =
		options.compression === "gzip"
			? pipeline(plain, createGzip({ level: options.level ?? 6 }), output)
			: pipeline(plain, output);
	const [packed, ended] = await Promise.allSettled([pack(options, plain), written]);
	// When the content fails, the streams fail with its error; when the output fails, only they know why.
	if (ended.status === "rejected") throw ended.reason;
	if (packed.status === "rejected") throw packed.reason;
	return packed.value;
}

async function pack(options: WriteAciOptions, plain: Writable): Promise<WrittenAci> {
	const hash = createHash("sha512");
	const write = writableSink(plain);
	let uncompressedBytes = 0;
	const packer = createTarPacker((chunk) => {
		hash.update(chunk);
		uncompressedBytes += chunk.length;
		return write(chunk);
	});
	try {
		await addManifest(packer, options);
		for await (const { entry, body } of options.rootfs) await packer.add(entry, body);
		await packer.finish();
		plain.end();
	} catch (error) {
		plain.destroy(error as Error);
		throw error;
	}
	return { imageId: imageIDFromDigest(hash.digest()), uncompressedBytes };
}

async function addManifest(
	packer: ReturnType<typeof createTarPacker>,
	options: WriteAciOptions,
): Promise<void> {
	const body = Buffer.from(options.manifest);
	const mtimeNs = options.mtimeNs ?? 0n;
	await packer.add(
		{ path: "manifest", type: "file", mode: 0o644, uid: 0, gid: 0, size: body.length, mtimeNs },
		body,
	);
}
