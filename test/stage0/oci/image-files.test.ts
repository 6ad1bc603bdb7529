import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { gzipSync } from "node:zlib";
import t from "tap";
import type { OciFileReference } from "../../../stage0/fetch/image-reference.ts";
import { parseImageReference } from "../../../stage0/fetch/image-reference.ts";
import { openImageFile } from "../../../stage0/oci/open-image-file.ts";
import { descriptor, json, makeOciImage, OCI_INDEX, type TestOciImage } from "../../support/oci-image.ts";
import {
	fileEntry,
	type LayerEntry,
	layerTar,
	makeLayer,
	sha256,
	symlinkEntry,
} from "../../support/oci-layer.ts";
import { blobPath, writeDockerArchive, writeOciArchive, writeOciLayout } from "../../support/oci-layout.ts";

const scratch = fs.mkdtempSync("/var/tmp/rkt-oci-files-test-");
t.teardown(() => fs.rmSync(scratch, { recursive: true, force: true }));
let serial = 0;
const newPath = (): string => path.join(scratch, `p${serial++}`);

const layers = [makeLayer([fileEntry("one", "1")]), makeLayer([fileEntry("two", "2")], "zstd")];
const first = makeOciImage({ layers });
const second = makeOciImage({ layers: [makeLayer([fileEntry("three", "3")])], config: { Cmd: ["/second"] } });
const foreign = makeOciImage({ layers, platform: { os: "linux", architecture: "s390x" } });

/** What of an image could be read: its command and the bytes of its layers. */
async function read(text: string) {
	const temporary = newPath();
	fs.mkdirSync(temporary);
	const { image, chosen } = await openImageFile(parseImageReference(text) as OciFileReference, temporary);
	const digests: string[] = [];
	try {
		for (const index of image.layers.keys()) {
			const parts: Buffer[] = [];
			for await (const chunk of image.openLayer(index)) parts.push(chunk);
			digests.push(sha256(Buffer.concat(parts)));
		}
	} finally {
		await image.close();
	}
	t.strictSame(fs.readdirSync(temporary), [], "nothing is left beside the store");
	t.equal(sha256(chosen.path.at(-1)?.bytes ?? ""), image.manifestDigest);
	return { image, digests, command: image.config.config?.Cmd?.[0] };
}

const code = (text: string) =>
	read(text).then(
		() => "ok",
		(error) => error.code ?? error,
	);

t.test("layouts and archives of them", async (t) => {
	const directory = newPath();
	const archive = newPath();
	const names = [
		{ tag: "one", images: [first] },
		{ tag: "quay.io/a/b:two", images: [second] },
		{ tag: "many", images: [foreign, first] },
		{ tag: "foreign", images: [foreign] },
		{ tag: "both-foreign", images: [foreign, foreign] },
	];
	writeOciLayout(directory, names);
	writeOciArchive(archive, names);
	for (const kind of [`oci:${directory}`, `oci-archive:${archive}`]) {
		const one = await read(`${kind}:one`);
		t.equal(one.image.manifestDigest, first.manifestDigest);
		t.strictSame(
			one.digests,
			layers.map(({ digest }) => digest),
		);
		t.match(one.image.reference, { registry: "localhost", repository: /^p\d+$/, tag: "one" });
		const two = await read(`${kind}:quay.io/a/b:two`);
		t.equal(two.command, "/second");
		t.match(two.image.reference, { registry: "quay.io", repository: "a/b", tag: "two" });
		t.equal((await read(`${kind}:many`)).image.manifestDigest, first.manifestDigest);
		t.equal(await code(`${kind}:foreign`), "ok", "one image is what is wanted, whatever it is for");
		t.equal(await code(`${kind}:both-foreign`), "oci-platform-missing");
		t.equal(await code(kind), "oci-image-unknown", "which of them?");
		t.equal(await code(`${kind}:three`), "oci-image-unknown");
	}
	const packed = newPath();
	fs.writeFileSync(packed, gzipSync(fs.readFileSync(archive)));
	t.equal(await code(`oci-archive:${packed}:one`), "ok", "compressed");
	const single = newPath();
	writeOciLayout(single, [{ images: [first] }]);
	t.equal((await read(`oci:${single}`)).image.reference?.tag, undefined);
});

t.test("every file of a layout is checked", async (t) => {
	const broken = async (change: (at: (name: string) => string) => void) => {
		const directory = newPath();
		writeOciLayout(directory, [{ tag: "x", images: [first] }]);
		change((name) => path.join(directory, name));
		return code(`oci:${directory}:x`);
	};
	const flip = (file: string) => {
		const bytes = fs.readFileSync(file);
		bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
		fs.writeFileSync(file, bytes);
	};
	const blobs = {
		manifest: first.manifestDigest,
		config: first.configDigest,
		layer: layers[0]?.digest ?? "",
	};
	for (const [what, digest] of Object.entries(blobs)) {
		t.equal(await broken((at) => flip(at(blobPath(digest)))), "oci-digest-mismatch", what);
		t.equal(await broken((at) => fs.rmSync(at(blobPath(digest)))), "oci-file-missing", what);
		t.match(await broken((at) => fs.truncateSync(at(blobPath(digest)), 5)), /oci-size-mismatch/, what);
		t.match(await broken((at) => fs.appendFileSync(at(blobPath(digest)), " ")), /oci-size-mismatch/, what);
	}
	t.equal(await broken((at) => fs.rmSync(at("oci-layout"))), "oci-file-missing");
	t.equal(
		await broken((at) => fs.writeFileSync(at("oci-layout"), '{"imageLayoutVersion":"2.0.0"}')),
		"oci-invalid",
	);
	t.equal(await broken((at) => fs.rmSync(at("index.json"))), "oci-file-missing");
	t.equal(
		await broken((at) =>
			fs.writeFileSync(at("index.json"), json({ schemaVersion: 2, manifests: [], layers: [] })),
		),
		"oci-type-ambiguous",
	);
	t.equal(
		await broken((at) => fs.truncateSync(at("index.json"), 2 ** 33)),
		"oci-invalid",
		"8 GiB of zeros are not read",
	);
	t.equal(
		await broken((at) => {
			fs.rmSync(at("index.json"));
			spawnSync("mkfifo", [at("index.json")]);
		}),
		"oci-file-missing",
		"a FIFO",
	);
	const outside = {
		...descriptor(first.manifestType, first.manifest),
		digest: "sha256:../../../../etc/passwd",
	};
	t.equal(
		await broken((at) =>
			fs.writeFileSync(
				at("index.json"),
				json({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [outside] }),
			),
		),
		"oci-invalid",
	);
	t.equal(await code(`oci:${newPath()}`), "file-not-found");
	t.equal(await code(`oci-archive:${newPath()}`), "file-not-found");
	t.equal(await code(`oci-archive:${scratch}`), "file-not-found");
});

const hex = (digest: string) => digest.slice("sha256:".length);

/** An archive of `docker save` with these differences. */
function savedBy(
	image: TestOciImage,
	more: { entries?: LayerEntry[]; item?: object; config?: Buffer } = {},
): string {
	const file = newPath();
	const config = `${hex(image.configDigest)}.json`;
	const names = image.layers.map(({ diffId }) => `${hex(diffId)}/layer.tar`);
	const manifest = [{ Config: config, RepoTags: ["foo/bar:1"], Layers: names, ...more.item }];
	const entries = [
		fileEntry(config, more.config ?? image.config),
		...image.layers.map(({ tar }, index) => fileEntry(names[index] as string, tar)),
		fileEntry("manifest.json", json(manifest)),
	].filter(({ path: name }) => !more.entries?.some((entry) => entry.path === name));
	fs.writeFileSync(file, layerTar([...entries, ...(more.entries ?? [])]));
	return file;
}

t.test("archives of docker save and podman save", async (t) => {
	const file = newPath();
	writeDockerArchive(file, [
		{ image: first, repoTags: ["foo/bar:1", "quay.io/x/y:z"] },
		{ image: second, repoTags: [] },
	]);
	const one = await read(`docker-archive:${file}:foo/bar:1`);
	t.equal(one.image.configDigest, first.configDigest);
	t.strictSame(
		one.digests,
		layers.map(({ diffId }) => diffId),
		"the layers are plain",
	);
	t.match(one.image.reference, { registry: "registry-1.docker.io", repository: "foo/bar", tag: "1" });
	t.match((await read(`docker-archive:${file}:quay.io/x/y:z`)).image.reference, { registry: "quay.io" });
	t.equal(await code(`docker-archive:${file}:docker.io/foo/bar:1`), "ok", "in another spelling");
	t.equal(await code(`docker-archive:${file}`), "oci-image-unknown", "which of them?");
	t.equal(await code(`docker-archive:${file}:foo/bar`), "oci-image-unknown", "latest is not there");
	t.equal(
		(await read(`docker-archive:${file}:foo/bar:1`)).image.manifestDigest,
		one.image.manifestDigest,
		"always the same manifest",
	);

	const target = `${hex(layers[0]?.diffId ?? "")}/layer.tar`;
	const linked = savedBy(first, {
		entries: [symlinkEntry("link/layer.tar", `../${target}`)],
		item: { Layers: ["link/layer.tar", `${hex(layers[1]?.diffId ?? "")}/layer.tar`] },
	});
	t.equal(
		await code(`docker-archive:${linked}`),
		"ok",
		"a layer that is a link to another, as old dockers write",
	);
	const compressed = savedBy(first, {
		entries: layers.map(({ digest, blob }) => fileEntry(`blobs/sha256/${hex(digest)}`, blob)),
		item: { Layers: layers.map(({ digest }) => `blobs/sha256/${hex(digest)}`) },
	});
	t.strictSame(
		(await read(`docker-archive:${compressed}`)).digests,
		layers.map(({ digest }) => digest),
		"compressed layers of new dockers",
	);
	const byCrane = savedBy(first, {
		entries: [
			fileEntry(first.configDigest, first.config),
			...layers.map(({ digest, blob }) => fileEntry(`${hex(digest)}.tar.gz`, blob)),
		],
		item: { Config: first.configDigest, Layers: layers.map(({ digest }) => `${hex(digest)}.tar.gz`) },
	});
	t.equal(
		(await read(`docker-archive:${byCrane}`)).image.configDigest,
		first.configDigest,
		"of kaniko and crane",
	);
	const byJib = savedBy(first, {
		entries: [
			fileEntry("config.json", first.config),
			...layers.map(({ blob }, index) => fileEntry(`layer${index}.tar.gz`, blob)),
		],
		item: { Config: "config.json", Layers: layers.map((_, index) => `layer${index}.tar.gz`) },
	});
	t.equal((await read(`docker-archive:${byJib}`)).image.configDigest, first.configDigest, "of jib");
	const packed = newPath();
	fs.writeFileSync(packed, spawnSync("zstd", ["-c"], { input: fs.readFileSync(byJib) }).stdout);
	t.equal(await code(`docker-archive:${packed}`), "ok", "compressed with zstd");
	const unnamed = savedBy(first, { item: { RepoTags: null } });
	t.match((await read(`docker-archive:${unnamed}`)).image.reference, { registry: "localhost" });
});

t.test("archives that lie", async (t) => {
	const config = Buffer.from(first.config);
	config[config.length - 2] = 0x20;
	t.equal(await code(`docker-archive:${savedBy(first, { config })}`), "oci-digest-mismatch", "configuration");
	const layer = `${hex(layers[0]?.diffId ?? "")}/layer.tar`;
	t.equal(
		await code(`docker-archive:${savedBy(first, { entries: [fileEntry(layer, layers[1]?.tar ?? "")] })}`),
		"oci-digest-mismatch",
		"another layer",
	);
	for (const outside of ["/etc/passwd", "../../../../etc/passwd", "x/../../etc/passwd", ""]) {
		t.equal(
			await code(`docker-archive:${savedBy(first, { item: { Layers: [outside, outside] } })}`),
			"oci-file-missing",
			outside,
		);
		t.match(
			await code(`docker-archive:${savedBy(first, { item: { Config: outside } })}`),
			/^oci-(file-missing|invalid)$/,
			outside,
		);
	}
	const circle = savedBy(first, {
		entries: [symlinkEntry("a", "b"), symlinkEntry("b", "a")],
		item: { Layers: ["a", "b"] },
	});
	t.equal(await code(`docker-archive:${circle}`), "oci-file-missing", "links in a circle");
	const out = savedBy(first, {
		entries: [symlinkEntry("a", "../../../etc/passwd")],
		item: { Layers: ["a", "a"] },
	});
	t.equal(await code(`docker-archive:${out}`), "oci-file-missing", "a link out of the archive");
	t.equal(
		await code(`docker-archive:${savedBy(first, { item: { Layers: [layer] } })}`),
		"oci-invalid",
		"fewer layers than diff IDs",
	);
	t.equal(await code(`docker-archive:${savedBy(makeOciImage({ layers: [] }))}`), "oci-without-layers");
	const twice = newPath();
	fs.writeFileSync(twice, layerTar([fileEntry("manifest.json", "[]"), fileEntry("./manifest.json", "[]")]));
	t.equal(await code(`docker-archive:${twice}`), "aci-invalid", "two files of one name");
	const text = newPath();
	fs.writeFileSync(text, "no archive");
	t.equal(await code(`docker-archive:${text}`), "aci-invalid");
	const bomb = newPath();
	const zeros = gzipSync(Buffer.alloc(2 ** 26));
	fs.writeFileSync(
		bomb,
		Buffer.concat([gzipSync(layerTar([fileEntry("x", "")]).subarray(0, 512)), ...Array(40).fill(zeros)]),
	);
	t.equal(await code(`docker-archive:${bomb}`), "aci-too-large", "what expands without end is given up");
	const otherName = savedBy(first, {
		entries: [fileEntry(second.configDigest, first.config)],
		item: { Config: second.configDigest },
	});
	t.equal(
		await code(`docker-archive:${otherName}`),
		"oci-digest-mismatch",
		"a configuration named by another digest",
	);
	const cut = newPath();
	fs.writeFileSync(cut, fs.readFileSync(savedBy(first)).subarray(0, 3000));
	t.match(await code(`docker-archive:${cut}`), /aci-truncated|aci-invalid/);
});

t.test("references to files", (t) => {
	const parsed = (text: string) => {
		const { path: file, image } = parseImageReference(text) as OciFileReference;
		return [file, image];
	};
	t.strictSame(parsed("oci:/a/b"), ["/a/b", undefined]);
	t.strictSame(parsed("oci:/a/b:v1"), ["/a/b", "v1"]);
	t.strictSame(parsed("oci-archive:b.tar:x:y"), [path.resolve("b.tar"), "x:y"]);
	t.strictSame(parsed("docker-archive:/b.tar:localhost:5000/x:y"), ["/b.tar", "localhost:5000/x:y"]);
	for (const bad of ["oci:", "oci::tag", "oci:/a:", "docker-archive:"])
		t.throws(() => parsed(bad), { code: "image-reference-invalid" }, bad);
	t.end();
});
