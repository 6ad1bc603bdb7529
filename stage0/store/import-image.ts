import { createHash } from "node:crypto";
import * as fs from "node:fs";
import type { Readable } from "node:stream";
import { type ReadAci, readAci } from "../../appc/aci/read.ts";
import type { ImageManifest } from "../../appc/schema/image-manifest.ts";
import { prepareForBulkWork } from "../../lib/bulk-work.ts";
import { crashPoint } from "../../lib/crash-point.ts";
import { fail, isErrno } from "../../lib/errors.ts";
import { renameDurable, writeFileAtomic } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { readGuestKernel } from "../../stage1/guest-kernel.ts";
import { type BlobWriter, createBlobWriter } from "./blob-writer.ts";
import type { EarlyTree } from "./early-tree.ts";
import { type ImageRecord, readRecord, writeRecord } from "./image-record.ts";
import { createFanOut, createLayout, type StoreLayout, unusable } from "./layout.ts";
import { withLock } from "./named-lock.ts";

export interface ImportOptions {
	/** A URL or path, for messages and the record. */
	readonly source: string;
	/** Discovered without a version label. */
	readonly latest?: boolean;
	/**
	 * Unpack while reading, for an image that is going to be run: only when nothing is left to verify but the image
	 * itself. Needs root.
	 */
	readonly render?: boolean;
	/** No signature was checked. */
	readonly insecure?: boolean;
	/** What the archive must have as image ID, in full or cut short. Error `image-id-mismatch`. */
	readonly expectedId?: string | undefined;
	/**
	 * Called with the whole archive read and checked, before anything is visible in the store: throws to refuse
	 * it (name, labels, signature). Gives who signed it, for the record.
	 */
	readonly accept?: (candidate: Candidate) => Signer | Promise<Signer>;
}

/** As {@link ImageRecord.signer}; undefined when nobody did. */
export type Signer = string | undefined;

export interface Candidate {
	/** The full image ID. */
	readonly key: string;
	readonly manifest: ImageManifest;
	/** Of the uncompressed archive, in bytes. */
	readonly size: number;
}

/**
 * Reads an archive once: unpacks, hashes, checks it and writes it uncompressed to a temporary file, which becomes
 * the image's blob when everything was right. A blob that is there already is replaced, which repairs a damaged one.
 * Errors: those of {@link readAci} and of `accept`, `image-id-mismatch`, `file-not-found`, `disk-full`,
 * `data-directory-unusable`.
 */
export async function importImage(
	layout: StoreLayout,
	syscall: Syscall,
	input: string | Readable,
	options: ImportOptions,
): Promise<ImageRecord> {
	const stream = typeof input === "string" ? openArchive(input) : input;
	createLayout(layout);
	prepareForBulkWork();
	try {
		const writer = createBlobWriter(layout.temporaryDirectory, syscall);
		const tree = options.render ? await startTree(layout, syscall) : undefined;
		try {
			crashPoint("import-begin");
			const { aci, signer } = await readInto(writer, tree, stream, options);
			crashPoint("import-read");
			const record = await withLock(syscall, layout.imageLock(aci.imageId), () =>
				publish(layout, writer, aci, { ...options, signer }),
			);
			if (tree && standsAlone(aci)) await tree.adopt(record);
			return record;
		} finally {
			writer.close();
			await tree?.discard();
		}
	} catch (error) {
		throw unusable(error, layout.dataDirectory);
	}
}

function openArchive(file: string): Readable {
	try {
		// Without O_NONBLOCK, opening a FIFO would wait for a writer.
		const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
		if (!fs.fstatSync(fd).isFile()) fail("file-not-found", `${file} is not a regular file`);
		return fs.createReadStream(file, { fd, highWaterMark: 256 * 1024 });
	} catch (error) {
		if (!isErrno(error, "ENOENT", "ENOTDIR", "EACCES")) throw error;
		return fail("file-not-found", `cannot open the image file ${file}`, { cause: error });
	}
}

async function startTree(layout: StoreLayout, syscall: Syscall): Promise<EarlyTree> {
	const { beginEarlyTree } = await import("./early-tree.ts");
	return beginEarlyTree(layout, syscall);
}

/** Its tree has all of its files and nothing else. */
function standsAlone({ manifest }: ReadAci): boolean {
	return manifest.dependencies.length === 0 && manifest.pathWhitelist.length === 0;
}

async function readInto(
	writer: BlobWriter,
	tree: EarlyTree | undefined,
	stream: Readable,
	options: ImportOptions,
): Promise<{ aci: ReadAci; signer: Signer }> {
	const aci = await readAci(stream as AsyncIterable<Buffer>, {
		source: options.source,
		onUncompressedChunk: (chunk) => writer.write(chunk),
		...(tree && { onEntry: (entry, body) => tree.writer.add(entry, body) }),
	});
	if (options.expectedId !== undefined && !aci.imageId.startsWith(options.expectedId)) {
		fail(
			"image-id-mismatch",
			`${options.source}: the image ID is ${aci.imageId}, expected ${options.expectedId}`,
			{
				hint: "the image was changed since its ID was written down: ask its publisher",
			},
		);
	}
	const candidate = { key: aci.imageId, manifest: aci.manifest, size: aci.uncompressedBytes };
	const signer = await options.accept?.(candidate);
	await Promise.all([writer.finish(), tree?.writer.finish()]);
	return { aci, signer };
}

/** In the order in which a killed process leaves nothing that looks complete: the record comes last. */
function publish(
	layout: StoreLayout,
	writer: BlobWriter,
	aci: ReadAci,
	options: ImportOptions & { readonly signer: Signer },
): ImageRecord {
	const key = aci.imageId;
	const known = readRecord(layout, key);
	createFanOut(layout.blob(key));
	createFanOut(layout.manifest(key));
	renameDurable(writer.file, layout.blob(key));
	crashPoint("import-blob");
	writeFileAtomic(layout.manifest(key), aci.manifestText, 0o660);
	crashPoint("import-manifest");
	const { name, labels, dependencies } = aci.manifest;
	const record: ImageRecord = {
		key,
		name,
		labels,
		dependencies: dependencies.map(({ imageName, imageID, labels, size }) => ({
			imageName,
			imageID,
			labels,
			size,
		})),
		importTime: Date.now(),
		lastUsed: Date.now(),
		latest: options.latest ?? false,
		size: aci.uncompressedBytes,
		treeStoreSize: known?.treeStoreSize ?? 0,
		insecure: options.insecure ?? false,
		...(options.signer === undefined ? {} : { signer: options.signer }),
		source: options.source,
		manifestHash: createHash("sha256").update(aci.manifestText).digest("hex"),
		guestKernel: readGuestKernel(aci.manifest) ?? null,
	};
	writeRecord(layout, record);
	crashPoint("import-record");
	return record;
}
