import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { Readable } from "node:stream";
import t, { type Test } from "tap";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import { createBlobWriter } from "../../../stage0/store/blob-writer.ts";
import { openStore, type Store } from "../../../stage0/store/store.ts";
import { digestTree } from "../../../stage0/store/tree-hash.ts";
import { type AciEntry, imageManifest, type ManifestOptions, makeAci } from "../../support/make-aci.ts";
import { buildStoreWorker, outcome } from "../../support/store-worker.ts";

const syscall = createLinuxSyscall();
const scratch = fs.mkdtempSync("/var/tmp/rkt-store-test-");
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

const SMALL: Record<string, AciEntry> = { etc: { directory: true }, "etc/name": { text: "small\n" } };

interface TestImage extends ManifestOptions {
	readonly files?: Record<string, AciEntry>;
	readonly pathWhitelist?: readonly string[];
	readonly compress?: boolean;
}

async function makeImage(name: string, options: TestImage = {}): Promise<{ file: string; key: string }> {
	const file = path.join(newDirectory(), "image.aci");
	const manifest = {
		...imageManifest(name, options),
		...(options.pathWhitelist && { pathWhitelist: options.pathWhitelist }),
	};
	const key = await makeAci(file, {
		manifest,
		files: options.files ?? SMALL,
		compress: options.compress ?? false,
	});
	return { file, key };
}

async function add(
	store: Store,
	name: string,
	options: TestImage & { latest?: boolean } = {},
): Promise<string> {
	const { file } = await makeImage(name, options);
	return (await store.importAci(file, { source: file, latest: options.latest ?? false })).key;
}

function blobOf(store: Store, key: string): string {
	return path.join(store.directory, "blob", "sha512", key.slice(7, 9), key);
}

/** Milliseconds of the best of many runs, because the machine has other things to do. */
async function fastest(action: () => Promise<unknown>): Promise<number> {
	const times: number[] = [];
	for (let run = 0; run < 50; run++) {
		const started = performance.now();
		await action();
		times.push(performance.now() - started);
	}
	return Math.min(...times);
}

function rejects(t: Test, promise: Promise<unknown>, code: string, message?: RegExp) {
	return t.rejects(promise, { code, ...(message && { message }) });
}

const worker = buildStoreWorker(scratch);

t.test(
	"import: the image has the ID of its uncompressed archive, whatever it was compressed with",
	async (t) => {
		const store = newStore();
		const plain = await makeImage("example.com/app", { compress: false });
		const archive = fs.readFileSync(plain.file);
		for (const [program, ...args] of [["cat"], ["gzip", "-c"], ["bzip2", "-c"], ["xz", "-c"]]) {
			const packed = path.join(newDirectory(), "packed.aci");
			fs.writeFileSync(packed, spawnSync(program as string, args, { input: archive }).stdout);
			const record = await store.importAci(packed, { source: packed });
			t.equal(record.key, plain.key, String(program));
			t.equal(record.size, archive.length);
		}
		t.strictSame(fs.readFileSync(blobOf(store, plain.key)), archive, "the blob is the uncompressed archive");
		t.equal(store.list().length, 1);
		t.strictSame(fs.readdirSync(path.join(store.directory, "tmp")), []);
		const stream = await store.importAci(Readable.from([archive.subarray(0, 700), archive.subarray(700)]), {
			source: "a stream",
		});
		t.equal(stream.key, plain.key);
		const manifest = await store.manifest(plain.key);
		t.equal(manifest.name, "example.com/app");
		const chunks: Buffer[] = [];
		for await (const chunk of store.openBlob(plain.key)) chunks.push(chunk as Buffer);
		t.ok(Buffer.concat(chunks).equals(archive));
	},
);

t.test("what is refused leaves nothing behind", async (t) => {
	const store = newStore();
	const { file, key } = await makeImage("example.com/app", { compress: true });
	const truncated = path.join(newDirectory(), "cut.aci");
	fs.writeFileSync(truncated, fs.readFileSync(file).subarray(0, 300));
	await rejects(t, store.importAci(truncated, { source: truncated }), "aci-truncated");
	await rejects(t, store.importAci("/nonexistent.aci", { source: "x" }), "file-not-found");
	await rejects(t, store.importAci("/dev/null", { source: "x" }), "file-not-found");
	const other = `sha512-${"0".repeat(128)}`;
	await rejects(
		t,
		store.importAci(file, { source: file, expectedId: other }),
		"image-id-mismatch",
		/expected sha512-000/,
	);
	const accept = () => {
		throw new Error("not this one");
	};
	await t.rejects(store.importAci(file, { source: file, accept }), /not this one/);
	t.strictSame(store.list(), []);
	t.notOk(fs.existsSync(blobOf(store, key)));
	t.strictSame(fs.readdirSync(path.join(store.directory, "tmp")), []);
	t.equal(
		(await store.importAci(file, { source: file, expectedId: key.slice(0, 30) })).key,
		key,
		"a short ID is enough",
	);
});

t.test("find: labels must be there, latest wins without a version, then the newest import", async (t) => {
	const store = newStore();
	const one = await add(store, "example.com/app", { version: "1.0.0", latest: true });
	const two = await add(store, "example.com/app", { version: "2.0.0" });
	const three = await add(store, "example.com/app", { version: "3.0.0", labels: { channel: "beta" } });
	await add(store, "example.com/application");
	const label = (name: string, value: string) => ({ name, value });
	t.equal(store.find("example.com/app", [])?.key, one, "imported as latest");
	t.equal(store.find("example.com/app", [label("version", "2.0.0")])?.key, two);
	t.equal(store.find("example.com/app", [label("channel", "beta")])?.key, three);
	t.equal(store.find("example.com/app", [label("version", "9")]), undefined);
	t.equal(store.find("example.com/ap", []), undefined);
	store.remove(one);
	t.equal(store.find("example.com/app", [])?.key, three, "the newest import");
	t.strictSame(
		store.list().map((record) => record.importTime),
		store
			.list()
			.map((record) => record.importTime)
			.sort((a, b) => a - b),
	);
});

t.test("keys: prefixes, none, several, malformed", async (t) => {
	const store = newStore();
	const key = await add(store, "example.com/app");
	t.equal(store.resolveKey(key), key);
	t.equal(store.resolveKey(key.slice(0, 20)), key);
	t.equal(store.resolveKey(key.slice(0, 20).toUpperCase().replace("SHA512", "sha512")), key);
	const code = (text: string): string => {
		try {
			return store.resolveKey(text);
		} catch (error) {
			return (error as { code: string }).code;
		}
	};
	t.equal(code("sha512-a"), "image-id-invalid");
	t.equal(code("sha256-abcdef"), "image-id-invalid");
	t.equal(code("sha512-../../etc"), "image-id-invalid");
	t.equal(code(`sha512-${key[7] === "0" ? "1" : "0"}0`), "image-not-found");
	for (let version = 0; !/ambiguous/.test(code(key.slice(0, 9))) && version < 2000; version++) {
		const name = `sha512-${key.slice(7, 9)}${String(version).padStart(126, "0")}`;
		const record = { ...store.record(key), key: name, size: 3 };
		fs.mkdirSync(path.dirname(blobOf(store, name)), { recursive: true });
		fs.writeFileSync(blobOf(store, name), "abc");
		fs.writeFileSync(path.join(store.directory, "imageinfo", `${name}.json`), JSON.stringify(record));
	}
	t.equal(code(key.slice(0, 9)), "image-id-ambiguous");
	t.equal(store.resolveKey(key), key, "the full key is never ambiguous");
});

t.test("remotes, use and removal", async (t) => {
	const store = newStore();
	const key = await add(store, "example.com/app");
	const remote = {
		url: "https://example.com/a.aci",
		signatureUrl: "",
		etag: '"1"',
		key,
		maxAge: 5,
		downloadTime: 7,
	};
	t.equal(store.getRemote(remote.url), undefined);
	store.putRemote(remote);
	store.putRemote({ ...remote, url: "https://example.com/b.aci" });
	t.strictSame(store.getRemote(remote.url), remote);
	const old = new Date(2020, 1, 1);
	fs.utimesSync(path.join(store.directory, "imageinfo", `${key}.json`), old, old);
	t.equal(store.record(key)?.lastUsed, old.getTime());
	store.touch(key);
	t.ok((store.record(key)?.lastUsed ?? 0) > Date.now() - 60_000);
	store.remove(key);
	t.equal(store.getRemote(remote.url), undefined, "its URLs are forgotten");
	t.strictSame(store.list(), []);
	t.notOk(fs.existsSync(blobOf(store, key)));
	t.throws(() => store.remove(key), { code: "image-not-found" });
	t.throws(() => store.manifestText(key), { code: "image-not-found" });
	t.throws(() => store.openBlob(key), { code: "image-not-found" });
});

t.test("gc: the grace period, images in use, left-over files", async (t) => {
	const store = newStore();
	const keys = [
		await add(store, "example.com/a"),
		await add(store, "example.com/b"),
		await add(store, "example.com/c"),
	];
	const [a, b, c] = keys as [string, string, string];
	const age = (key: string, ms: number) => {
		const then = new Date(Date.now() - ms);
		fs.utimesSync(path.join(store.directory, "imageinfo", `${key}.json`), then, then);
	};
	age(a, 7_200_000);
	age(b, 7_200_000);
	t.strictSame(store.gc({ gracePeriodMs: 3_600_000, keep: new Set([b]) }), [a]);
	t.strictSame(new Set(store.list().map(({ key }) => key)), new Set([b, c]));
	const temporary = path.join(store.directory, "tmp");
	fs.writeFileSync(path.join(temporary, "import-1-abc"), "left over");
	fs.writeFileSync(path.join(temporary, "sha512-part"), "part of a download");
	fs.writeFileSync(path.join(temporary, "sha512-part.state"), "{}");
	fs.writeFileSync(path.join(temporary, "sha512-gone.state"), "{}");
	fs.writeFileSync(path.join(store.directory, "imageinfo", `${c}.json.999999999.abc.tmp`), "{");
	store.sweep(60_000);
	t.strictSame(
		fs.readdirSync(temporary).sort(),
		["sha512-part", "sha512-part.state"],
		"a download can go on",
	);
	t.equal(fs.readdirSync(path.join(store.directory, "imageinfo")).length, 2);
	store.sweep();
	t.strictSame(fs.readdirSync(temporary), []);
	t.equal(store.list().length, 2);
});

t.test("the layout has the modes of rkt's store", async (t) => {
	const store = newStore();
	const key = await add(store, "example.com/app");
	const mode = (...parts: string[]) =>
		(fs.statSync(path.join(store.data, ...parts)).mode & 0o7777).toString(8);
	t.equal(mode(), "2750");
	for (const name of ["cas", "cas/blob", "cas/blob/sha512", "cas/imageinfo", "cas/tmp", "cas/imagelocks"]) {
		t.equal(mode(name), "2770", name);
	}
	t.equal(mode("cas/tree"), "2700");
	t.equal(mode("cas/treestorelocks"), "2700");
	t.equal(mode("cas/blob/sha512", key.slice(7, 9), key), "660");
	t.equal(
		mode("cas/imageinfo", `${key}.json`),
		process.geteuid?.() === 0 ? "640" : "660",
		"who signed is root's to say",
	);
});

t.test("trees", async (t) => {
	const store = newStore();
	const special: Record<string, AciEntry> = {
		bin: { directory: true },
		"bin/tool": { text: "#!/bin/sh\n", mode: 0o4755, uid: 12, gid: 34 },
		"bin/link": { symlink: "/etc/passwd" },
		sticky: { directory: true, mode: 0o1777 },
		closed: { directory: true, mode: 0o100 },
		"closed/inside": { text: "x" },
		["long/".repeat(50) + "n".repeat(200)]: { text: "deep" },
		"größe/✓": { text: "utf-8" },
		"-n": { text: "not an option" },
	};
	const key = await add(store, "example.com/app", { files: special });
	t.equal(store.treeOf(key).rendered, false);
	t.equal((await store.verifyTree(key)).state, "not-rendered");
	const { treeId, rootfs } = await store.ensureTree(key);

	await t.test("everything is as in the archive", async (t) => {
		const at = (name: string) => fs.lstatSync(path.join(rootfs, name));
		t.equal(at("bin/tool").mode & 0o7777, 0o4755);
		t.strictSame([at("bin/tool").uid, at("bin/tool").gid], [12, 34]);
		t.equal(fs.readlinkSync(path.join(rootfs, "bin/link")), "/etc/passwd");
		t.equal(at("sticky").mode & 0o7777, 0o1777);
		t.equal(at("closed").mode & 0o7777, 0o100);
		t.equal(at("long").mode & 0o7777, 0o755, "an implied directory");
		t.equal(fs.readFileSync(path.join(rootfs, "größe/✓"), "utf8"), "utf-8");
		t.equal(fs.readFileSync(path.join(rootfs, "-n"), "utf8"), "not an option");
		t.equal(fs.readFileSync(path.join(rootfs, "closed/inside"), "utf8"), "x");
	});

	await t.test("it is found again at once, and in the record", async (t) => {
		const before = fs.statSync(path.join(store.directory, "tree", treeId, "rendered")).ino;
		t.strictSame(await store.ensureTree(key), { treeId, rootfs, lowers: [rootfs] });
		t.ok((await fastest(() => store.ensureTree(key))) < 2, "in a millisecond or two");
		t.equal(fs.statSync(path.join(store.directory, "tree", treeId, "rendered")).ino, before);
		t.equal(store.treeSize(treeId), store.record(key)?.treeStoreSize);
		t.equal(
			store.treeSize(treeId),
			Object.values(special).reduce(
				(sum, entry) => sum + ("text" in entry ? Buffer.byteLength(entry.text) : 0),
				0,
			),
		);
		t.equal(fs.readFileSync(path.join(store.directory, "tree", treeId, "image"), "utf8"), key);
		const { file } = await makeImage("example.com/app", { files: special });
		await store.importAci(file, { source: file });
		t.equal(store.record(key)?.treeStoreSize, store.treeSize(treeId), "importing again forgets nothing");
	});

	await t.test("every change of the tree is noticed, and repaired by rebuilding", async (t) => {
		const tool = path.join(rootfs, "bin/tool");
		const changes: Record<string, [change: () => unknown, file: string, problem: string]> = {
			content: [() => fs.writeFileSync(tool, "#!/bin/xx\n"), "/bin/tool", "content"],
			size: [() => fs.appendFileSync(tool, "more"), "/bin/tool", "content"],
			mode: [() => fs.chmodSync(tool, 0o755), "/bin/tool", "attributes"],
			owner: [() => fs.chownSync(tool, 0, 0), "/bin/tool", "attributes"],
			"an attribute": [
				() => spawnSync("setfattr", ["-n", "user.x", "-v", "y", tool]),
				"/bin/tool",
				"attributes",
			],
			"a new file": [() => fs.writeFileSync(path.join(rootfs, "new"), ""), "/new", "unexpected"],
			"a missing file": [() => fs.rmSync(tool), "/bin/tool", "missing"],
			"a link elsewhere": [
				() => {
					fs.rmSync(path.join(rootfs, "bin/link"));
					fs.symlinkSync("/etc/shadow", path.join(rootfs, "bin/link"));
				},
				"/bin/link",
				"attributes",
			],
		};
		for (const [what, [change, file, problem]] of Object.entries(changes)) {
			t.equal((await store.verifyTree(key)).state, "verified", `before ${what}`);
			await store.checkTree(treeId);
			change();
			const verdict = await store.verifyTree(key);
			t.strictSame(verdict, { state: "damaged", files: [{ path: file, problem }] }, what);
			await rejects(t, store.checkTree(treeId), "image-damaged", new RegExp(`${file} `));
			t.equal(store.treeOf(key).rendered, false, `${what}: it is not run again`);
			await store.ensureTree(key);
		}
		t.equal((await store.verifyTree(key)).state, "verified");
	});

	await t.test("what the disk flipped is found by a check of everything, by name", async (t) => {
		const tool = path.join(rootfs, "bin/tool");
		const stamps = path.join(path.dirname(rootfs), "stamps");
		fs.writeFileSync(tool, "#!/bin/xx\n");
		const pretended = JSON.parse(fs.readFileSync(stamps, "utf8")) as (string | number)[];
		pretended[pretended.indexOf("rootfs/bin/tool") + 2] = fs.lstatSync(tool).ctimeMs;
		fs.writeFileSync(stamps, JSON.stringify(pretended));
		await store.checkTree(treeId);
		await rejects(
			t,
			store.checkTree(treeId, { whole: true }),
			"image-damaged",
			/\/bin\/tool has other content/,
		);
		await store.ensureTree(key);
		await store.checkTree(treeId, { whole: true });
	});

	await t.test("what was touched and is the same costs one look at everything", async (t) => {
		const tool = path.join(rootfs, "bin/tool");
		const stamps = path.join(path.dirname(rootfs), "stamps");
		const before = fs.readFileSync(stamps, "utf8");
		fs.chmodSync(tool, 0o755);
		fs.chmodSync(tool, 0o4755);
		await store.checkTree(treeId);
		const after = fs.readFileSync(stamps, "utf8");
		t.not(after, before);
		await store.checkTree(treeId);
		for (const damage of ["", "[", "[1]", '{"a":1}', "null"]) {
			fs.writeFileSync(stamps, damage);
			await store.checkTree(treeId);
			t.equal(fs.readFileSync(stamps, "utf8"), after, `stamps ${damage} are written again`);
		}
		fs.appendFileSync(path.join(path.dirname(rootfs), "files"), " ");
		const verdict = await store.verifyTree(key);
		t.strictSame(verdict, { state: "damaged", files: [{ path: "/", problem: "record" }] });
		await store.repairTree(key, [{ path: "/", problem: "record" }]);
		t.equal((await store.verifyTree(key)).state, "verified");
	});

	await t.test("a tree of an earlier version has no list of files and gets one", async (t) => {
		const directory = path.dirname(rootfs);
		for (const name of ["files", "stamps"]) fs.rmSync(path.join(directory, name));
		fs.writeFileSync(path.join(directory, "hash"), digestTree(directory, syscall).hash);
		await store.checkTree(treeId);
		t.ok(fs.existsSync(path.join(directory, "files")));
		t.equal((await store.verifyTree(key)).state, "verified");
		for (const name of ["files", "stamps"]) fs.rmSync(path.join(directory, name));
		await rejects(t, store.checkTree(treeId), "image-damaged");
		await store.ensureTree(key);
		t.equal((await store.verifyTree(key)).state, "verified");
	});

	await t.test("gc keeps what is named", async (t) => {
		const other = await add(store, "example.com/other");
		const second = await store.ensureTree(other);
		t.strictSame(store.treeGc(new Set([treeId])), [second.treeId]);
		t.notOk(fs.existsSync(second.rootfs));
		t.ok(fs.existsSync(rootfs));
		store.removeTree(treeId);
		t.equal(store.treeOf(key).rendered, false);
		t.strictSame(fs.readdirSync(path.join(store.directory, "treestorelocks")), []);
	});
});

t.test(
	"devices, fifos, capabilities, hard links and owners come from GNU tar's archives unchanged",
	async (t) => {
		const store = newStore();
		const directory = newDirectory();
		const script = `
		set -e; mkdir -p rootfs/dev rootfs/d; cd rootfs
		mknod dev/null c 1 3; mkfifo fifo; echo one > file; ln file d/hard; chown 70000:80000 file
		printf x > ping; setcap cap_net_raw+ep ping 2>/dev/null || true; setfattr -n user.note -v 'a b' ping
		truncate -s 3M zeros; touch -d '2001-02-03 04:05:06.789' file
		cd ..; tar --format=posix --numeric-owner --xattrs --xattrs-include='*' -cf image.aci manifest rootfs`;
		fs.writeFileSync(path.join(directory, "manifest"), JSON.stringify(imageManifest("example.com/special")));
		t.equal(spawnSync("sh", ["-c", script], { cwd: directory, stdio: "inherit" }).status, 0);
		const { key } = await store.importAci(path.join(directory, "image.aci"), { source: "image" });
		const { rootfs } = await store.ensureTree(key);
		const original = path.join(directory, "rootfs");
		const listing = (root: string) =>
			spawnSync(
				"sh",
				["-c", "find . | sort | xargs stat -c '%n %f %u %g %s %t %T %h %Y'; getfattr -d -m- -R ."],
				{
					cwd: root,
				},
			).stdout.toString();
		const directoriesSizeless = (text: string) => text.replace(/^(\S+ 4\S+ \d+ \d+) \d+/gm, "$1");
		t.equal(directoriesSizeless(listing(rootfs)), directoriesSizeless(listing(original)));
		t.equal(fs.statSync(path.join(rootfs, "file")).ino, fs.statSync(path.join(rootfs, "d/hard")).ino);
		t.equal((await store.verifyTree(key)).state, "verified");
	},
);

t.test("dependencies supply files in the order of the specification", async (t) => {
	const store = newStore();
	const text = (content: string): AciEntry => ({ text: content });
	const leaf = await add(store, "example.com/leaf", {
		files: { shared: text("leaf"), "leaf-only": text("leaf"), hidden: text("leaf") },
	});
	await add(store, "example.com/middle", {
		files: { shared: text("middle"), "middle-only": text("middle") },
		dependencies: [{ imageName: "example.com/leaf", imageID: leaf }],
	});
	await add(store, "example.com/other", { files: { shared: text("other"), "other-only": text("other") } });
	const top = await add(store, "example.com/top", {
		files: { "top-only": text("top") },
		dependencies: [
			{ imageName: "example.com/other" },
			{ imageName: "example.com/middle", labels: [{ name: "version", value: "1.0.0" }] },
		],
		pathWhitelist: ["/shared", "/top-only", "/middle-only", "/leaf-only", "/other-only"],
	});
	const { rootfs, treeId } = await store.ensureTree(top);
	const read = (name: string) => fs.readFileSync(path.join(rootfs, name), "utf8");
	t.equal(read("shared"), "middle", "the last dependency comes first");
	t.strictSame(fs.readdirSync(rootfs).sort(), [
		"leaf-only",
		"middle-only",
		"other-only",
		"shared",
		"top-only",
	]);
	t.equal((await store.ensureTree(top)).treeId, treeId);
	t.ok((await fastest(() => store.ensureTree(top))) < 5);
	await add(store, "example.com/other", { version: "2.0.0", files: { "other-only": text("newer") } });
	const again = await store.ensureTree(top);
	t.not(again.treeId, treeId, "another dependency, another tree");
	t.equal(fs.readFileSync(path.join(again.rootfs, "other-only"), "utf8"), "newer");
	store.remove(leaf);
	await rejects(t, store.ensureTree(top), "image-not-found");
});

t.test("an image that is unpacked while it is imported gives the same tree", async (t) => {
	const files = { ...SMALL, "deep/er/file": { text: "x", mode: 0o4750, uid: 7 } };
	const { file, key } = await makeImage("example.com/app", { files, compress: true });
	const [early, late] = [newStore(), newStore()];
	await early.importAci(file, { source: file, render: true });
	t.equal(early.treeOf(key).rendered, true);
	await late.importAci(file, { source: file });
	t.equal(late.treeOf(key).rendered, false);
	await late.ensureTree(key);
	const content = (store: Store, name: string) =>
		fs.readFileSync(path.join(store.directory, "tree", store.treeOf(key).treeId, name), "utf8");
	for (const name of ["hash", "manifest", "image", "size"])
		t.equal(content(early, name), content(late, name), name);
	t.equal(early.record(key)?.treeStoreSize, late.record(key)?.treeStoreSize);
	t.equal((await early.verifyTree(key)).state, "verified");
	await early.importAci(file, { source: file, render: true });
	t.equal((await early.verifyTree(key)).state, "verified", "again");
	const dependent = await makeImage("example.com/dependent", {
		dependencies: [{ imageName: "example.com/app" }],
	});
	await early.importAci(dependent.file, { source: dependent.file, render: true });
	t.equal(early.treeOf(dependent.key).rendered, false, "its tree has files of others");
	const chosen = await makeImage("example.com/chosen", { pathWhitelist: ["/etc/name"] });
	await early.importAci(chosen.file, { source: chosen.file, render: true });
	t.equal(early.treeOf(chosen.key).rendered, false, "its tree has not all of its files");
	const bad = path.join(newDirectory(), "bad.aci");
	fs.writeFileSync(bad, fs.readFileSync(dependent.file).subarray(0, 3000));
	await t.rejects(early.importAci(bad, { source: bad, render: true }), { code: /^aci-/ });
	const accept = () => Promise.reject(new Error("refused"));
	await t.rejects(early.importAci(dependent.file, { source: "x", render: true, accept }), /refused/);
	t.strictSame(
		fs.readdirSync(path.join(early.directory, "tree")),
		[early.treeOf(key).treeId],
		"nothing else is left",
	);
});

t.test("damage on the disk is found and named, and a new import repairs it", async (t) => {
	const { file, key } = await makeImage("example.com/app", { files: { big: { text: "x".repeat(20_000) } } });
	const size = fs.statSync(file).size;
	for (let offset = 100; offset < size; offset += 1497) {
		const store = newStore();
		await store.importAci(file, { source: file });
		const fd = fs.openSync(blobOf(store, key), "r+");
		const byte = Buffer.alloc(1);
		fs.readSync(fd, byte, 0, 1, offset);
		byte[0] = (byte[0] as number) ^ (1 << (offset % 8));
		fs.writeSync(fd, byte, 0, 1, offset);
		fs.closeSync(fd);
		await rejects(t, store.ensureTree(key), "image-damaged", /example\.com\/app/);
		t.strictSame(store.list(), [], "it is not offered again");
		t.strictSame(fs.readdirSync(path.join(store.directory, "tree")), []);
		await store.importAci(file, { source: file });
		t.ok(fs.existsSync((await store.ensureTree(key)).rootfs), "repaired");
	}
	const store = newStore();
	await store.importAci(file, { source: file });
	fs.truncateSync(blobOf(store, key), 1000);
	t.equal(store.record(key), undefined, "a blob that is too short is no image");
	await rejects(t, store.ensureTree(key), "image-not-found");
	await store.importAci(file, { source: file });
	fs.appendFileSync(path.join(store.directory, "imageManifest", "sha512", key.slice(7, 9), key), " ");
	t.throws(() => store.manifestText(key), { code: "image-damaged" });
	await store.importAci(file, { source: file });
	fs.writeFileSync(path.join(store.directory, "imageinfo", `${key}.json`), '{"key":');
	t.strictSame(store.list(), [], "a damaged record is none");
	await store.importAci(file, { source: file });
	t.equal(store.list().length, 1);
});

t.test("fifty processes import and render one image at once", async (t) => {
	const store = newStore();
	const { file, key } = await makeImage("example.com/app", {
		files: { big: { text: "y".repeat(300_000) } },
		compress: true,
	});
	const imports = await Promise.all(
		Array.from({ length: 50 }, (_, index) =>
			outcome(worker.start([store.data, index % 2 ? "import" : "import-render", file])),
		),
	);
	for (const { status, stdout, stderr } of imports) if (status !== 0 || stdout !== `${key}\n`) t.fail(stderr);
	t.equal(store.list().length, 1);
	t.strictSame(fs.readdirSync(path.join(store.directory, "tmp")), []);
	const blob = fs.readFileSync(blobOf(store, key));
	t.equal(`sha512-${createHash("sha512").update(blob).digest("hex")}`, key);
	const renders = await Promise.all(
		Array.from({ length: 20 }, () => outcome(worker.start([store.data, "render", key]))),
	);
	t.strictSame(new Set(renders.map(({ stdout }) => stdout.trim())), new Set([store.treeOf(key).treeId]));
	t.equal((await store.verifyTree(key)).state, "verified");
});

t.test("SIGKILL at every step leaves a store that works and can be swept", async (t) => {
	const { file, key } = await makeImage("example.com/app");
	const steps: Record<string, readonly string[]> = {
		import: ["import-begin", "import-read", "import-blob", "import-manifest", "import-record"],
		"import-render": [
			"import-begin",
			"import-read",
			"import-record",
			"tree-written",
			"tree-flushed",
			"tree-rendered",
		],
		render: ["tree-begin", "tree-written", "tree-flushed", "tree-rendered"],
		remove: ["remove-remotes", "remove-record", "remove-manifest"],
		"remove-tree": ["tree-unmarked"],
	};
	for (const [action, points] of Object.entries(steps)) {
		for (const point of points) {
			const store = newStore();
			if (!action.startsWith("import")) await store.importAci(file, { source: file });
			if (action === "remove-tree") await store.ensureTree(key);
			const tree = () => store.treeOf(key).treeId;
			const argument = action.startsWith("import") ? file : action === "remove-tree" ? tree() : key;
			const child = worker.run([store.data, action, argument], { crashAt: point });
			t.equal(child.signal, "SIGKILL", point);
			const there = store.list().length;
			t.ok(there === 0 || store.manifestText(key).length > 0, `${point}: an image is whole or absent`);
			await store.importAci(file, { source: file });
			const { rootfs } = await store.ensureTree(key);
			t.equal(fs.readFileSync(path.join(rootfs, "etc/name"), "utf8"), "small\n", point);
			store.remove(key);
			store.sweep();
			store.treeGc(new Set());
			const left = fs.readdirSync(store.directory, { recursive: true, encoding: "utf8" });
			const files = left.filter((name) => !fs.statSync(path.join(store.directory, name)).isDirectory());
			t.strictSame(files, [], `${point}: nothing is left`);
		}
	}
});

t.test("SIGKILL at any time of an import loses no other image", async (t) => {
	const store = newStore();
	const kept = await add(store, "example.com/kept");
	const { file, key } = await makeImage("example.com/app", {
		files: { big: { text: "z".repeat(4_000_000) } },
		compress: true,
	});
	for (let delay = 20; delay < 400; delay += 38) {
		const child = worker.start([store.data, "import", file]);
		const ended = outcome(child);
		setTimeout(() => child.kill("SIGKILL"), delay);
		await ended;
		const keys = store.list().map((record) => record.key);
		t.ok(keys.includes(kept) && keys.every((found) => found === kept || found === key), `after ${delay} ms`);
	}
	await store.importAci(file, { source: file });
	store.sweep();
	t.equal(store.list().length, 2);
	t.strictSame(fs.readdirSync(path.join(store.directory, "tmp")), []);
});

t.test("a full disk is told, and leaves what was there", { skip: process.getuid?.() !== 0 }, async (t) => {
	const small = newDirectory();
	t.equal(spawnSync("mount", ["-t", "tmpfs", "-o", "size=600k", "tmpfs", small]).status, 0);
	t.teardown(() => spawnSync("umount", ["-l", small]));
	const store = openStore(path.join(small, "data"), syscall);
	const kept = await add(store, "example.com/kept");
	const { file } = await makeImage("example.com/large", { files: { big: { text: "b".repeat(900_000) } } });
	await rejects(t, store.importAci(file, { source: file }), "disk-full", /data/);
	t.strictSame(
		store.list().map(({ key }) => key),
		[kept],
	);
	t.strictSame(fs.readdirSync(path.join(store.directory, "tmp")), []);
	const { file: half } = await makeImage("example.com/half", {
		files: { big: { text: "c".repeat(300_000) } },
	});
	const { key } = await store.importAci(half, { source: half });
	await rejects(t, store.ensureTree(key), "disk-full");
	t.strictSame(fs.readdirSync(path.join(store.directory, "tree")), []);
	t.ok(fs.existsSync((await store.ensureTree(kept)).rootfs));
});

t.test("a data directory that cannot be written", async (t) => {
	const { file } = await makeImage("example.com/app");
	const store = openStore("/proc/nowhere/data", syscall);
	t.strictSame(store.list(), []);
	t.equal(store.find("example.com/app", []), undefined);
	await rejects(t, store.importAci(file, { source: file }), "data-directory-unusable", /nowhere/);
});

t.test(
	"a member of the store's group can look at it, others are told",
	{ skip: process.getuid?.() !== 0 },
	async (t) => {
		const store = newStore();
		const key = await add(store, "example.com/app");
		for (const directory of [scratch, path.dirname(store.data)]) fs.chmodSync(directory, 0o755);
		const group = fs.statSync(store.data).gid;
		const list = (gid: number) => worker.run([store.data, "list"], { uid: 65534, gid });
		t.equal(list(group).stdout, `${key}\n`);
		t.match(list(65534).stderr, /^data-directory-unusable: .*data/);
	},
);

t.test(
	"a sweep between making and locking a temporary file costs a second file, not the import",
	async (t) => {
		const directory = newDirectory();
		let sweeps = 0;
		const swept = {
			...syscall,
			flock: (fd: number, operation: number): void => {
				if (sweeps++ < 2) for (const name of fs.readdirSync(directory)) fs.rmSync(path.join(directory, name));
				syscall.flock(fd, operation);
			},
		};
		const writer = createBlobWriter(directory, swept);
		await writer.write(Buffer.from("content"));
		await writer.finish();
		t.equal(sweeps, 3);
		t.equal(fs.readFileSync(writer.file, "utf8"), "content");
		writer.close();
		t.strictSame(fs.readdirSync(directory), []);
	},
);
