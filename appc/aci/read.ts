import { type ImageManifest, parseImageManifest } from "../schema/image-manifest.ts";
import { type ImageID, imageIDFromDigest } from "../types/image-id.ts";
import { type Compression, decompress } from "./decompress.ts";
import type { EntryBody, TarEntry } from "./entry.ts";
import { createLayout } from "./layout.ts";
import { type AciLimits, DEFAULT_ACI_LIMITS } from "./limits.ts";
import { createMeter } from "./meter.ts";
import { refuseAci, refuseSize } from "./refuse.ts";
import { type RawEntry, readTar } from "./tar-read.ts";

export interface ReadAciOptions {
	/** What the image is called in messages: a path, a URL, an image ID. */
	readonly source: string;
	readonly limits?: Partial<AciLimits>;
	/**
	 * Called for `rootfs` and each entry below it, in the order of the archive; the next one comes when the promise
	 * is settled. The body of a file may be left unread.
	 */
	readonly onEntry?: (entry: TarEntry, body: EntryBody) => Promise<void> | void;
	/** Called for each piece of the uncompressed archive, before its entries. */
	readonly onUncompressedChunk?: (chunk: Buffer) => Promise<void> | void;
}

export interface ReadAci {
	readonly imageId: ImageID;
	readonly manifest: ImageManifest;
	/** The manifest as it stands in the archive. */
	readonly manifestText: string;
	readonly compression: Compression;
	readonly uncompressedBytes: number;
	/** Entries of the archive, `manifest` included. */
	readonly entries: number;
}

/**
 * Reads an image once, as a stream: decompresses, computes the image ID, checks every entry, reads the manifest.
 * Memory use does not depend on the sizes of files. On success the whole input was read and obeys the rules of
 * layout.ts; on failure the input is closed.
 * Errors: `aci-invalid`, `aci-truncated`, `aci-too-large`, `json-invalid`, `manifest-invalid`, `program-missing`,
 * and whatever the input and the callbacks throw.
 */
export async function readAci(input: AsyncIterable<Buffer>, options: ReadAciOptions): Promise<ReadAci> {
	const { source } = options;
	const limits = { ...DEFAULT_ACI_LIMITS, ...options.limits };
	const meter = createMeter("sha512", source, limits);
	const { compression, chunks } = await decompress(meter.compressed(input), source);
	const layout = createLayout(source, limits);
	let manifestText: string | undefined;
	let manifest: ImageManifest | undefined;
	const visit = (raw: RawEntry): Promise<void> | void => {
		checkFileSize(raw, limits, source);
		meter.addHoles(raw.holeBytes);
		const entry = layout.check(raw);
		if (entry?.path === "manifest") return takeManifest(entry, raw.body);
		return entry && options.onEntry?.(entry, raw.body);
	};
	const takeManifest = async (entry: TarEntry, body: EntryBody): Promise<void> => {
		manifestText = await readManifest(entry, body, limits, source);
		manifest = parseImageManifest(manifestText, `manifest of ${source}`);
	};
	await readTar(meter.expanded(chunks, options.onUncompressedChunk), source, visit);
	layout.finish();
	if (manifest === undefined || manifestText === undefined) return refuseAci(source, "it has no manifest");
	const { digest, uncompressedBytes } = meter.result();
	const imageId = imageIDFromDigest(digest);
	return { imageId, uncompressedBytes, compression, manifest, manifestText, entries: layout.entries };
}

function checkFileSize({ size }: RawEntry, limits: AciLimits, source: string): void {
	if (size > limits.maxExpandedBytes)
		refuseSize(source, `a file of ${size} bytes, at most ${limits.maxExpandedBytes} are read`);
}

async function readManifest(
	entry: TarEntry,
	body: EntryBody,
	limits: AciLimits,
	source: string,
): Promise<string> {
	if (entry.size > limits.maxManifestBytes) {
		refuseSize(source, `a manifest of ${entry.size} bytes, at most ${limits.maxManifestBytes} are read`);
	}
	const pieces: Buffer[] = [];
	for await (const chunk of body) pieces.push(chunk);
	const bytes = Buffer.concat(pieces);
	const text = bytes.toString("utf8");
	return Buffer.from(text).equals(bytes) ? text : refuseAci(source, "its manifest is not valid UTF-8");
}
