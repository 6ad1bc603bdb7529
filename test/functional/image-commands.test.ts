import * as fs from "node:fs";
import * as path from "node:path";
import { execaSync } from "execa";
import t from "tap";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import { openStore } from "../../stage0/store/store.ts";
import { kernelAnnotations } from "../../stage1/guest-kernel.ts";
import { importOci } from "../support/import-oci.ts";
import { busyboxFiles, imageManifest, makeAci } from "../support/make-aci.ts";
import { makeOciImage } from "../support/oci-image.ts";
import {
	directoryEntry,
	fileEntry,
	hardlinkEntry,
	layerFiles,
	makeLayer,
	opaqueEntry,
	whiteoutEntry,
} from "../support/oci-layer.ts";
import { writeDockerArchive, writeOciArchive, writeOciLayout } from "../support/oci-layout.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { createTestHost } from "../support/test-host.ts";

enterPrivateHost();

const host = createTestHost("image-commands");
t.teardown(() => host.remove());

const base = makeLayer(layerFiles(busyboxFiles()));
const top = makeLayer(
	[
		directoryEntry("srv", { mode: 0o2750, uid: 5, gid: 6, mtime: "1700000000" }),
		fileEntry("srv/page", "x".repeat(5000), {
			mode: 0o4755,
			mtime: "1600000000.5",
			xattrs: { "user.note": "n" },
		}),
		hardlinkEntry("srv/again", "srv/page"),
		whiteoutEntry("bin/cat"),
		opaqueEntry("etc"),
		fileEntry("etc/passwd", "root:x:0:0::/:/bin/sh\nworker:x:1000:1001::/srv:/bin/sh\n"),
	],
	"none",
);
const config = { Cmd: ["sh"], User: "worker", ExposedPorts: { "80/tcp": {} }, Volumes: { "/data": {} } };
const image = makeOciImage({ layers: [base, top], config });
const other = makeOciImage({ layers: [base], config: { Cmd: ["true"] } });

const kernel = { release: "6.1.0-test", source: "made up", sha512: "0".repeat(128) };

const rkt = async (...args: string[]) => {
	const result = await host.rkt(args);
	t.equal(result.status, 0, `${args.join(" ")}\n${result.stderr}`);
	return result.stdout;
};

t.before(async () => {
	const store = openStore(host.dataDirectory, createLinuxSyscall());
	await importOci(store, image, "app");
	await importOci(store, other, "other");
	const file = path.join(host.directory, "plain.aci");
	const manifest = { ...imageManifest("example.com/plain"), annotations: kernelAnnotations(kernel) };
	await makeAci(file, { manifest, files: busyboxFiles() });
	await rkt("fetch", "--insecure-options=image", file);
});

const at = (name: string): string => path.join(host.directory, name);

interface Listed {
	readonly id: string;
	readonly name: string;
	readonly size: number;
	readonly shared_size: number;
}

const sizeOf = (layer: typeof base): number => {
	const hex = layer.diffId.slice("sha256:".length);
	return Number(fs.readFileSync(path.join(host.dataDirectory, "cas/layer", hex, "size"), "utf8"));
};

t.test("image list tells what images take of the disk and what they share", async (t) => {
	const list = JSON.parse(await rkt("image", "list", "--format=json", "--sort=name")) as Listed[];
	t.match(list, [
		{ name: "example.com/app:1", size: sizeOf(base) + sizeOf(top), shared_size: sizeOf(base) },
		{ name: "example.com/other:1", size: sizeOf(base), shared_size: sizeOf(base) },
		{ name: "example.com/plain:1.0.0", shared_size: 0 },
	]);
	t.ok(sizeOf(top) >= 5000 && sizeOf(base) > 500_000, "sizes of real files");
	const table = await rkt("image", "list", "--fields=name,size,shared", "--full", "--sort=shared,name");
	t.strictSame(
		table
			.trim()
			.split("\n")
			.map((line) => line.split(/\t+/)),
		[
			["NAME", "SIZE", "SHARED"],
			["example.com/plain:1.0.0", String(list[2]?.size), "0"],
			["example.com/app:1", String(list[0]?.size), String(sizeOf(base))],
			["example.com/other:1", String(list[1]?.size), String(sizeOf(base))],
		],
	);
});

t.test("image list reads no manifest", async (t) => {
	const manifests = path.join(host.dataDirectory, "cas/imageManifest");
	fs.renameSync(manifests, `${manifests}.away`);
	t.teardown(() => fs.renameSync(`${manifests}.away`, manifests));
	const list = JSON.parse(await rkt("image", "list", "--format=json")) as Listed[];
	t.match(list, [{ name: "example.com/plain:1.0.0", guest_kernel: kernel }], "the record has all of it");
});

t.test("a rendered image that was removed takes no room any more", async (t) => {
	const sizeOf = async () =>
		JSON.parse(await rkt("image", "inspect", "--format=json", "example.com/plain"))[0];
	const before = await sizeOf();
	t.ok(before.tree.rendered && before.size > before.archive_size);
	const removed = await host.rkt(["image", "gc", "--grace-period=1h"]);
	t.match(removed.stderr, /removed rendered image/);
	t.match(await sizeOf(), { size: before.archive_size, tree: { rendered: false } });
	await rkt("image", "render", "example.com/plain", at("plain"));
	t.equal((await sizeOf()).size, before.size);
});

t.test("image inspect", async (t) => {
	const [inspected] = JSON.parse(await rkt("image", "inspect", "--format=json", "example.com/app:1"));
	t.match(inspected, {
		...{ name: "example.com/app", format: "oci", signature: "unchecked", size: sizeOf(base) + sizeOf(top) },
		...{ shared_size: sizeOf(base), source: "docker://example.com/app:1" },
		...{ manifest_digest: image.manifestDigest, config_digest: image.configDigest },
		layers: [
			{ diff_id: base.diffId, size: sizeOf(base), shared_by: [/^sha512-[0-9a-f]{128}$/] },
			{ diff_id: top.diffId, size: sizeOf(top), shared_by: undefined },
		],
		app: { exec: ["sh"], user: "worker" },
	});
	const text = await rkt("image", "inspect", "example.com/app", "example.com/plain");
	for (const line of [
		"format: OCI layers",
		"signature: not checked",
		`manifest digest: ${image.manifestDigest}`,
		"exec: sh",
		"user: worker",
		"port 80-tcp: 80/tcp",
		"mount point volume-data: /data",
		"format: ACI",
	]) {
		t.ok(text.split("\n").includes(line), line, { text });
	}
	t.match(text, /^layer 1: sha256:[0-9a-f]{64}, .*iB, also in sha512-[0-9a-f]{12}$/m);
	t.match(text, /^rendered: no$/m);
	t.match(text, /^rendered: deps-sha512-/m, "the ACI was rendered when it was fetched");
	const missing = await host.rkt(["image", "inspect", "example.com/none"]);
	t.equal(missing.status, 254);
	t.match(missing.stderr, /not in the store/);
});

/** What a tree holds: type, mode, owner, links, time, attributes and content of every file. */
function listTree(directory: string): string {
	const list = execaSync({
		shell: "/bin/sh",
	})`cd ${directory} && find . -printf '%P %y %#m %U:%G %n %T@ %l\\n' | sort`;
	const more = execaSync({
		shell: "/bin/sh",
	})`cd ${directory} && getfattr -dhR -m - . ; find . -type f | sort | xargs sha256sum`;
	return `${list.stdout}\n${more.stdout}`;
}

t.test("image extract and render of layers", async (t) => {
	await rkt("image", "render", "example.com/app", at("rendered"));
	await rkt("image", "extract", "example.com/app", at("extracted"));
	await rkt("image", "extract", "--rootfs-only", "example.com/app", at("rootfs"));
	const tree = listTree(at("rendered/rootfs"));
	for (const line of [
		/^srv d 02750 5:6 \d+ 1700000000\.0+ $/m,
		/^srv\/again f 04755 0:0 2 1600000000\.50+ $/m,
		/^user\.note="n"$/m,
		/^etc\/passwd f /m,
	]) {
		t.match(tree, line);
	}
	t.notMatch(tree, /^bin\/cat |^etc\/group |\.wh\.|overlay/m, "what was removed is not there");
	t.equal(listTree(at("extracted/rootfs")), tree);
	t.equal(listTree(at("rootfs")), tree);
	const manifest = JSON.parse(fs.readFileSync(at("rendered/manifest"), "utf8"));
	t.equal(manifest.name, "example.com/app");
	t.same(JSON.parse(await rkt("image", "cat-manifest", "example.com/app")), manifest);
	const again = await host.rkt(["image", "extract", "example.com/app", at("rootfs")]);
	t.match(again, { status: 254, stderr: /rootfs exists/ });
	await rkt("image", "extract", "--rootfs-only", "--overwrite", "example.com/app", at("rootfs"));
	t.equal(listTree(at("rootfs")), tree);
});

t.test("image export of layers", async (t) => {
	await rkt("image", "export", "example.com/app", at("one.aci"));
	await rkt("image", "export", "example.com/app", at("two.aci"));
	t.ok(fs.readFileSync(at("one.aci")).equals(fs.readFileSync(at("two.aci"))), "the same bytes each time");
	t.match(await host.rkt(["image", "export", "example.com/app", at("one.aci")]), {
		status: 254,
		stderr: /one\.aci exists/,
	});
	const id = (await rkt("image", "import", "--full", "--insecure-options=image", at("one.aci"))).trim();
	const [imported] = JSON.parse(await rkt("image", "inspect", "--format=json", id));
	t.match(imported, {
		name: "example.com/app",
		format: "aci",
		layers: [],
		config_digest: image.configDigest,
	});
	await rkt("image", "render", "--rootfs-only", id, at("from-aci"));
	t.equal(listTree(at("from-aci")), listTree(at("rendered/rootfs")), "the files are those of the layers");
	const manifest = await rkt("image", "cat-manifest", id);
	t.notMatch(manifest, /diffids/, "it has no layers any more");
	await rkt("image", "rm", id);
});

t.test("a target without room is named, and nothing is left there", async (t) => {
	const small = at("small");
	fs.mkdirSync(small);
	execaSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", small]);
	t.teardown(() => execaSync("umount", [small]));
	for (const [command, ...flags] of [
		["export"],
		["render"],
		["render", "--rootfs-only"],
		["extract"],
	] as const) {
		for (const name of ["example.com/app", "example.com/plain"]) {
			const target = path.join(small, "target");
			const result = await host.rkt(["image", command, ...flags, name, target]);
			t.equal(result.status, 254, `${command} ${name}`);
			t.match(result.stderr, /no space left .*small\/target/, `${command} ${name}`);
			t.strictSame(fs.readdirSync(small), [], `${command} ${name}`);
		}
	}
});

t.test("image import tells kinds of files by what is in them", async (t) => {
	writeOciLayout(at("layout"), [{ tag: "v1", images: [image] }]);
	writeOciArchive(at("oci.blob"), [{ images: [image] }]);
	writeDockerArchive(at("docker.blob"), [{ image: other, repoTags: ["example.org/saved:2"] }]);
	await makeAci(at("renamed.blob"), {
		manifest: imageManifest("example.com/renamed"),
		files: busyboxFiles(),
		compress: true,
	});
	const refused = await host.rkt(["image", "import", at("layout")]);
	t.match(refused, { status: 254, stderr: /nothing vouches/ }, "without a signature");
	const files = ["layout", "oci.blob", "docker.blob", "renamed.blob"].map(at);
	const ids = (await rkt("image", "import", "--full", "--insecure-options=image", ...files))
		.trim()
		.split("\n");
	t.equal(ids.length, 4);
	const inspected = JSON.parse(await rkt("image", "inspect", "--format=json", ...ids));
	t.match(inspected, [
		{ name: "localhost/layout", labels: { version: "v1" }, config_digest: image.configDigest },
		{ name: "localhost/oci-blob", config_digest: image.configDigest },
		{ name: "example.org/saved", labels: { version: "2" }, config_digest: other.configDigest },
		{ name: "example.com/renamed", format: "aci" },
	]);
	t.equal(inspected[0].shared_size, inspected[0].size, "layers that were there already");
	await rkt("image", "rm", ...ids);

	fs.mkdirSync(at("empty"));
	fs.writeFileSync(at("text"), "text");
	execaSync("tar", ["-cf", at("other.tar"), "-C", host.directory, "text"]);
	for (const [name, message] of [
		["empty", /without a file oci-layout/],
		["other.tar", /no manifest of any kind/],
		["text", /text/],
		["missing", /cannot open/],
	] as const) {
		const result = await host.rkt(["image", "import", "--insecure-options=image", at(name)]);
		t.equal(result.status, 254, name);
		t.match(result.stderr, message);
	}
});

t.test("image rm and gc leave layers that another image has, and no others", async (t) => {
	const layer = ({ diffId }: typeof base) => at(`data/cas/layer/${diffId.slice("sha256:".length)}`);
	const [{ id }] = JSON.parse(await rkt("image", "inspect", "--format=json", "example.com/app"));
	t.match(
		await rkt("image", "rm", "example.com/app"),
		`successfully removed aci for image: "${id.slice(0, 71)}"`,
	);
	t.ok(fs.existsSync(layer(base)));
	await rkt("image", "render", "--rootfs-only", "example.com/other", at("other"));
	t.ok(fs.existsSync(at("other/bin/busybox")), "the other image is whole");
	await rkt("image", "gc", "--grace-period=0s");
	t.equal(await rkt("image", "list", "--no-legend"), "");
	t.strictSame([base, top].map(layer).filter(fs.existsSync), []);
});
