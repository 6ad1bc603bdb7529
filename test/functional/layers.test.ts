import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import { openStore } from "../../stage0/store/store.ts";
import { importOci } from "../support/import-oci.ts";
import { busyboxFiles, makeShellAci } from "../support/make-aci.ts";
import { makeOciImage } from "../support/oci-image.ts";
import { fileEntry, layerFiles, makeLayer, whiteoutEntry } from "../support/oci-layer.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { createTestHost } from "../support/test-host.ts";

enterPrivateHost();

const host = createTestHost("layers");
t.teardown(() => host.remove());

const run = (...args: string[]) => host.rkt(["--insecure-options=image", "run", "--net=none", ...args]);

t.test("a pod sees the union of the layers, however it is made", async (t) => {
	const script = "cat /etc/two; ls /etc; stat -c '%u:%g %a' /bin/own; touch /etc/new && echo written";
	const layers = [
		makeLayer(layerFiles(busyboxFiles())),
		makeLayer([
			fileEntry("etc/gone", "x"),
			fileEntry("etc/two", "two\n"),
			fileEntry("bin/own", "x", { uid: 7, gid: 8, mode: 0o4755 }),
		]),
		makeLayer([whiteoutEntry("etc/gone")]),
	];
	const image = makeOciImage({ layers, config: { Cmd: ["/bin/sh", "-c", script] } });
	const store = openStore(host.dataDirectory, createLinuxSyscall());
	const { key } = await importOci(store, image, "app");
	for (const flags of [[], ["--no-overlay"], ["--private-users"], ["--private-users", "--no-overlay"]]) {
		const { status, stdout, stderr } = await run(...flags, key);
		const what = flags.join(" ") || "no flags";
		t.equal(status, 0, `${what}: ${stderr}`);
		t.match(stdout, /two\b/, what);
		t.match(stdout, /7:8 4755/, `${what}: owner and mode`);
		t.match(stdout, /written/, what);
		t.notMatch(stdout, /gone/, what);
	}
	for (const { diffId } of layers) {
		const rootfs = path.join(host.dataDirectory, "cas/layer", diffId.slice(7), "rootfs");
		t.notOk(fs.existsSync(path.join(rootfs, "etc/new")), "no pod writes to a layer");
	}
	t.equal((await store.verifyTree(key)).state, "verified");
});

t.test("what was changed in the store is not run", async (t) => {
	const file = path.join(host.directory, "app.aci");
	const key = await makeShellAci(file, "example.com/app", "cat /etc/group");
	await host.rkt(["--insecure-options=image", "fetch", file]);
	const { rootfs, treeId } = openStore(host.dataDirectory, createLinuxSyscall()).treeOf(key);
	const group = path.join(rootfs, "etc/group");
	const prepared = await host.rkt(["prepare", key]);
	const uuid = prepared.stdout.trim();
	fs.appendFileSync(group, "evil:x:0:\n");
	const late = await host.rkt(["run-prepared", "--net=none", uuid]);
	t.equal(late.status, 254);
	t.match(late.stderr, /rendered image of example\.com\/app \(sha512-.*\/etc\/group has other content/);
	const again = await run(key);
	t.equal(again.status, 0, again.stderr);
	t.notMatch(again.stdout, /evil/, "it was rendered anew");
	fs.appendFileSync(group, "evil:x:0:\n");
	const refused = await run(key);
	t.equal(refused.status, 254);
	t.match(refused.stderr, /\/etc\/group has other content/);
	t.match((await host.rkt(["image", "render", key, path.join(host.directory, "rendered")])).status, 0);

	await t.test("--verify=always finds what left no trace", async (t) => {
		const stamps = path.join(path.dirname(rootfs), "stamps");
		fs.appendFileSync(group, "evil:x:0:\n");
		const pretended = JSON.parse(fs.readFileSync(stamps, "utf8")) as (string | number)[];
		const at = pretended.indexOf("rootfs/etc/group");
		const { ctimeMs, size } = fs.lstatSync(group);
		pretended.splice(at + 2, 2, ctimeMs, size);
		fs.writeFileSync(stamps, JSON.stringify(pretended));
		const whole = await run("--verify=always", key);
		t.equal(whole.status, 254);
		t.match(whole.stderr, /\/etc\/group has other content/);
		t.notOk(fs.existsSync(path.join(host.dataDirectory, "cas/tree", treeId, "rendered")));
		const wrong = await run("--verify=sometimes", key);
		t.match(wrong.stderr, /verify/);
	});
});
