import type { OciDescriptor } from "../../appc/oci/descriptor.ts";
import {
	MAX_OCI_MANIFEST_BYTES,
	type OciIndex,
	type OciManifest,
	parseOciDocument,
} from "../../appc/oci/manifest.ts";
import {
	choosePlatform,
	formatPlatform,
	hostPlatform,
	imagesOf,
	type RunnablePlatform,
} from "../../appc/oci/platform.ts";
import { fail } from "../../lib/errors.ts";
import { sha256Digest, verifyBytes } from "./verified-blob.ts";

/** A manifest or index as it is stored. */
export interface RawDocument {
	readonly bytes: Buffer;
	/** What its keeper says that it is, or "". */
	readonly mediaType: string;
	/** `sha256:…` or `sha512:…`, checked. */
	readonly digest: string;
}

export interface ChosenManifest {
	/** The manifest of one image. */
	readonly manifest: OciManifest;
	readonly document: RawDocument;
	/** From what the name means to the manifest: indexes, then the manifest itself. */
	readonly path: readonly RawDocument[];
}

/** An index in an index in an index is one too many for an image. */
const MAX_DEPTH = 4;

/**
 * Goes down from a document to the manifest of an image for this machine. `read` gets the documents that an index
 * names. Errors: `oci-platform-missing`, `oci-invalid`, those of {@link parseOciDocument} and {@link verifyBytes}.
 */
export async function chooseManifest(
	top: RawDocument,
	read: (descriptor: OciDescriptor) => Promise<Buffer>,
	source: string,
	platform: RunnablePlatform = hostPlatform(),
): Promise<ChosenManifest> {
	const path = [top];
	for (let document = top; ; ) {
		const parsed = parseOciDocument(document.bytes, source, document.mediaType);
		if (parsed.type === "manifest") return { manifest: parsed.manifest, document, path };
		if (path.length === MAX_DEPTH)
			fail("oci-invalid", `${source}: indexes are nested more than ${MAX_DEPTH - 1} deep`);
		document = await readEntry(entryFor(parsed.index, platform, source), read, source);
		path.push(document);
	}
}

function entryFor(index: OciIndex, platform: RunnablePlatform, source: string): OciDescriptor {
	const entry = choosePlatform(index.manifests, platform);
	if (entry) return entry;
	const offered = imagesOf(index.manifests).flatMap((item) =>
		item.platform ? [formatPlatform(item.platform)] : [],
	);
	const list = [...new Set(offered)]
		.slice(0, 20)
		.map((name) => name.replace(/[^\x21-\x7e]/g, "?").slice(0, 40));
	return fail(
		"oci-platform-missing",
		`${source}: there is no image for ${platform.os}/${platform.architecture}`,
		{
			hint: list.length > 0 ? `there is one for: ${list.join(", ")}` : "it names no other platform either",
		},
	);
}

async function readEntry(
	entry: OciDescriptor,
	read: (descriptor: OciDescriptor) => Promise<Buffer>,
	source: string,
): Promise<RawDocument> {
	if (entry.size > MAX_OCI_MANIFEST_BYTES) {
		fail(
			"oci-invalid",
			`${source}: a manifest of ${entry.size} bytes, at most ${MAX_OCI_MANIFEST_BYTES} are read`,
		);
	}
	const bytes = await read(entry);
	const what = `manifest ${entry.digest} of ${source}`;
	if (bytes.length !== entry.size) {
		fail("oci-size-mismatch", `${what}: ${bytes.length} bytes, but ${entry.size} were announced`, {
			hint: "the content was changed or damaged on its way: try again, and tell whoever keeps it",
		});
	}
	verifyBytes(bytes, entry.digest, what);
	return { bytes, mediaType: entry.mediaType, digest: entry.digest };
}

/** A document whose digest nobody has said. */
export function rawDocument(bytes: Buffer, mediaType: string): RawDocument {
	return { bytes, mediaType, digest: sha256Digest(bytes) };
}
