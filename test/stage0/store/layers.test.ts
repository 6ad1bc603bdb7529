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
	type LayerEntry,
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
		find . | sort | tr '\\n' '\\0' | xargs -0 getfattr -h -d -m '^(user|security.cap|system.posix)' 2>/dev/null
		find . -type f -exec sha256sum {} + | sort -k2`;
	const result = spawnSync("sh", ["-c", script], { cwd: directory, encoding: "utf8", maxBuffer: 1 << 28 });
	return result.stdout;
}

/** An overlay has a root directory of its own with a time and attributes of its own. */
function rootless(text: string): string {
	return text.replace(/^\|d\|.*$/m, "").replace(/^# file: \.\n(?:.+\n)*\n/m, "");
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

/** A small generator of numbers, so that a failure can be repeated. */
function createRandom(seed: number): (below: number) => number {
	let state = seed * 2654435761 + 1;
	return (below) => {
		state = (Math.imul(state, 1103515245) + 12345) >>> 0;
		return (state >>> 8) % below;
	};
}

/** A layer of few names, so that they meet those of other layers; nothing in it is refused by itself. */
function randomLayer(random: (below: number) => number): LayerEntry[] {
	const names = "a b c a/x a/y b/x b/x/1 b/x/2 c/y c/y/1 a/x/1 a/x/2".split(" ");
	const entries: LayerEntry[] = [];
	const directories = new Set<string>();
	const others = new Set<string>();
	const parents = (name: string) =>
		name
			.split("/")
			.map((_, index, parts) => parts.slice(0, index).join("/"))
			.slice(1);
	const more = () => ({
		mode: [0o644, 0o755, 0o700, 0o4711][random(4)] as number,
		uid: random(3),
		gid: random(3),
		mtime: `${1_600_000_000 + random(1000)}`,
		...(random(3) === 0 && { xattrs: { "user.k": `v${random(9)}` } }),
	});
	for (let left = 1 + random(9); left > 0; left--) {
		const name = names[random(names.length)] as string;
		const kind = random(12);
		if (parents(name).some((parent) => others.has(parent))) continue;
		const target = [...others][random(9)];
		const isDirectory = (kind >= 3 && kind < 6) || kind === 8;
		if (isDirectory ? others.has(name) : kind !== 7 && directories.has(name)) continue;
		if (kind < 3) entries.push(fileEntry(name, `content ${random(100)}`, more()));
		else if (kind < 6) entries.push(directoryEntry(name, more()));
		else if (kind === 6) entries.push(symlinkEntry(name, "a"));
		else if (kind === 7) entries.push(whiteoutEntry(name));
		else if (kind === 8) entries.push(opaqueEntry(name));
		else if (target !== undefined && target !== name) entries.push(hardlinkEntry(name, target));
		else continue;
		for (const parent of parents(name)) directories.add(parent);
		if (kind !== 7) (isDirectory ? directories : others).add(name);
	}
	if (random(4) === 0) entries.unshift(directoryEntry(".", { ...more(), mode: 0o755 }));
	// What umoci makes of a white-out depends on what it has met before.
	const isMarker = ({ path: name }: LayerEntry): boolean => name.includes(".wh.");
	return [...entries.filter(isMarker), ...entries.filter((entry) => !isMarker(entry))];
}

t.test("random", async (t) => {
	const [first = 0, count = 40] = (process.env.SEEDS ?? "").split(",").map(Number);
	let compared = 0;
	const reasons: Record<string, number> = {};
	for (let seed = first || 1; seed < (first || 1) + count; seed++) {
		const random = createRandom(seed);
		const layers = Array.from({ length: 2 + random(3) }, () => makeLayer(randomLayer(random)));
		const store = newStore();
		let lowers: readonly string[];
		try {
			const key = await addImage(store, "example.com/app", layers);
			lowers = (await store.ensureTree(key)).lowers;
		} catch (error) {
			const { code, message } = error as { code: string; message: string };
			const reason = `${code} ${message.replace(/"[^"]*"|sha256:\S*|\/\S*/g, "_")}`;
			reasons[reason] = (reasons[reason] ?? 0) + 1;
			continue;
		}
		let expected: string;
		try {
			expected = listing(umoci(layers));
		} catch (error) {
			t.comment(
				`seed ${seed}`,
				String(error),
				JSON.stringify(
					layers.map((l) => entriesText(l)),
					null,
					1,
				),
			);
			continue;
		}
		const normal = (text: string) => undated(text, expected);
		const copy = newDirectory();
		await copyMerged(syscall, lowers, copy);
		if (!t.equal(normal(listing(copy)), normal(expected), `copy, seed ${seed}`))
			t.comment(
				JSON.stringify(
					layers.map((l) => entriesText(l)),
					null,
					1,
				),
			);
		withMount(lowers, (root) =>
			t.equal(rootless(normal(listing(root))), rootless(normal(expected)), `mount, seed ${seed}`),
		);
		compared++;
		fs.rmSync(scratch, { recursive: true });
		fs.mkdirSync(scratch);
	}
	t.comment(`${compared} compared`, reasons);
});

/**
 * Without the times of directories to which umoci gave the time of now: those that no layer describes, and those
 * above them.
 */
function undated(text: string, expected: string): string {
	const now = new Set([...expected.matchAll(/^(.*)\|d\|.*\|179\d+\.\d+$/gm)].map(([, name]) => name));
	return text.replace(/^(.*?)(\|d\|.*\|)[\d.]+$/gm, (line, name, more) =>
		now.has(name) ? name + more : line,
	);
}
function entriesText(layer: OciLayer): string {
	return spawnSync("tar", ["-tvf", "-"], { input: layer.tar, encoding: "utf8" }).stdout;
}

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
