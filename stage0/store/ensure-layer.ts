import * as fs from "node:fs";
import { refuseAci } from "../../appc/aci/refuse.ts";
import { readLayer } from "../../appc/oci/layer-read.ts";
import { prepareForBulkWork } from "../../lib/bulk-work.ts";
import { crashPoint } from "../../lib/crash-point.ts";
import { isErrno } from "../../lib/errors.ts";
import { renameDurable } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { createBlobWriter } from "./blob-writer.ts";
import type { LayerHold } from "./layer-hold.ts";
import { layerHex } from "./layer-id.ts";
import { isUnpacked } from "./layer-presence.ts";
import type { LayerSource } from "./layer-store.ts";
import { createLayout, type StoreLayout, unusable } from "./layout.ts";
import { withLock } from "./named-lock.ts";
import { unpackLayer } from "./unpack-layer.ts";

/** See {@link LayerStore.ensureLayer}. */
export async function ensureLayer(
	layout: StoreLayout,
	syscall: Syscall,
	hold: LayerHold,
	layer: LayerSource,
): Promise<void> {
	const hex = layerHex(layer.diffId);
	createLayout(layout);
	try {
		hold.take([layer.diffId]);
		if (isUnpacked(layout, hex)) return;
		prepareForBulkWork();
		await withLock(syscall, layout.layerLock(hex), async () => {
			if (isUnpacked(layout, hex)) return;
			if (process.geteuid?.() !== 0) await keepArchive(layout, syscall, layer);
			else if (!(await unpackArchive(layout, syscall, layer))) await unpackLayer(layout, syscall, layer);
		});
	} catch (error) {
		throw unusable(error, layout.dataDirectory);
	}
}

/** Only root can unpack. */
async function keepArchive(layout: StoreLayout, syscall: Syscall, layer: LayerSource): Promise<void> {
	const target = layout.layerBlob(layerHex(layer.diffId));
	if (fs.existsSync(target)) return;
	const writer = createBlobWriter(layout.temporaryDirectory, syscall);
	try {
		await readLayer(layer.open(), { ...layer, onUncompressedChunk: (chunk) => writer.write(chunk) });
		await writer.finish();
		crashPoint("layer-archive-read");
		renameDurable(writer.file, target);
		crashPoint("layer-archive-kept");
	} finally {
		writer.close();
	}
}

/**
 * Unpacks the archive that somebody else left, if it is there and right. One that is wrong is removed; where it is only
 * this time that it cannot be unpacked, for want of room for example, it stays.
 */
export async function unpackArchive(
	layout: StoreLayout,
	syscall: Syscall,
	{ diffId, source }: Pick<LayerSource, "diffId" | "source">,
): Promise<boolean> {
	const file = layout.layerBlob(layerHex(diffId));
	if (!fs.existsSync(file)) return false;
	const open = (): AsyncIterable<Buffer> => openArchive(file, source);
	try {
		await unpackLayer(layout, syscall, { diffId, source, open });
	} catch (error) {
		if (!isErrno(error, ...WRONG_ARCHIVE)) throw error;
		fs.rmSync(file, { force: true });
		return false;
	}
	fs.rmSync(file, { force: true });
	return true;
}

const WRONG_ARCHIVE = ["layer-digest-mismatch", "aci-invalid", "aci-truncated", "aci-too-large", "ELOOP"];

/** Any member of the store's group may have put it there. */
function openArchive(file: string, source: string): AsyncIterable<Buffer> {
	const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
	const fd = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	const stream = fs.createReadStream(file, { fd, highWaterMark: 1024 * 1024 });
	if (fs.fstatSync(fd).isFile()) return stream as AsyncIterable<Buffer>;
	stream.destroy();
	return refuseAci(source, "what the store has for it is no file");
}
