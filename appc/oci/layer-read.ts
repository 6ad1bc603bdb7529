import { fail } from "../../lib/errors.ts";
import { formatOf, type Sniffed, sniff } from "../aci/decompress.ts";
import type { EntryBody, TarEntry } from "../aci/entry.ts";
import { expand } from "../aci/expand.ts";
import { type AciLimits, DEFAULT_ACI_LIMITS } from "../aci/limits.ts";
import { createMeter } from "../aci/meter.ts";
import { refuseAci, refuseSize } from "../aci/refuse.ts";
import { readTar } from "../aci/tar-read.ts";
import { createLayerRules, type LayerShape } from "./layer-rules.ts";

export interface ReadLayerOptions {
	/** What the layer is called in messages. */
	readonly source: string;
	/** `sha256:` and the digest that the uncompressed archive must have. */
	readonly diffId: string;
	/** What the input is checked against while it is read: it ends with an error when it has another digest. */
	readonly checkedDigest?: string;
	readonly limits?: Partial<AciLimits>;
	/**
	 * Called for each entry in the order of the archive, paths relative to the root, which is the empty path; the next one
	 * comes when the promise is settled. The body of a file may be left unread. Several entries may have one path: then
	 * the last one counts. White-outs are not among them.
	 */
	readonly onEntry?: (entry: TarEntry, body: EntryBody) => Promise<void> | void;
	/** Called for each piece of the uncompressed archive, before its entries. */
	readonly onUncompressedChunk?: (chunk: Buffer) => Promise<void> | void;
}

export interface ReadLayer {
	readonly shape: LayerShape;
	readonly compression: LayerCompression;
	readonly uncompressedBytes: number;
	readonly entries: number;
}

export type LayerCompression = "gzip" | "zstd" | "none";

/** Layers are read several at once: pieces of 64 KiB cost a few percent of time, and save 20 MiB of memory that waits for its collection. */
const GUNZIP_PIECE = 64 * 1024;

/**
 * Reads a layer once, as a stream: decompresses, computes the digest, checks every entry. Memory use does not depend
 * on the sizes of files. On success the whole input was read, has the digest and obeys the rules of layer-rules.ts; on
 * failure the input is closed. What came to `onEntry` before the digest was found wrong must be thrown away.
 * Errors: `layer-digest-mismatch`, `aci-invalid`, `aci-truncated`, `aci-too-large`, `program-missing`, and whatever the
 * input and the callbacks throw.
 */
export async function readLayer(input: AsyncIterable<Buffer>, options: ReadLayerOptions): Promise<ReadLayer> {
	const { source, onEntry } = options;
	const limits = { ...DEFAULT_ACI_LIMITS, ...options.limits };
	const meter = createMeter("sha256", source, limits);
	const { compression, chunks } = await decompressLayer(meter.compressed(input), source);
	const rules = createLayerRules(source, limits);
	// What is stored as it is need not be hashed twice.
	const checked = compression === "none" && options.checkedDigest === options.diffId;
	await readTar(
		meter.expanded(chunks, options.onUncompressedChunk, { hashed: !checked }),
		source,
		(raw) => {
			if (raw.size > limits.maxExpandedBytes)
				refuseSize(source, `a file of ${raw.size} bytes, at most ${limits.maxExpandedBytes} are read`);
			meter.addHoles(raw.holeBytes);
			const entry = rules.check(raw);
			return entry && onEntry?.(entry, raw.body);
		},
		{ endMarkOptional: true },
	);
	const { digest, uncompressedBytes } = meter.result();
	if (!checked) checkDiffId(`sha256:${digest.toString("hex")}`, options);
	return { shape: rules.finish(), compression, uncompressedBytes, entries: rules.entries };
}

function checkDiffId(found: string, { source, diffId }: ReadLayerOptions): void {
	if (found === diffId) return;
	fail("layer-digest-mismatch", `${source}: its content has the digest ${found}, expected ${diffId}`, {
		hint: "the image was damaged or changed on its way: fetch it again, or ask its publisher",
	});
}

/**
 * The tar stream inside a layer, told by its first bytes: media types of real images are not always right, and the
 * digest of the content decides. Errors: `aci-invalid`, `aci-truncated`, `program-missing`.
 */
async function decompressLayer(
	input: AsyncIterable<Buffer>,
	source: string,
): Promise<{ readonly compression: LayerCompression; readonly chunks: AsyncIterable<Buffer> }> {
	const outer = await sniff(input);
	const format = formatOf(outer.head) ?? "none";
	if (format === "gzip" || format === "zstd")
		return { compression: format, chunks: expand(format, outer.chunks, source, GUNZIP_PIECE) };
	if (format === "none") return { compression: "none", chunks: outer.chunks };
	return refuseFormat(outer, format, source);
}

async function refuseFormat(outer: Sniffed, format: string, source: string): Promise<never> {
	await outer.close();
	return refuseAci(source, `it is compressed with ${format}; layers may be compressed with gzip or zstd`);
}
