import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { OCI_ANNOTATIONS } from "../../../appc/oci/oci-annotations.ts";
import { parseImageManifest } from "../../../appc/schema/image-manifest.ts";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import { makeOverlayDirectories, mountOverlay } from "../../../stage0/pod/overlay-mount.ts";
import { openShiftedViews } from "../../../stage0/pod/shifted-views.ts";
import { copyMerged } from "../../../stage0/store/copy-merged.ts";
import { openStore, type Store } from "../../../stage0/store/store.ts";
import { type AciEntry, imageManifest, makeAci } from "../../support/make-aci.ts";
import {
	directoryEntry,
	fileEntry,
	hardlinkEntry,
	type LayerEntry,
	makeLayer,
	type OciLayer,
	opaqueEntry,
	symlinkEntry,
	whiteoutEntry,
} from "../../support/oci-layer.ts";
import { createRandom, randomLayer } from "../../support/random-layers.ts";
import { buildStoreWorker, outcome } from "../../support/store-worker.ts";
import { listTree, withoutLinkCounts, withoutNewTimes, withoutRoot } from "../../support/tree-listing.ts";
import { unpackWithUmoci } from "../../support/umoci.ts";

const syscall = createLinuxSyscall();
const scratch = fs.mkdtempSync("/var/tmp/rkt-layers-test-");
const root = process.getuid?.() === 0;
const began = Math.floor(Date.now() / 1000) - 1;
t.setTimeout(170_000);

/** Flushing the disk takes most of the time otherwise. Not on kernels whose tmpfs has no attributes of users. */
const memory = path.join(scratch, "memory");
fs.mkdirSync(memory);
const mounted = root && spawnSync("mount", ["-t", "tmpfs", "tmpfs", memory]).status === 0;
const fast = mounted && spawnSync("setfattr", ["-n", "user.x", "-v", "y", memory]).status === 0;
t.teardown(() => {
	if (mounted) spawnSync("umount", ["-l", memory]);
	fs.rmSync(scratch, { recursive: true, force: true });
});

let serial = 0;
function newDirectory(base = fast ? memory : scratch): string {
	const directory = path.join(base, `d${serial++}`);
	fs.mkdirSync(directory);
	return directory;
}

type TestStore = Store & { readonly data: string };

function storeIn(directory: string): TestStore {
	const data = path.join(directory, "data");
	return { ...openStore(data, syscall), data };
}

const newStore = (): TestStore => storeIn(newDirectory());

async function* inOnePiece(bytes: Buffer): AsyncGenerator<Buffer> {
	yield bytes;
}

function ensure(store: Store, { diffId, blob }: OciLayer): Promise<void> {
	return store.ensureLayer({ diffId, source: "test", open: () => inOnePiece(blob) });
}

function manifestText(name: string, layers: readonly OciLayer[]): string {
	const value = layers.map(({ diffId }) => diffId).join(",");
	return JSON.stringify({ ...imageManifest(name), annotations: [{ name: OCI_ANNOTATIONS.diffIds, value }] });
}

async function addImage(store: Store, name: string, layers: readonly OciLayer[]): Promise<string> {
	await Promise.all(layers.map((layer) => ensure(store, layer)));
	const text = manifestText(name, layers);
	const image = { manifest: parseImageManifest(text, "test"), manifestText: text };
	const from = { source: "docker://test", latest: false, insecure: true };
	return (await store.importLayered({ ...image, ...from, layers: layers.map(({ diffId }) => diffId) })).key;
}

function withMount<T>(lowers: readonly string[], action: (root: string) => T): T {
	const place = newDirectory();
	const [upper, work, target] = ["upper", "work", "root"].map((name) => path.join(place, name)) as [
		string,
		string,
		string,
	];
	makeOverlayDirectories({ upper, work }, lowers[0] ?? "", 0);
	fs.mkdirSync(target);
	mountOverlay(syscall, { lowers, upper, work, target });
	try {
		return action(target);
	} finally {
		syscall.umount(target, 0);
	}
}

function rejects(t: Test, promise: Promise<unknown>, code: string, message?: RegExp) {
	return t.rejects(promise, { code, ...(message && { message }) });
}

/** Mount, copy and umoci must agree. */
async function compare(t: Test, name: string, lowers: readonly string[], unpacked: string): Promise<void> {
	const expected = withoutNewTimes(listTree(unpacked), listTree(unpacked), began);
	const normal = (listing: string) => withoutNewTimes(listing, listTree(unpacked), began);
	const copy = newDirectory();
	await copyMerged(syscall, lowers, copy);
	t.equal(normal(listTree(copy)), expected, `${name}: a copy is what umoci unpacks`);
	const mounted = withMount(lowers, listTree);
	const bare = (listing: string) => withoutRoot(withoutLinkCounts(listing));
	t.equal(bare(normal(mounted)), bare(expected), `${name}: so is a mount`);
}

const T = { mtime: "1700000000.25" };
const O = { mtime: "1600000000" };
const CAPABILITY = Buffer.from("0100000200200000000000000000000000000000", "hex");

const BASE = makeLayer([
	directoryEntry("etc", { mode: 0o750, uid: 3, gid: 4, ...O, xattrs: { "user.d": "dir" } }),
	fileEntry("etc/a", "one", T),
	fileEntry("etc/b", "two", T),
	hardlinkEntry("etc/c", "etc/b"),
	directoryEntry("var", T),
	directoryEntry("var/old", T),
	fileEntry("var/old/x", "x", T),
	symlinkEntry("link", "etc/a"),
	hardlinkEntry("link2", "link"),
	directoryEntry("opq", { ...T, mode: 0o711 }),
	fileEntry("opq/gone", "g", T),
	directoryEntry("bin", T),
	fileEntry("bin/su", "su", { ...T, mode: 0o4755, xattrs: { "security.capability": CAPABILITY } }),
	{ path: "null", type: "character-device", device: { major: 1, minor: 3 }, ...T },
	{ path: "pipe", type: "fifo", mode: 0o600, ...T },
	fileEntry("n".repeat(255), "long", T),
	fileEntry("größe", "utf-8", { ...T, uid: 70_000, gid: 80_000 }),
	directoryEntry("tmp", { ...T, mode: 0o1777 }),
	fileEntry("replaced", "file", T),
	directoryEntry("emptied/deep", T),
]);
const MIDDLE = makeLayer([
	whiteoutEntry("etc/a"),
	fileEntry("etc/new", "n", { ...T, mode: 0o2755, xattrs: { "user.f": "file" } }),
	whiteoutEntry("var/old"),
	opaqueEntry("opq"),
	fileEntry("opq/kept", "k", T),
	whiteoutEntry("not/there/at/all"),
	directoryEntry("fresh", T),
	whiteoutEntry("fresh/nothing-below"),
	fileEntry("fresh/file", "f", T),
	directoryEntry("replaced", O),
	fileEntry("replaced/by", "directory", T),
	opaqueEntry("emptied"),
]);
const TOP = makeLayer(
	[directoryEntry("var/old", { ...T, mode: 0o700 }), fileEntry("var/old/y", "y", T), whiteoutEntry("etc/c")],
	"zstd",
);

t.test("the files of an image are what umoci makes of its layers", { skip: !root }, async (t) => {
	const store = storeIn(newDirectory(scratch));
	const layers = [BASE, MIDDLE, TOP];
	const key = await addImage(store, "example.com/app", layers);
	const { lowers, treeId, rootfs } = await store.ensureTree(key);
	t.equal(lowers.length, 4);
	await compare(t, "three layers", lowers, unpackWithUmoci(layers, newDirectory()));
	withMount(lowers, (mounted) => {
		t.strictSame(
			fs.readdirSync(path.join(mounted, "fresh")),
			["file"],
			"a white-out over nothing is not listed",
		);
		t.equal(fs.readFileSync(path.join(mounted, "etc/b"), "utf8"), "two");
	});
	t.strictSame(
		fs.readdirSync(rootfs, { recursive: true, encoding: "utf8" }).sort(),
		["etc", "not", "opq", "var"],
		"only what no single layer can know is the image's own",
	);
	await store.checkTree(treeId, { whole: true });
	t.strictSame(await store.verifyTree(key), { state: "verified" });
	const record = store.record(key);
	t.equal(
		record?.size,
		layers.reduce((sum, { tar }) => sum + tar.length, 0),
	);
	t.equal(await store.verifyArchive(key), true, "it has none");
	const names = [...(await store.entriesOf(key))].map(({ entry }) => entry.path);
	t.ok(names.includes("rootfs/etc/b") && !names.includes("rootfs/etc/a"));
	t.match(names[0], /^rootfs$/);
});

t.test("special lists of layers", { skip: !root }, async (t) => {
	const file = (name: string, text: string) => makeLayer([fileEntry(name, text, T)]);
	const lists: Record<string, OciLayer[]> = {
		"one layer": [BASE],
		"an empty one": [makeLayer([])],
		"an empty one twice, and one layer twice": [BASE, makeLayer([]), MIDDLE, makeLayer([]), BASE],
		"a root that hides everything below": [
			BASE,
			makeLayer([
				fileEntry(".wh..wh..opq", ""),
				directoryEntry(".", { ...T, mode: 0o700, uid: 5 }),
				fileEntry("x", "x", T),
			]),
			file("y", "y"),
		],
		"a directory that is only ever implied": [file("a/b/c", "1"), file("a/b/d", "2")],
		"white-outs of everything": [
			file("a/b/c", "1"),
			makeLayer([whiteoutEntry("a/b/c"), whiteoutEntry("z/y/x")]),
		],
		"a directory removed and made again": [
			BASE,
			makeLayer([whiteoutEntry("etc")]),
			makeLayer([fileEntry("etc/only", "1", T)]),
		],
		"the same name twice in a layer": [
			makeLayer([
				fileEntry("a", "1", T),
				hardlinkEntry("b", "a"),
				fileEntry("a", "2", T),
				directoryEntry("d", O),
				directoryEntry("d", { ...T, mode: 0o700 }),
			]),
		],
	};
	for (const [name, layers] of Object.entries(lists)) {
		const store = newStore();
		const { lowers } = await store.ensureTree(await addImage(store, "example.com/app", layers));
		await compare(t, name, lowers, unpackWithUmoci(layers, newDirectory()));
	}
});

t.test("layers of random names, kinds and white-outs", { skip: !root }, async (t) => {
	const [first = 1, count = 30] = (process.env.RKT_TEST_SEEDS ?? "1,16").split(",").map(Number);
	let compared = 0;
	for (let seed = first; seed < first + count; seed++) {
		const random = createRandom(seed);
		const layers = Array.from({ length: 2 + random(3) }, () => makeLayer(randomLayer(random)));
		const place = newDirectory();
		const store = storeIn(place);
		const key = await addImage(store, "example.com/app", layers);
		const tree = await store.ensureTree(key).catch((error: { code: string }) => {
			if (error.code !== "layers-conflict") throw error;
		});
		if (tree === undefined) continue;
		let unpacked: string;
		try {
			unpacked = unpackWithUmoci(layers, place);
		} catch (error) {
			// It makes directories in the order of the archive, and a file of a lower layer may be in the way.
			t.match(String(error), /mkdir parent: .*: not a directory/);
			continue;
		}
		await compare(t, `seed ${seed}`, tree.lowers, unpacked);
		compared++;
		fs.rmSync(place, { recursive: true });
	}
	t.ok(compared > count / 2, `${compared} of ${count} were compared`);
});

t.test("what layers may not do to each other", { skip: !root }, async (t) => {
	const store = newStore();
	const under = (name: string, entries: LayerEntry[]) =>
		addImage(store, `example.com/${name}`, [
			makeLayer(entries),
			makeLayer([fileEntry("usr/lib/x", "evil", T)]),
		]);
	const conflict = /usr\/lib, which is no directory in the layer sha256:/;
	const link = await under("link", [directoryEntry("usr"), symlinkEntry("usr/lib", "/etc")]);
	await rejects(t, store.ensureTree(link), "layers-conflict", conflict);
	const file = await under("file", [fileEntry("usr/lib", "file")]);
	await rejects(t, store.ensureTree(file), "layers-conflict", conflict);
	t.notOk(fs.existsSync(store.treeOf(link).rootfs), "nothing is left of it");
	const below = makeLayer([symlinkEntry("a", "/etc")]);
	const through = [below, makeLayer([whiteoutEntry("a/passwd")]), makeLayer([directoryEntry("a")])];
	const marked = await addImage(store, "example.com/marked", through);
	await rejects(t, store.ensureTree(marked), "layers-conflict", /\/a, which is no directory/);
	const replaced = [below, makeLayer([directoryEntry("a"), fileEntry("a/passwd", "own", T)])];
	const fine = await store.ensureTree(await addImage(store, "example.com/replaced", replaced));
	withMount(fine.lowers, (mounted) =>
		t.equal(fs.readFileSync(path.join(mounted, "a/passwd"), "utf8"), "own"),
	);
	t.strictSame(fs.readFileSync("/etc/passwd", "utf8").includes("evil"), false);
});

t.test("what is refused leaves nothing behind", { skip: !root }, async (t) => {
	const store = newStore();
	const refused = (entries: LayerEntry[]) => ensure(store, makeLayer(entries));
	await rejects(t, refused([symlinkEntry("l", "/etc"), fileEntry("l/x", "evil")]), "aci-invalid");
	await rejects(
		t,
		refused([hardlinkEntry("h", "etc/passwd")]),
		"aci-invalid",
		/no earlier file of the same layer/,
	);
	const wrong = { ...BASE, diffId: `sha256:${"0".repeat(64)}` };
	await rejects(t, ensure(store, wrong), "layer-digest-mismatch", /expected sha256:000/);
	for (const diffId of [
		"sha256:../../x",
		"sha256:",
		`sha512:${"0".repeat(128)}`,
		`sha256:${"A".repeat(64)}`,
		"../x",
	]) {
		await rejects(t, ensure(store, { ...BASE, diffId }), "layer-id-invalid");
	}
	const broken = store.ensureLayer({
		diffId: BASE.diffId,
		source: "test",
		// biome-ignore lint/correctness/useYield: it fails first
		open: async function* () {
			throw new Error("no connection");
		},
	});
	await t.rejects(broken, /no connection/);
	t.strictSame(fs.readdirSync(path.join(store.directory, "layer")), []);
	t.equal(store.hasLayer(BASE.diffId), false);
	t.equal(store.layerInfo(BASE.diffId), undefined);
	const image = (layers: readonly OciLayer[], text: string) =>
		store.importLayered({
			manifest: parseImageManifest(text, "test"),
			manifestText: text,
			layers: layers.map(({ diffId }) => diffId),
			...{ source: "test", latest: false, insecure: true },
		});
	await rejects(t, image([BASE], manifestText("example.com/app", [BASE])), "layer-missing");
	await ensure(store, BASE);
	await rejects(t, image([BASE], manifestText("example.com/app", [MIDDLE])), "layers-invalid");
	await rejects(t, image([], manifestText("example.com/app", [])), "layers-invalid", /0 layers/);
	const many = Array.from({ length: 257 }, () => BASE);
	await rejects(t, image(many, manifestText("example.com/app", many)), "layers-invalid", /257 layers/);
	t.strictSame(store.list(), []);
});

t.test("127 layers are mounted", { skip: !root }, async (t) => {
	const store = newStore();
	const layers = Array.from({ length: 127 }, (_, index) =>
		makeLayer(
			[
				fileEntry("top", `${index}`),
				fileEntry(`file-${index}`, `${index}`),
				...(index > 0 ? [whiteoutEntry(`gone-${index - 1}`)] : []),
				fileEntry(`gone-${index}`, "x"),
			],
			"none",
		),
	);
	const { lowers } = await store.ensureTree(await addImage(store, "example.com/many", layers));
	t.equal(lowers.length, 128);
	const names = [...layers.map((_, index) => `file-${index}`), "gone-126", "top"].sort();
	const look = (mounted: string) => {
		t.strictSame(fs.readdirSync(mounted).sort(), names);
		t.equal(fs.readFileSync(path.join(mounted, "top"), "utf8"), "126");
	};
	const before = process.cwd();
	withMount(lowers, look);
	t.equal(process.cwd(), before);
	const pod = newDirectory();
	const shifted = await openShiftedViews(syscall, pod, { shift: 100_000, count: 65_536 });
	const { views, unmount } = shifted.mount(lowers);
	const place = newDirectory();
	const [upper, work, target] = [path.join(place, "u"), path.join(place, "w"), path.join(place, "root")];
	makeOverlayDirectories({ upper, work }, lowers[0] ?? "", 100_000);
	fs.mkdirSync(target);
	mountOverlay(syscall, { lowers: views, upper, work, target });
	unmount();
	shifted.close();
	t.strictSame(fs.readdirSync(pod), []);
	try {
		look(target);
		t.equal(fs.statSync(path.join(target, "file-5")).uid, 100_000);
	} finally {
		syscall.umount(target, 0);
	}
	t.throws(() => mountOverlay(syscall, { lowers: ["/nonexistent", "/nowhere"], upper, work, target }), {
		code: "overlay-mount-failed",
	});
	t.strictSame(fs.readdirSync(place).sort(), ["root", "u", "w"]);
});

t.test("owners are shifted in copies, with their rights", { skip: !root }, async (t) => {
	const store = newStore();
	const { lowers } = await store.ensureTree(await addImage(store, "example.com/app", [BASE, MIDDLE]));
	const pod = newDirectory();
	const shifted = await openShiftedViews(syscall, pod, { shift: 200_000, count: 65_536 });
	const { views, unmount } = shifted.mount(lowers);
	const target = newDirectory();
	try {
		await copyMerged(syscall, views, target);
	} finally {
		unmount();
		shifted.close();
	}
	const su = fs.statSync(path.join(target, "bin/su"));
	t.strictSame([su.uid, su.gid, su.mode & 0o7777], [200_000, 200_000, 0o4755]);
	t.strictSame(
		[fs.statSync(path.join(target, "etc")).uid, fs.statSync(path.join(target, "etc")).gid],
		[200_003, 200_004],
	);
	const capability = syscall.getXattrs(path.join(target, "bin/su")).get("security.capability");
	t.equal(capability?.length, 24, "of the third kind");
	t.equal(capability?.readUInt32LE(20), 200_000, "for the root of the pod");
	t.notOk(fs.existsSync(path.join(target, "etc/a")));
});

t.test("layers are shared, and go when nobody names them", { skip: !root }, async (t) => {
	const store = newStore();
	const keep = new Set<string>();
	const inStore = () => [BASE, MIDDLE, TOP].map(({ diffId }) => store.hasLayer(diffId));
	const gc = () => openStore(store.data, syscall).gc({ gracePeriodMs: 0, keep });
	let opened = 0;
	const one = await addImage(store, "example.com/one", [BASE, MIDDLE]);
	await store.ensureLayer({
		diffId: BASE.diffId,
		source: "test",
		open: () => {
			opened++;
			return inOnePiece(BASE.blob);
		},
	});
	t.equal(opened, 0, "it is there: nothing is read");
	const two = await addImage(store, "example.com/two", [BASE, TOP]);
	const inode = fs.statSync(path.join(store.directory, "layer", BASE.diffId.slice(7))).ino;
	store.remove(one);
	t.strictSame(inStore(), [true, false, true], "what the other one has stays");
	t.equal(fs.statSync(path.join(store.directory, "layer", BASE.diffId.slice(7))).ino, inode);
	const { treeId, lowers } = await store.ensureTree(two);
	store.remove(two);
	t.strictSame(inStore(), [true, false, true], "its tree may be that of a pod");
	t.strictSame(gc(), []);
	withMount(lowers, (mounted) => t.ok(fs.existsSync(path.join(mounted, "var/old/y"))));
	t.strictSame(store.treeGc(new Set([treeId])), []);
	t.strictSame(store.treeGc(new Set()), [treeId]);
	gc();
	t.strictSame(inStore(), [true, false, true], "this process looked at them and may want them");
	await addImage(store, "example.com/three", [BASE, TOP]);
	store.remove(await addImage(store, "example.com/three", [BASE, TOP]));
	t.strictSame(fs.readdirSync(path.join(store.directory, "layer")), [], "nothing is left");
});

t.test("a fetch under way keeps its layers", { skip: !root }, async (t) => {
	const store = newStore();
	const collector = openStore(store.data, syscall);
	await ensure(store, BASE);
	const gc = (gracePeriodMs = 0) => collector.gc({ gracePeriodMs, keep: new Set() });
	gc();
	t.ok(fs.existsSync(path.join(store.directory, "layer", BASE.diffId.slice(7))));
	const key = await addImage(store, "example.com/app", [BASE, MIDDLE]);
	store.remove(key);
	t.notOk(fs.existsSync(path.join(store.directory, "layer", MIDDLE.diffId.slice(7))));
	const worker = buildStoreWorker(newDirectory());
	const file = path.join(newDirectory(), TOP.diffId.slice(7));
	fs.writeFileSync(file, TOP.blob);
	t.equal(worker.run([store.data, "layer", file]).status, 0);
	gc(60_000);
	t.ok(
		fs.existsSync(path.join(store.directory, "layer", TOP.diffId.slice(7))),
		"the next fetch goes on with it",
	);
	gc();
	t.strictSame(fs.readdirSync(path.join(store.directory, "layer")), []);
});

/** Layers as files named after their diff IDs, with the list of them and the manifest of an image. */
function writeImage(layers: readonly OciLayer[]): string {
	const directory = newDirectory();
	for (const { diffId, blob } of layers) fs.writeFileSync(path.join(directory, diffId.slice(7)), blob);
	fs.writeFileSync(path.join(directory, "layers"), layers.map(({ diffId }) => diffId.slice(7)).join("\n"));
	fs.writeFileSync(path.join(directory, "manifest"), manifestText("example.com/app", layers));
	return directory;
}

t.test("of many processes that want a layer one reads it", { skip: !root }, async (t) => {
	const store = newStore();
	const worker = buildStoreWorker(newDirectory());
	const big = makeLayer([
		fileEntry("big", Buffer.alloc(3_000_000, "ab")),
		...Array.from({ length: 300 }, (_, index) => fileEntry(`f${index}`, `${index}`)),
	]);
	const directory = writeImage([big, TOP]);
	const ended = await Promise.all(
		Array.from({ length: 10 }, () => outcome(worker.start([store.data, "render-layered", directory]))),
	);
	for (const { status, stderr } of ended) if (status !== 0) t.fail(stderr);
	t.equal(new Set(ended.map(({ stdout }) => stdout)).size, 1);
	for (const { diffId } of [big, TOP])
		t.equal(fs.readFileSync(path.join(directory, `${diffId.slice(7)}.read`), "utf8"), ".");
	t.equal(store.list().length, 1);
	t.equal((await store.verifyTree(store.list()[0]?.key ?? "")).state, "verified");
});

t.test("SIGKILL at every step leaves a store that works and can be swept", { skip: !root }, async (t) => {
	const worker = buildStoreWorker(newDirectory());
	const directory = writeImage([BASE, MIDDLE]);
	const unpacking = ["layer-begin", "layer-written", "layer-flushed", "layer-told", "layer-published"];
	const steps: [action: string, point: string][] = [
		...unpacking.map((point): [string, string] => ["image", point]),
		...["import-manifest", "import-record"].map((point): [string, string] => ["image", point]),
		...["tree-begin", "tree-written", "tree-flushed", "tree-rendered"].map((point): [string, string] => [
			"render-layered",
			point,
		]),
		["gc", "layer-moved-away"],
	];
	for (const [action, point] of steps) {
		const store = newStore();
		if (action === "gc") {
			worker.run([store.data, "image", directory]);
			const [only] = store.list();
			fs.rmSync(path.join(store.directory, "imageinfo", `${only?.key}.json`));
		}
		const child = worker.run([store.data, action, directory], { crashAt: point });
		t.equal(child.signal, "SIGKILL", point);
		for (const { key } of store.list()) t.ok(store.manifestText(key).length > 0);
		t.equal(worker.run([store.data, "render-layered", directory]).status, 0, `${point}: the same again`);
		const [image] = store.list();
		t.equal((await store.verifyTree(image?.key ?? "")).state, "verified", point);
		store.remove(image?.key ?? "");
		store.treeGc(new Set());
		store.gc({ gracePeriodMs: 0, keep: new Set() });
		const left = fs.readdirSync(store.directory, { recursive: true, encoding: "utf8" });
		const files = left.filter((name) => !fs.statSync(path.join(store.directory, name)).isDirectory());
		t.strictSame(files, ["layerlocks/in-use"], `${point}: nothing is left`);
		t.strictSame(fs.readdirSync(path.join(store.directory, "layer")), [], point);
	}
});

t.test("damage is found, named and not run; the next fetch repairs it", { skip: !root }, async (t) => {
	const store = newStore();
	const layers = [BASE, MIDDLE];
	const key = await addImage(store, "example.com/app", layers);
	const { treeId, lowers } = await store.ensureTree(key);
	const base = path.join(store.directory, "layer", BASE.diffId.slice(7));
	const flipped = path.join(base, "rootfs/etc/b");
	fs.writeFileSync(flipped, "twO");
	const file = { layer: BASE.diffId, path: "/etc/b", problem: "content" } as const;
	t.strictSame(await store.verifyTree(key), { state: "damaged", files: [file] });
	const mounted = withMount(lowers, (target) => fs.readFileSync(path.join(target, "etc/b"), "utf8"));
	t.equal(mounted, "twO");
	await rejects(t, store.checkTree(treeId), "image-damaged", /\/etc\/b has other content \(layer sha256:/);
	t.equal(store.record(key), undefined, "the image is not whole any more");
	await rejects(t, store.checkTree(treeId), "image-damaged", /is missing \(layer/);
	await addImage(store, "example.com/app", layers);
	await store.checkTree(treeId, { whole: true });
	t.equal((await store.verifyTree(key)).state, "verified");
	fs.chmodSync(path.join(store.directory, "tree", treeId, "rootfs/etc"), 0o700);
	const own = { path: "/etc", problem: "attributes" } as const;
	t.strictSame(await store.verifyTree(key), { state: "damaged", files: [own] });
	await store.repairTree(key, [own]);
	t.equal((await store.verifyTree(key)).state, "verified");
	fs.rmSync(path.join(base, "rootfs/pipe"));
	const missing = { layer: BASE.diffId, path: "/pipe", problem: "missing" } as const;
	t.strictSame(await store.verifyTree(key), { state: "damaged", files: [missing] });
	await rejects(t, store.repairTree(key, [missing]), "image-damaged", /were removed/);
	t.equal(store.hasLayer(BASE.diffId), false);
	t.equal(store.hasLayer(MIDDLE.diffId), true);
	await addImage(store, "example.com/app", layers);
	t.equal((await store.verifyTree(key)).state, "verified");
	const retired = () =>
		fs
			.readdirSync(path.join(store.directory, "layer"))
			.filter((name) => !/^[0-9a-f]{64}(\.json)?$/.test(name));
	store.gc({ gracePeriodMs: 60_000, keep: new Set() });
	t.equal(retired().length, 2, "a pod may be running on what was damaged");
	t.strictSame(store.treeGc(new Set()), [treeId]);
	store.gc({ gracePeriodMs: 60_000, keep: new Set() });
	t.strictSame(retired(), [], "now it is gone");
	t.strictSame(await store.verifyTree(key), { state: "verified" }, "layers without a tree");
	fs.writeFileSync(flipped, "twO");
	t.strictSame(await store.verifyTree(key), { state: "damaged", files: [file] });
	await rejects(t, store.repairTree(key, [file]), "image-damaged", /were removed/);
	await addImage(store, "example.com/app", layers);
	t.strictSame((await store.ensureTree(key)).lowers, lowers);
});

t.test("flipped bits in what is written down about trees and layers", { skip: !root }, async (t) => {
	const store = newStore();
	const layers = [
		makeLayer([fileEntry("a/b", "1", T)]),
		makeLayer([fileEntry("a/c", "2", T), whiteoutEntry("a/b")]),
	];
	const key = await addImage(store, "example.com/app", layers);
	const { treeId, lowers } = await store.ensureTree(key);
	const tree = path.join(store.directory, "tree", treeId);
	const layer = path.join(store.directory, "layer", layers[0]?.diffId.slice(7) ?? "");
	for (const file of ["files", "hash", "layers"].map((name) => path.join(tree, name))) {
		const whole = fs.readFileSync(file);
		for (let at = 0; at < whole.length; at += 7) {
			const flipped = Buffer.from(whole);
			flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
			fs.writeFileSync(file, flipped);
			const verdict = await store.verifyTree(key);
			if (verdict.state === "verified") t.fail(`${file}: bit ${at % 8} of byte ${at}`);
		}
		t.strictSame(await store.verifyTree(key), {
			state: "damaged",
			files: [{ path: "/", problem: "record" }],
		});
		if (path.basename(file) === "layers") {
			t.throws(() => store.lowersOf(treeId), { code: "image-damaged" });
			t.equal(store.treeOf(key).rendered, false);
			store.remove(await addImage(store, "example.com/other", layers));
			t.ok(fs.existsSync(layer), "nothing is collected while nobody knows what the tree needs");
		} else await store.repairTree(key, [{ path: "/", problem: "record" }]);
		t.strictSame((await store.ensureTree(key)).lowers, lowers);
		t.equal((await store.verifyTree(key)).state, "verified");
	}
	const shape = path.join(layer, "shape");
	const whole = fs.readFileSync(shape);
	store.removeTree(treeId);
	for (const damage of [
		whole.subarray(0, -3),
		Buffer.from("{}"),
		Buffer.from(whole.toString().replace('"a"', '"b"')),
	]) {
		fs.writeFileSync(shape, damage);
		await rejects(t, store.ensureTree(key), "image-damaged", /layer sha256:.* was damaged/);
		t.equal(store.record(key), undefined);
		await addImage(store, "example.com/app", layers);
	}
	t.strictSame((await store.ensureTree(key)).lowers, lowers);
});

t.test("a record with a flipped bit is none", { skip: !root }, async (t) => {
	const store = newStore();
	const key = await addImage(store, "example.com/app", [TOP]);
	const info = path.join(store.directory, "imageinfo", `${key}.json`);
	const text = fs.readFileSync(info);
	const { lastUsed, ...before } = store.record(key) ?? { lastUsed: 0 };
	let refused = 0;
	for (let at = 0; at < text.length; at++) {
		const flipped = Buffer.from(text);
		flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
		fs.writeFileSync(info, flipped);
		const found = store.record(key);
		if (found === undefined) refused++;
		else if (JSON.stringify({ ...found, lastUsed: 0 }) !== JSON.stringify({ ...before, lastUsed: 0 }))
			t.match(flipped.toString("latin1"), /^(?!.*"checksum":)/, "only without its check sum");
	}
	for (const layers of [["../../x"], ["sha256:1"], [1], "all", {}]) {
		const { checksum: _, ...forged } = JSON.parse(text.toString());
		fs.writeFileSync(info, JSON.stringify({ ...forged, layers }));
		t.equal(store.record(key), undefined, JSON.stringify(layers));
		t.strictSame(store.list(), []);
	}
	t.ok(refused > text.length - 15, `${refused} of ${text.length}`);
});

t.test("members of the group fetch, root unpacks", { skip: !root }, async (t) => {
	const store = newStore();
	const worker = buildStoreWorker(newDirectory());
	const directory = writeImage([BASE, MIDDLE]);
	for (const name of [scratch, memory, path.dirname(store.data)]) fs.chmodSync(name, 0o755);
	fs.chmodSync(directory, 0o777);
	store.temporaryDirectory();
	const group = 4321;
	const cas = fs.readdirSync(store.directory, { recursive: true, encoding: "utf8" });
	for (const name of ["..", ".", ...cas]) {
		const place = path.join(store.directory, name);
		const mode = fs.statSync(place).mode & 0o7777;
		fs.chownSync(place, 0, group);
		fs.chmodSync(place, mode);
	}
	const ids = { uid: 65534, gid: group };
	const fetched = worker.run([store.data, "image", directory], ids);
	t.equal(fetched.status, 0, fetched.stderr);
	const key = fetched.stdout.trim();
	t.equal(worker.run([store.data, "list"], ids).stdout.trim(), key);
	t.strictSame(
		fs.readdirSync(path.join(store.directory, "layerblob")).sort(),
		[BASE, MIDDLE].map(({ diffId }) => diffId.slice(7)).sort(),
	);
	t.equal(store.layerInfo(BASE.diffId)?.tarSize, BASE.tar.length);
	t.equal(fs.statSync(path.join(store.directory, "layerblob", BASE.diffId.slice(7))).mode & 0o7777, 0o660);
	t.match(worker.run([store.data, "render", key], ids), {
		status: 254,
		stderr: /root-required: only root may/,
	});
	t.equal(worker.run([store.data, "list"], ids).stdout.trim(), key, "an attempt of a member harms nothing");
	t.strictSame(await store.verifyTree(key), { state: "verified" }, "archives");
	const archive = path.join(store.directory, "layerblob", MIDDLE.diffId.slice(7));
	fs.writeFileSync(archive, Buffer.concat([MIDDLE.tar.subarray(0, -1), Buffer.from("x")]));
	const wrong = { layer: MIDDLE.diffId, path: "/", problem: "content" };
	t.strictSame(
		await store.verifyTree(key),
		{ state: "damaged", files: [wrong] },
		"a flipped bit in an archive",
	);
	fs.writeFileSync(archive, MIDDLE.tar);
	const { lowers } = await store.ensureTree(key);
	await compare(t, "unpacked later", lowers, unpackWithUmoci([BASE, MIDDLE], newDirectory()));
	t.strictSame(fs.readdirSync(path.join(store.directory, "layerblob")), [], "the archives are gone");
	t.equal(worker.run([store.data, "list"], ids).stdout.trim(), key, "members still see the image");
	t.match(worker.run([store.data, "layer", path.join(directory, BASE.diffId.slice(7))], ids), { status: 0 });

	await t.test("archives are not trusted", async (t) => {
		const other = writeImage([TOP]);
		fs.chmodSync(other, 0o777);
		const blob = path.join(store.directory, "layerblob", TOP.diffId.slice(7));
		const fake: Record<string, () => void> = {
			"other content": () => fs.appendFileSync(blob, "x"),
			"a layer that escapes": () =>
				fs.writeFileSync(blob, makeLayer([symlinkEntry("l", "/etc"), fileEntry("l/x", "evil")]).tar),
			"a link": () => {
				fs.rmSync(blob);
				fs.symlinkSync("/etc/passwd", blob);
			},
			"a fifo": () => {
				fs.rmSync(blob);
				spawnSync("mkfifo", [blob]);
			},
		};
		for (const [what, change] of Object.entries(fake)) {
			const made = worker.run([store.data, "image", other], ids);
			t.equal(made.status, 0, made.stderr);
			change();
			await rejects(t, store.ensureTree(made.stdout.trim()), "image-damaged", /layer sha256:.* was damaged/);
			t.notOk(fs.existsSync(blob), what);
		}
	});
});

t.test("an image of the older kind may depend on one of layers", { skip: !root }, async (t) => {
	const store = newStore();
	await addImage(store, "example.com/base", [BASE, MIDDLE]);
	const file = path.join(newDirectory(), "top.aci");
	const files: Record<string, AciEntry> = { "etc/b": { text: "above" }, own: { text: "own" } };
	const key = await makeAci(file, {
		manifest: imageManifest("example.com/top", { dependencies: [{ imageName: "example.com/base" }] }),
		files,
	});
	await store.importAci(file, { source: file });
	const { rootfs, lowers } = await store.ensureTree(key);
	t.strictSame(lowers, [rootfs]);
	const read = (name: string) => fs.readFileSync(path.join(rootfs, name), "utf8");
	t.strictSame([read("etc/b"), read("own"), read("opq/kept"), read("etc/c")], ["above", "own", "k", "two"]);
	t.notOk(fs.existsSync(path.join(rootfs, "etc/a")));
	t.equal(fs.statSync(path.join(rootfs, "bin/su")).mode & 0o7777, 0o4755);
});

t.test("a full disk is told, and leaves what was there", { skip: !root }, async (t) => {
	const small = newDirectory();
	t.equal(spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", small]).status, 0);
	t.teardown(() => spawnSync("umount", ["-l", small]));
	const store = storeIn(small);
	const { treeId } = await store.ensureTree(await addImage(store, "example.com/top", [TOP]));
	const big = makeLayer([fileEntry("big", Buffer.alloc(3_000_000, "x"))]);
	await rejects(t, ensure(store, big), "disk-full", /data/);
	t.strictSame(
		fs.readdirSync(path.join(store.directory, "layer")).sort(),
		[TOP.diffId.slice(7), `${TOP.diffId.slice(7)}.json`].sort(),
	);
	spawnSync("dd", ["if=/dev/zero", `of=${path.join(small, "fill")}`], { stdio: "ignore" });
	const file = path.join(store.directory, "layer", TOP.diffId.slice(7), "rootfs/var/old/y");
	fs.chmodSync(file, 0o600);
	fs.chmodSync(file, 0o644);
	await store.checkTree(treeId);
	t.pass("what was touched and is the same runs although that cannot be noted");

	fs.rmSync(path.join(small, "fill"));
	const waiting = makeLayer([fileEntry("waiting", Buffer.alloc(600_000, "w"))]);
	const archive = path.join(store.directory, "layerblob", waiting.diffId.slice(7));
	fs.writeFileSync(archive, waiting.tar);
	spawnSync("dd", ["if=/dev/zero", `of=${path.join(small, "fill")}`], { stdio: "ignore" });
	await rejects(t, ensure(store, waiting), "disk-full");
	t.ok(fs.existsSync(archive), "an archive that cannot be unpacked for want of room stays");
	fs.rmSync(path.join(small, "fill"));
	await ensure(store, waiting);
	t.notOk(fs.existsSync(archive));
});
