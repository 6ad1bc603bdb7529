import { createHash } from "node:crypto";
import * as path from "node:path";
import * as z from "zod/mini";
import type { OciDescriptor } from "../../appc/oci/descriptor.ts";
import { parseOciImageConfig } from "../../appc/oci/image-config.ts";
import { MAX_OCI_MANIFEST_BYTES, OCI_REFUSAL, type OciManifest } from "../../appc/oci/manifest.ts";
import { DOCKER_CONFIG, DOCKER_MANIFEST } from "../../appc/oci/media-types.ts";
import { formatRegistryReference, parseRegistryReference } from "../../appc/oci/reference.ts";
import { checkSchema } from "../../appc/schema/read-schema.ts";
import { once } from "../../appc/schema/schema-kit.ts";
import { quote } from "../../appc/types/quote.ts";
import { fail } from "../../lib/errors.ts";
import { parseJson } from "../../lib/json.ts";
import { type ChosenManifest, rawDocument } from "./choose-manifest.ts";
import { fileReference } from "./file-reference.ts";
import type { ImageFiles } from "./image-files.ts";
import type { OciImage, OciReference } from "./image-source.ts";
import { type BlobSource, loadOciImage } from "./load-image.ts";
import { missingFile, readImageFile } from "./read-file.ts";
import { sha256Digest, verifyBytes } from "./verified-blob.ts";

const listSchema = once(() =>
	z.array(
		z.object({
			Config: z.string(),
			RepoTags: z._default(z.array(z.string()), []),
			/** Bottom first. */
			Layers: z._default(z.array(z.string()), []),
		}),
	),
);

type SavedImage = z.infer<ReturnType<typeof listSchema>>[number];

const MAX_SAVED_LAYERS = 1000;

/**
 * One image of what `docker save` or `podman save` wrote, by its name; the name may be left out when there is one image.
 * Such an archive has no manifest, so one is made of what it has: the layers as they are. A configuration must have the
 * digest that its file is named by, if it is, and each layer its diff ID or the digest that its file is named by.
 * Closes `files` when it fails. Errors: `oci-file-missing`, `oci-invalid`, `oci-image-unknown`, `oci-digest-mismatch`.
 */
export async function openDockerArchiveImage(
	files: ImageFiles,
	name: string | undefined,
): Promise<{ image: OciImage; chosen: ChosenManifest }> {
	try {
		const source = name === undefined ? files.source : `${files.source}:${name}`;
		const saved = chooseSaved(await readList(files), name, source);
		const config = await readConfig(files, saved, source);
		const { manifest, layerFiles } = await makeManifest(files, saved, config, source);
		const document = rawDocument(Buffer.from(JSON.stringify(manifest)), DOCKER_MANIFEST);
		const blobs: BlobSource = {
			open: (descriptor) => {
				const layer = layerFiles.get(descriptor);
				return layer === undefined ? oneChunk(config) : files.open(layer);
			},
			close: async () => {},
		};
		const image = await loadOciImage(
			{
				source,
				reference: referenceOf(files, saved, name),
				manifest,
				manifestDigest: document.digest,
				manifestText: document.bytes.toString("utf8"),
			},
			blobs,
		);
		return {
			image: { ...image, close: () => files.close() },
			chosen: { manifest, document, path: [document] },
		};
	} catch (error) {
		await files.close();
		throw error;
	}
}

async function readList(files: ImageFiles): Promise<readonly SavedImage[]> {
	const source = `${files.source}: manifest.json`;
	const bytes = await readImageFile(files, "manifest.json", MAX_OCI_MANIFEST_BYTES);
	return checkSchema(parseJson(bytes, source), source, listSchema(), "", OCI_REFUSAL);
}

function chooseSaved(list: readonly SavedImage[], name: string | undefined, source: string): SavedImage {
	const wanted = name === undefined ? undefined : normalName(name);
	const fitting =
		wanted === undefined
			? list
			: list.filter((saved) => saved.RepoTags.some((tag) => normalName(tag) === wanted));
	const [only, other] = fitting;
	if (only && !other) return only;
	const names = list
		.flatMap((saved) => saved.RepoTags)
		.slice(0, 20)
		.map(quote)
		.join(", ");
	return fail("oci-image-unknown", `${source}: there ${other ? "are several images" : "is no such image"}`, {
		hint: names === "" ? "its images have no names" : `name one behind the path, as in PATH:NAME: ${names}`,
	});
}

function normalName(name: string): string {
	const reference = parseRegistryReference(name);
	return typeof reference === "string" ? name : formatRegistryReference(reference);
}

async function readConfig(files: ImageFiles, { Config }: SavedImage, source: string): Promise<Buffer> {
	const bytes = await readImageFile(files, Config, MAX_OCI_MANIFEST_BYTES);
	const digest = namedDigest(Config);
	if (digest !== undefined) verifyBytes(bytes, digest, `configuration of ${source}`);
	return bytes;
}

/** `<sha256>.json`, `sha256:<sha256>` of kaniko and crane, `blobs/sha256/<sha256>` of newer dockers; jib has other names. */
function namedDigest(file: string): string | undefined {
	const hex = /^(?:blobs\/sha256\/|sha256:)?([0-9a-f]{64})(?:\.json|\.tar\.gz)?$/.exec(file)?.[1];
	return hex === undefined ? undefined : `sha256:${hex}`;
}

interface MadeManifest {
	readonly manifest: OciManifest;
	readonly layerFiles: ReadonlyMap<OciDescriptor, string>;
}

async function makeManifest(
	files: ImageFiles,
	{ Layers }: SavedImage,
	configBytes: Buffer,
	source: string,
): Promise<MadeManifest> {
	const { diff_ids } = parseOciImageConfig(configBytes, `configuration of ${source}`).rootfs;
	if (diff_ids.length !== Layers.length || Layers.length > MAX_SAVED_LAYERS) {
		fail(
			"oci-invalid",
			`${source}: ${Layers.length} layers are saved, its configuration has ${diff_ids.length}`,
		);
	}
	const layers = new Map<OciDescriptor, string>();
	for (const [index, file] of Layers.entries()) {
		layers.set(await describeLayer(files, file, diff_ids[index] as string), file);
	}
	const config = { mediaType: DOCKER_CONFIG, digest: sha256Digest(configBytes), size: configBytes.length };
	const manifest = {
		schemaVersion: 2 as const,
		mediaType: DOCKER_MANIFEST,
		config,
		layers: [...layers.keys()],
	};
	return { manifest, layerFiles: layers };
}

const GZIP = Buffer.from("1f8b", "hex");
const ZSTD = Buffer.from("28b52ffd", "hex");

/** A layer that is stored as it is has its diff ID as digest; docker's newer archives may hold compressed ones. */
async function describeLayer(files: ImageFiles, file: string, diffId: string): Promise<OciDescriptor> {
	const size = files.size(file);
	if (size === undefined) throw missingFile(files, file);
	const head = await firstBytes(files, file);
	const compression = head.subarray(0, 2).equals(GZIP)
		? ".gzip"
		: head.subarray(0, 4).equals(ZSTD)
			? ".zstd"
			: "";
	const mediaType = `application/vnd.docker.image.rootfs.diff.tar${compression}`;
	if (compression === "") return { mediaType, digest: diffId, size };
	return { mediaType, digest: namedDigest(file) ?? (await digestOf(files, file)), size };
}

async function firstBytes(files: ImageFiles, file: string): Promise<Buffer> {
	for await (const chunk of files.open(file)) return chunk.subarray(0, 4);
	return Buffer.alloc(0);
}

async function digestOf(files: ImageFiles, file: string): Promise<string> {
	const hash = createHash("sha256");
	for await (const chunk of files.open(file)) hash.update(chunk);
	return `sha256:${hash.digest("hex")}`;
}

async function* oneChunk(bytes: Buffer): AsyncGenerator<Buffer> {
	yield bytes;
}

function referenceOf(files: ImageFiles, { RepoTags }: SavedImage, name: string | undefined): OciReference {
	const wanted = name === undefined ? undefined : normalName(name);
	const tag =
		wanted === undefined ? RepoTags[0] : RepoTags.find((candidate) => normalName(candidate) === wanted);
	const reference = tag === undefined ? "" : parseRegistryReference(tag);
	return typeof reference === "string" ? fileReference(path.basename(files.source), "") : reference;
}
