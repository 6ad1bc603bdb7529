import * as fs from "node:fs";
import * as path from "node:path";
import {
	descriptor,
	json,
	makeIndex,
	manifestDescriptor,
	OCI_INDEX,
	type TestOciImage,
} from "./oci-image.ts";
import { directoryEntry, fileEntry, type LayerEntry, layerTar, sha256 } from "./oci-layer.ts";

/** What a layout names: one image, or several of different platforms under one name. */
export interface LayoutName {
	/** Value of `org.opencontainers.image.ref.name`; undefined: none. */
	readonly tag?: string;
	/** With more than one, they are put into an index of their own. */
	readonly images: readonly TestOciImage[];
}

/** The files of an OCI image layout by relative path. */
export function layoutFiles(names: readonly LayoutName[]): Map<string, Buffer> {
	const files = new Map<string, Buffer>([["oci-layout", json({ imageLayoutVersion: "1.0.0" })]]);
	const addBlob = (bytes: Buffer): void => void files.set(blobPath(sha256(bytes)), bytes);
	for (const { images } of names) {
		for (const image of images) {
			addBlob(image.manifest);
			for (const [digest, bytes] of image.blobs) files.set(blobPath(digest), bytes);
		}
		if (images.length > 1) addBlob(makeIndex(images));
	}
	const manifests = names.map(({ tag, images }) => {
		const annotations = tag === undefined ? undefined : { "org.opencontainers.image.ref.name": tag };
		const [image] = images;
		if (images.length === 1 && image) return manifestDescriptor(image, annotations);
		return { ...descriptor(OCI_INDEX, makeIndex(images)), ...(annotations ? { annotations } : {}) };
	});
	files.set("index.json", json({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
	return files;
}

/** Writes an OCI image layout (`oci:DIRECTORY`). */
export function writeOciLayout(directory: string, names: readonly LayoutName[]): void {
	for (const [name, bytes] of layoutFiles(names)) {
		const file = path.join(directory, name);
		fs.mkdirSync(path.dirname(file), { recursive: true });
		fs.writeFileSync(file, bytes);
	}
}

/** Writes an OCI image layout as a tar (`oci-archive:FILE`). */
export function writeOciArchive(file: string, names: readonly LayoutName[]): void {
	const directories = ["blobs", "blobs/sha256"].map((name) => directoryEntry(name));
	fs.writeFileSync(file, layerTar([...directories, ...fileEntries(layoutFiles(names))]));
}

export interface DockerArchiveImage {
	readonly image: TestOciImage;
	/** `NAME:TAG`, as `docker save` writes them. */
	readonly repoTags: readonly string[];
}

/** Writes what `docker save` and `podman save` write (`docker-archive:FILE`): plain layers, `manifest.json` last. */
export function writeDockerArchive(file: string, images: readonly DockerArchiveImage[]): void {
	const files = new Map<string, Buffer>();
	const manifest = images.map(({ image, repoTags }) => {
		const config = `${hex(image.configDigest)}.json`;
		files.set(config, image.config);
		const layers = image.layers.map(({ diffId, tar }) => {
			const name = `${hex(diffId)}.tar`;
			files.set(name, tar);
			return name;
		});
		return { Config: config, RepoTags: repoTags, Layers: layers };
	});
	files.set("manifest.json", json(manifest));
	fs.writeFileSync(file, layerTar(fileEntries(files)));
}

/** Path of a blob inside a layout. */
export const blobPath = (digest: string): string => `blobs/${digest.replace(":", "/")}`;

const hex = (digest: string): string => digest.slice(digest.indexOf(":") + 1);

const fileEntries = (files: ReadonlyMap<string, Buffer>): LayerEntry[] =>
	[...files].map(([name, bytes]) => fileEntry(name, bytes));
