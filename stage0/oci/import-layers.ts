import { fail, isErrno, RktError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { createProgress, type Progress } from "../fetch/progress.ts";
import type { Store } from "../store/store.ts";
import type { OciImage, OciLayer } from "./image-source.ts";
import { type WatchedStream, watchStream } from "./watched-stream.ts";

/** While one waits for the network, the other one works; a third costs memory and saves no time. */
const MAX_READ_AT_ONCE = 2;
/** With those that were read and only have to reach the disk. */
const MAX_AT_ONCE = 4;
/** What is read of a layer that was refused, to tell whether it was only damaged on its way. */
const MAX_JUDGED_BYTES = 256 * 1024 * 1024;

export interface ImportLayersOptions {
	readonly store: Pick<Store, "hasLayer" | "ensureLayer">;
	readonly log: Log;
	/** For the progress line; absent for images that are not downloaded. */
	readonly label?: string | undefined;
}

interface Work extends ImportLayersOptions {
	readonly image: OciImage;
	readonly progress: Progress | undefined;
	bytes: number;
	failure: { readonly error: unknown } | undefined;
}

/**
 * Sees to it that the store has and keeps the layers of an image, some at once. The first error ends all of them.
 * Errors: those of {@link OciImage.openLayer} and of `ensureLayer`.
 */
export async function importLayers(image: OciImage, options: ImportLayersOptions): Promise<void> {
	const wanted = distinctLayers(image);
	const progress = startProgress(image, wanted, options);
	const work: Work = { ...options, image, progress, bytes: 0, failure: undefined };
	const begun = new Set<Promise<void>>();
	/** Until the layer is read; by then it may not be in the store yet. */
	const readOne = (index: number): Promise<void> =>
		new Promise((onRead) => {
			const all = importLayer(index, work, onRead)
				.catch((error) => {
					work.failure ??= { error };
				})
				.finally(() => {
					begun.delete(all);
					onRead();
				});
			begun.add(all);
		});
	const reader = async (): Promise<void> => {
		for (let index = wanted.shift(); index !== undefined && !work.failure; index = wanted.shift()) {
			await readOne(index);
			while (begun.size >= MAX_AT_ONCE) await Promise.race(begun);
		}
	};
	try {
		await Promise.all(Array.from({ length: MAX_READ_AT_ONCE }, reader));
		await Promise.all(begun);
	} finally {
		progress?.finish();
	}
	if (work.failure) throw work.failure.error;
}

/** The same layer may stand several times in an image. */
function distinctLayers({ layers }: OciImage): number[] {
	const first = new Map<string, number>();
	for (const [index, { diffId }] of layers.entries()) if (!first.has(diffId)) first.set(diffId, index);
	return [...first.values()];
}

function startProgress(
	{ layers }: OciImage,
	wanted: readonly number[],
	{ label, store }: ImportLayersOptions,
): Progress | undefined {
	const missing = wanted
		.map((index) => layers[index] as OciLayer)
		.filter((layer) => !store.hasLayer(layer.diffId));
	if (label === undefined || missing.length === 0) return undefined;
	const count = `${missing.length} layer${missing.length === 1 ? "" : "s"}`;
	const total = missing.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
	return createProgress(`${label}, ${count}`, total);
}

async function importLayer(index: number, work: Work, onRead: () => void): Promise<void> {
	const before = work.bytes;
	try {
		await ensureLayer(index, work, onRead);
	} catch (error) {
		if (!isErrno(error, "oci-digest-mismatch", "oci-size-mismatch") || work.failure) throw error;
		// The beginning may be of an earlier download, or a proxy may have spoilt it.
		const { digest } = layerAt(work.image, index).descriptor;
		work.log.info(`layer ${digest} is not what it should be, reading all of it again`);
		work.bytes = before;
		await ensureLayer(index, work, onRead);
	}
}

function layerAt({ layers, source }: OciImage, index: number): OciLayer {
	return layers[index] ?? fail("oci-invalid", `${source}: there is no layer ${index}`);
}

/** A stream that is not what it should be matters more than what could not be done with it. */
async function ensureLayer(index: number, work: Work, onRead: () => void): Promise<void> {
	const { image, store } = work;
	const { descriptor, diffId } = layerAt(image, index);
	let stream: WatchedStream | undefined;
	try {
		await store.ensureLayer({
			diffId,
			checkedDigest: descriptor.digest,
			source: `layer ${descriptor.digest} of ${image.source}`,
			open: () => {
				stream = watchStream(image.openLayer(index), {
					onChunk: (chunk) => count(chunk, work),
					onEnd: onRead,
				});
				return stream.chunks;
			},
		});
	} catch (error) {
		const judged = error instanceof RktError && !work.failure ? stream : undefined;
		throw (await judged?.fault(MAX_JUDGED_BYTES)) ?? error;
	} finally {
		await stream?.close();
	}
}

function count(chunk: Buffer, work: Work): void {
	if (work.failure) throw work.failure.error;
	work.bytes += chunk.length;
	work.progress?.update(work.bytes);
}
