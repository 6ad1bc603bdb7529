import * as fs from "node:fs";
import * as path from "node:path";
import type { TarEntry } from "../../appc/aci/entry.ts";
import { readLayer } from "../../appc/oci/layer-read.ts";
import type { LayerShape } from "../../appc/oci/layer-rules.ts";
import { crashPoint } from "../../lib/crash-point.ts";
import { fail, isErrno } from "../../lib/errors.ts";
import { fsyncPath, replaceFile, writeFilesDurable } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { flushFileSystem } from "./flush.ts";
import { layerHex } from "./layer-id.ts";
import { encodeShape } from "./layer-shape.ts";
import type { LayerSource } from "./layer-store.ts";
import type { StoreLayout } from "./layout.ts";
import { createLockedDirectory } from "./locked-directory.ts";
import { discardDirectory } from "./remove-layer.ts";
import { createTreeWriter, type TreeWriter } from "./render-tree.ts";
import { sealTree } from "./seal-tree.ts";
import { recordTree } from "./tree-record.ts";

/**
 * Unpacks a layer into a directory of its own and gives it its place when everything is right and on the disk. Call it
 * with the layer's lock. Errors: see {@link LayerStore.ensureLayer}.
 */
export async function unpackLayer(layout: StoreLayout, syscall: Syscall, layer: LayerSource): Promise<void> {
	const hex = layerHex(layer.diffId);
	const { directory, fd } = createLockedDirectory(layout.layerDirectory, syscall);
	try {
		crashPoint("layer-begin");
		const { shape, uncompressedBytes } = await writeFiles(directory, layer);
		markDirectories(syscall, path.join(directory, "rootfs"), shape);
		crashPoint("layer-written");
		const sealed = sealTree(directory, syscall);
		const flushed = flushFileSystem(directory);
		flushed.catch(() => {});
		const { size, record, lists } = recordTree(directory, syscall, sealed);
		await flushed;
		crashPoint("layer-flushed");
		await writeFilesDurable(directory, { ...record, ...encodeShape(shape), rendered: "" }, lists);
		publish(layout, directory, hex, { tarSize: uncompressedBytes, size });
	} finally {
		fs.rmSync(directory, { recursive: true, force: true });
		fs.closeSync(fd);
	}
}

async function writeFiles(
	directory: string,
	layer: LayerSource,
): Promise<{ shape: LayerShape; uncompressedBytes: number }> {
	const writer = createTreeWriter(directory);
	try {
		await writer.add(plainDirectory(""));
		const read = await readLayer(layer.open(), {
			...layer,
			onEntry: (entry, body) => writer.add(belowRoot(entry), entry.type === "file" ? body : undefined),
		});
		await writeWhiteouts(writer, read.shape);
		await writer.finish();
		return read;
	} catch (error) {
		await writer.abort();
		throw error;
	}
}

/** Overlayfs takes the character device 0:0 for a white-out. */
async function writeWhiteouts(writer: TreeWriter, { bare, opaque, whiteouts }: LayerShape): Promise<void> {
	const known = new Set(bare);
	for (const name of opaque) if (known.has(name)) await writer.add(plainDirectory(name));
	for (const name of whiteouts) await writer.add(whiteout(name));
}

export function whiteout(name: string): TarEntry {
	const device = { major: 0, minor: 0 };
	return { ...plainDirectory(name), type: "character-device", mode: 0, device };
}

/** What a directory is that nobody described. */
export function plainDirectory(name: string): TarEntry {
	const entry: TarEntry = {
		path: name,
		type: "directory",
		mode: 0o755,
		uid: 0,
		gid: 0,
		size: 0,
		mtimeNs: 0n,
	};
	return belowRoot(entry);
}

/** Layers begin at the root, trees have it in `rootfs`. */
function belowRoot(entry: TarEntry): TarEntry {
	const place = (name: string): string => (name === "" ? "rootfs" : `rootfs/${name}`);
	const moved = { ...entry, path: place(entry.path) };
	return entry.type === "hardlink" ? { ...moved, linkTarget: place(entry.linkTarget ?? "") } : moved;
}

const OPAQUE = "trusted.overlay.opaque";
/**
 * Empty, it says that a directory may hold white-outs. Without it overlayfs lists them where no other layer has the
 * directory (Linux, fs/overlayfs/inode.c, ovl_get_inode).
 */
const ORIGIN = "trusted.overlay.origin";

function markDirectories(syscall: Syscall, rootfs: string, { opaque, whiteouts }: LayerShape): void {
	const mark = (directory: string, name: string, value: string): void => {
		try {
			syscall.setXattr(directory, name, Buffer.from(value));
		} catch (cause) {
			if (isErrno(cause, "ENOSPC", "EDQUOT")) throw cause;
			fail("tree-not-written", `cannot give the attribute ${name} to ${directory}`, {
				hint: "layers need a file system with extended attributes, such as ext4, xfs or btrfs",
				cause,
			});
		}
	};
	for (const name of opaque) mark(path.join(rootfs, name), OPAQUE, "y");
	const parents = new Set(whiteouts.map((name) => path.dirname(path.join(rootfs, name))));
	for (const parent of parents) mark(parent, ORIGIN, "");
}

/** The directory appears as a whole, last. One that is damaged makes room. */
function publish(
	layout: StoreLayout,
	directory: string,
	hex: string,
	info: { readonly tarSize: number; readonly size: number },
): void {
	discardDirectory(layout, hex);
	replaceFile(layout.layerInfo(hex), JSON.stringify(info), 0o660);
	crashPoint("layer-told");
	fs.renameSync(directory, layout.layer(hex));
	fsyncPath(layout.layerDirectory);
	crashPoint("layer-published");
}
