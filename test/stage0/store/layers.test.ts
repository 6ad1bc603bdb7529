import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { OCI_ANNOTATIONS } from "../../../appc/oci/oci-annotations.ts";
import { type ImageManifest, parseImageManifest } from "../../../appc/schema/image-manifest.ts";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import { mountOverlay } from "../../../stage0/pod/overlay-mount.ts";
import { copyMerged } from "../../../stage0/store/copy-merged.ts";
import { openStore, type Store } from "../../../stage0/store/store.ts";
import { imageManifest } from "../../support/make-aci.ts";
import { makeOciImage } from "../../support/oci-image.ts";
import {
	directoryEntry,
	fileEntry,
	hardlinkEntry,
	makeLayer,
	type OciLayer,
	opaqueEntry,
	symlinkEntry,
	whiteoutEntry,
} from "../../support/oci-layer.ts";
import { writeOciLayout } from "../../support/oci-layout.ts";

const syscall = createLinuxSyscall();
const scratch = fs.mkdtempSync("/var/tmp/rkt-layers-test-");
t.setTimeout(170_000);
t.teardown(() => fs.rmSync(scratch, { recursive: true, force: true }));

let serial = 0;
function newDirectory(): string {
	const directory = path.join(scratch, `d${serial++}`);
	fs.mkdirSync(directory);
	return directory;
}

function newStore(): Store & { data: string } {
	const data = path.join(newDirectory(), "data");
	return { ...openStore(data, syscall), data };
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
	yield bytes;
}

const source = (layer: OciLayer) => ({
	diffId: layer.diffId,
	source: "test",
	open: () => once(layer.blob),
});

function manifestOf(
	name: string,
	layers: readonly OciLayer[],
): { manifest: ImageManifest; manifestText: string } {
	const annotations = [
		{ name: OCI_ANNOTATIONS.diffIds, value: layers.map(({ diffId }) => diffId).join(",") },
	];
	const manifestText = JSON.stringify({ ...imageManifest(name), annotations });
	return { manifest: parseImageManifest(manifestText, "test"), manifestText };
}

async function addImage(store: Store, name: string, layers: readonly OciLayer[]): Promise<string> {
	await Promise.all(layers.map((layer) => store.ensureLayer(source(layer))));
	const record = await store.importLayered({
		...manifestOf(name, layers),
		layers: layers.map(({ diffId }) => diffId),
		source: "test",
		latest: false,
		insecure: true,
	});
	return record.key;
}

/** Mounts it where nobody sees it, and gives the listing of what an app would. */
function listing(directory: string, withTimes = true): string {
	const script = `find . -printf '%P|%y|%m|%U|%G|%s|%l|${withTimes ? "%T@" : ""}\\n' | sed -E 's/^([^|]*\\|d\\|[^|]*\\|[^|]*\\|[^|]*)\\|[0-9]+/\\1|/' | sort
		getfattr -R -h -d -m '^(user|security.cap|system.posix)' . 2>/dev/null
		find . -type f -exec sha256sum {} + | sort -k2`;
	const result = spawnSync("sh", ["-c", script], { cwd: directory, encoding: "utf8", maxBuffer: 1 << 28 });
	return result.stdout;
}

/** An overlay has a root directory of its own with a time of its own. */
function rootless(text: string): string {
	return text.replace(/^\|d\|.*$/m, "");
}

function withMount<T>(lowers: readonly string[], action: (root: string) => T): T {
	const place = newDirectory();
	const names = ["upper", "work", "root"].map((name) => path.join(place, name));
	for (const name of names) fs.mkdirSync(name);
	const [upper = "", work = "", target = ""] = names;
	mountOverlay(syscall, { lowers, upper, work, target });
	try {
		return action(target);
	} finally {
		syscall.umount(target, 0);
	}
}

function umoci(layers: readonly OciLayer[]): string {
	const directory = newDirectory();
	const layout = path.join(directory, "layout");
	writeOciLayout(layout, [
		{ tag: "latest", images: [makeOciImage({ layers: layers.map(({ tar }) => makeLayer(tar)) })] },
	]);
	const bundle = path.join(directory, "bundle");
	const result = spawnSync("umoci", ["unpack", "--image", `${layout}:latest`, bundle], { encoding: "utf8" });
	if (result.status !== 0) throw new Error(result.stderr);
	return path.join(bundle, "rootfs");
}

const T = { mtime: "1700000000.25" };

t.test("first", async (t) => {
	const base = makeLayer([
		directoryEntry("etc", { mode: 0o750, uid: 3, gid: 4, mtime: "1600000000", xattrs: { "user.d": "dir" } }),
		fileEntry("etc/a", "one", T),
		fileEntry("etc/b", "two", T),
		hardlinkEntry("etc/c", "etc/b"),
		directoryEntry("var", T),
		directoryEntry("var/old", T),
		fileEntry("var/old/x", "x", T),
		symlinkEntry("link", "etc/a"),
		directoryEntry("opq", { ...T, mode: 0o711 }),
		fileEntry("opq/gone", "g", T),
	]);
	const middle = makeLayer([
		whiteoutEntry("etc/a"),
		fileEntry("etc/new", "n", { ...T, mode: 0o4755, xattrs: { "user.f": "file" } }),
		whiteoutEntry("var/old"),
		opaqueEntry("opq"),
		fileEntry("opq/kept", "k", T),
		whiteoutEntry("not/there/at/all"),
	]);
	const top = makeLayer(
		[directoryEntry("var/old", { ...T, mode: 0o700 }), fileEntry("var/old/y", "y", T)],
		"zstd",
	);
	const store = newStore();
	const key = await addImage(store, "example.com/app", [base, middle, top]);
	const { lowers, treeId } = await store.ensureTree(key);
	t.equal(lowers.length, 4);
	const expected = listing(umoci([base, middle, top]));
	withMount(lowers, (root) => t.equal(rootless(listing(root)), rootless(expected)));
	const copy = newDirectory();
	await copyMerged(syscall, lowers, copy);
	t.equal(listing(copy), expected);
	await store.checkTree(treeId);
	t.equal((await store.verifyTree(key)).state, "verified");
});
