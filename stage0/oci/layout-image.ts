import * as path from "node:path";
import type { OciDescriptor } from "../../appc/oci/descriptor.ts";
import { digestParts } from "../../appc/oci/digest.ts";
import { MAX_OCI_MANIFEST_BYTES, type OciIndex, parseOciDocument } from "../../appc/oci/manifest.ts";
import { OCI_INDEX } from "../../appc/oci/media-types.ts";
import { parseRegistryReference } from "../../appc/oci/reference.ts";
import { quote } from "../../appc/types/quote.ts";
import { fail } from "../../lib/errors.ts";
import { parseJson } from "../../lib/json.ts";
import { type ChosenManifest, chooseManifest, rawDocument } from "./choose-manifest.ts";
import { fileReference } from "./file-reference.ts";
import type { ImageFiles } from "./image-files.ts";
import type { OciImage, OciReference } from "./image-source.ts";
import { loadOciImage } from "./load-image.ts";
import { readImageFile } from "./read-file.ts";

export interface LayoutImage {
	readonly image: OciImage;
	readonly chosen: ChosenManifest;
}

const REF_NAME = "org.opencontainers.image.ref.name";
const MAX_LAYOUT_BYTES = 4096;

/**
 * One image of an OCI image layout (OCI image specification 1.1, Image Layout), by the name that its index gives it;
 * the name may be left out when there is one image. Closes `files` when it fails.
 * Errors: `oci-file-missing`, `oci-invalid`, `oci-image-unknown`, those of {@link chooseManifest} and of the image.
 */
export async function openLayoutImage(files: ImageFiles, tag: string | undefined): Promise<LayoutImage> {
	try {
		await checkLayout(files);
		const indexBytes = await readImageFile(files, "index.json", MAX_OCI_MANIFEST_BYTES);
		const source = tag === undefined ? files.source : `${files.source}:${tag}`;
		const entries = chooseEntries(indexBytes, tag, source);
		const read = (entry: OciDescriptor) => readImageFile(files, blobName(entry), MAX_OCI_MANIFEST_BYTES);
		const top = rawDocument(Buffer.from(narrowedIndex(entries)), OCI_INDEX);
		const found = await chooseManifest(top, read, source);
		// The index of the layout is this machine's list, no part of the image.
		const chosen = { ...found, path: found.path.slice(1) };
		const { document, manifest } = chosen;
		const image = await loadOciImage(
			{
				source,
				reference: referenceOf(files, entries[0], tag),
				manifest,
				manifestDigest: document.digest,
				manifestText: document.bytes.toString("utf8"),
			},
			{ open: (descriptor) => files.open(blobName(descriptor)), close: async () => {} },
		);
		return { image: { ...image, close: () => files.close() }, chosen };
	} catch (error) {
		await files.close();
		throw error;
	}
}

/** A digest is hexadecimal digits, so that no path leads elsewhere. */
function blobName({ digest }: Pick<OciDescriptor, "digest">): string {
	const { algorithm, hex } = digestParts(digest);
	return `blobs/${algorithm}/${hex}`;
}

async function checkLayout(files: ImageFiles): Promise<void> {
	const source = `${files.source}: oci-layout`;
	const content = parseJson(await readImageFile(files, "oci-layout", MAX_LAYOUT_BYTES), source);
	const version = (content as { imageLayoutVersion?: unknown } | null)?.imageLayoutVersion;
	if (typeof version === "string" && /^1\.\d+\.\d+$/.test(version)) return;
	fail("oci-invalid", `${source}: version ${quote(version)} of the layout is not known`, {
		hint: "rkt reads layouts of version 1",
	});
}

function chooseEntries(bytes: Buffer, tag: string | undefined, source: string): readonly OciDescriptor[] {
	const index = readIndex(bytes, source);
	const nameOf = (entry: OciDescriptor) => entry.annotations?.[REF_NAME];
	const fitting =
		tag === undefined ? index.manifests : index.manifests.filter((entry) => nameOf(entry) === tag);
	const names = [...new Set(index.manifests.flatMap((entry) => nameOf(entry) ?? []))];
	const several = tag === undefined && new Set(fitting.map(nameOf)).size > 1;
	if (fitting.length > 0 && !several) return fitting;
	const problem = fitting.length === 0 ? "there is no such image" : "there are several images";
	const list = names.slice(0, 20).map(quote).join(", ");
	return fail("oci-image-unknown", `${source}: ${problem}`, {
		hint: list === "" ? "its index names no image" : `name one behind the path, as in PATH:TAG: ${list}`,
	});
}

function readIndex(bytes: Buffer, source: string): OciIndex {
	const document = parseOciDocument(bytes, `${source}: index.json`, OCI_INDEX);
	if (document.type === "index") return document.index;
	return fail("oci-invalid", `${source}: index.json is not an index`);
}

/** An entry that stands alone is what is wanted, whatever platform it names. */
function narrowedIndex(entries: readonly OciDescriptor[]): string {
	const manifests =
		entries.length === 1 ? entries.map((entry) => ({ ...entry, platform: undefined })) : entries;
	return JSON.stringify({ schemaVersion: 2, manifests });
}

function referenceOf(
	files: ImageFiles,
	entry: OciDescriptor | undefined,
	tag: string | undefined,
): OciReference {
	const name = tag ?? entry?.annotations?.[REF_NAME] ?? "";
	const full = /[/]/.test(name) ? parseRegistryReference(name) : "";
	return typeof full === "string" ? fileReference(path.basename(files.source), name) : full;
}
