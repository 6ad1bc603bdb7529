import * as fs from "node:fs";
import type { EntryBody, TarEntry } from "../../appc/aci/entry.ts";
import { type ReadAci, readAci } from "../../appc/aci/read.ts";
import { createTarPacker, type TarPacker } from "../../appc/aci/tar-pack.ts";
import type { FlatImage } from "../../appc/dependencies.ts";
import { createFileChoice, takesEverything } from "../../appc/file-choice.ts";
import { isErrno, RktError } from "../../lib/errors.ts";
import type { StoreLayout } from "./layout.ts";
import { startTarExtractor } from "./tar-extractor.ts";

/** An image whose blob is not what its key says. */
export class DamagedImageError extends RktError {
	readonly key: string;

	constructor(image: FlatImage, cause?: unknown) {
		super(
			"image-damaged",
			`image ${image.manifest.name} (${image.id}) in the store is damaged: it was removed`,
			{
				hint: `get it again with rkt fetch ${image.manifest.name}`,
				cause,
			},
		);
		this.name = "DamagedImageError";
		this.key = image.id;
	}
}

type OnEntry = (entry: TarEntry, body: EntryBody) => Promise<void> | undefined | void;

/** Gives `rootfs` of an image and each entry below it. */
export type ReadEntries = (image: FlatImage, onEntry: OnEntry) => Promise<void>;

/** Writes the entries of a tree. */
export interface TreeWriter extends TarPacker {
	/** Stops in the middle; what was written stays. */
	abort(): Promise<void>;
}

/**
 * Unpacks entries into a directory through tar, which gets only entries that were checked and are written anew.
 * Errors of its methods: `tree-not-written`, `disk-full`.
 */
export function createTreeWriter(directory: string): TreeWriter {
	const extractor = startTarExtractor(directory);
	const packer = guardParents(createTarPacker((chunk) => extractor.write(chunk)));
	return {
		add: packer.add,
		finish: async () => {
			await packer.finish();
			await extractor.finish();
		},
		abort: extractor.abort,
	};
}

/**
 * Writes `rootfs` of a list of images into a directory. Every blob is checked against its key while it is read;
 * `readEntries` is for images that have none.
 * Errors: `image-damaged` (as {@link DamagedImageError}), `tree-not-written`, `disk-full`.
 */
export async function renderTree(
	layout: StoreLayout,
	images: readonly FlatImage[],
	directory: string,
	readEntries: ReadEntries = (image, onEntry) => readBlob(layout, image, onEntry),
): Promise<void> {
	const writer = createTreeWriter(directory);
	try {
		if (takesEverything(images)) {
			await readEntries(images[0] as FlatImage, (entry, body) => writer.add(entry, body));
		} else await packChosen(readEntries, images, writer);
		await writer.finish();
	} catch (error) {
		await writer.abort();
		throw error;
	}
}

/** Each image is read twice: what to take depends on all of its entries. */
async function packChosen(
	readEntries: ReadEntries,
	images: readonly FlatImage[],
	packer: TarPacker,
): Promise<void> {
	const choice = createFileChoice(images);
	for (const [position, image] of images.entries()) {
		const entries: TarEntry[] = [];
		await readEntries(image, (entry) => {
			entries.push(entry);
		});
		const selection = choice.choose(position, entries);
		await readEntries(image, (entry, body) => {
			const chosen = selection.get(entry.path);
			return chosen && packer.add(chosen, chosen.type === "file" ? body : undefined);
		});
	}
}

export async function readBlob(layout: StoreLayout, image: FlatImage, onEntry: OnEntry): Promise<void> {
	const input = fs.createReadStream(layout.blob(image.id), { highWaterMark: 1024 * 1024 });
	let aci: ReadAci;
	try {
		aci = await readAci(input, { source: `image ${image.manifest.name}`, onEntry });
	} catch (error) {
		if (isErrno(error, "aci-invalid", "aci-truncated", "aci-too-large", "manifest-invalid", "json-invalid")) {
			throw new DamagedImageError(image, error);
		}
		throw error;
	}
	if (aci.imageId !== image.id) throw new DamagedImageError(image);
}

/**
 * The second line of defence behind the checks of the reader: tar never meets an entry below something that is not
 * a directory of the same stream, so it has no link to follow. Directories that only paths imply are written
 * explicitly, because tar would give them the modes of our umask.
 */
function guardParents(packer: TarPacker): TarPacker {
	const types = new Map<string, "directory" | "other">();
	const addParents = async (path: string): Promise<void> => {
		const slash = path.lastIndexOf("/");
		if (slash <= 0) return;
		const parent = path.slice(0, slash);
		const known = types.get(parent);
		if (known === "other") throw new Error(`${path} lies below something that is not a directory`);
		if (known === "directory") return;
		await addParents(parent);
		types.set(parent, "directory");
		await packer.add({ path: parent, type: "directory", mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: 0n });
	};
	return {
		add: async (entry, body) => {
			await addParents(entry.path);
			if (entry.type === "hardlink" && types.get(entry.linkTarget ?? "") !== "other") {
				throw new Error(`${entry.path} links to ${entry.linkTarget}, which is not in the stream`);
			}
			types.set(entry.path, entry.type === "directory" ? "directory" : "other");
			await packer.add(entry, body);
		},
		finish: () => packer.finish(),
	};
}
