import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import { openStore } from "../../stage0/store/store.ts";
import { kernelAnnotations } from "../../stage1/guest-kernel.ts";
import { importOci } from "../support/import-oci.ts";
import { busyboxFiles, imageManifest, makeAci } from "../support/make-aci.ts";
import { makeOciImage } from "../support/oci-image.ts";
import { directoryEntry, fileEntry, layerFiles, makeLayer } from "../support/oci-layer.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { createTestHost } from "../support/test-host.ts";

enterPrivateHost();

const host = createTestHost("image-commands");
t.teardown(() => host.remove());

const base = makeLayer(layerFiles(busyboxFiles()));
const top = makeLayer([directoryEntry("srv"), fileEntry("srv/page", "x".repeat(5000))], "none");
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
