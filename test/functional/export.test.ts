import * as fs from "node:fs";
import * as path from "node:path";
import { execaSync } from "execa";
import t from "tap";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import { openStore } from "../../stage0/store/store.ts";
import { importOci } from "../support/import-oci.ts";
import { busyboxFiles } from "../support/make-aci.ts";
import { makeOciImage } from "../support/oci-image.ts";
import { directoryEntry, fileEntry, layerFiles, makeLayer, opaqueEntry } from "../support/oci-layer.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { createTestHost } from "../support/test-host.ts";

/* `rkt export`: what an app has made of its image comes out as an image that can be run. */

enterPrivateHost();

const host = createTestHost("export");
t.teardown(() => host.remove());

const image = makeOciImage({
	layers: [
		makeLayer([
			...layerFiles(busyboxFiles()),
			directoryEntry("srv", { uid: 7 }),
			fileEntry("srv/old", "old"),
		]),
		makeLayer([fileEntry("etc/note", "second layer"), directoryEntry("opt/empty"), opaqueEntry("opt/empty")]),
	],
	config: { Entrypoint: ["/bin/sh", "-c"], Cmd: ["cat /srv/new; ls /srv; exit 3"] },
});
t.before(async () => {
	await importOci(openStore(host.dataDirectory, createLinuxSyscall()), image, "app");
});

const CHANGES = `echo new >/srv/new; chown 1000:1001 /srv/new; chmod 4750 /srv/new; rm /srv/old /etc/note
ln -s ../etc /srv/link; ln /srv/new /srv/twin; mkdir /srv/dir; echo x >/data/volume`;

const run = async (...flags: string[]): Promise<string> => {
	const uuidFile = path.join(host.directory, "uuid");
	const words = ["--insecure-options=image", "run", "--net=none", `--uuid-file-save=${uuidFile}`, ...flags];
	const volume = ["--volume=data,kind=empty", imageName(), "--mount=volume=data,target=/data"];
	const result = await host.rkt([...words, ...volume, "--exec=/bin/sh", "--", "-c", CHANGES]);
	t.equal(result.status, 0, result.stderr);
	return fs.readFileSync(uuidFile, "utf8");
};

function imageName(): string {
	const store = openStore(host.dataDirectory, createLinuxSyscall());
	return store.list().find(({ layers }) => layers !== undefined)?.name as string;
}

const listing = (file: string): string[] =>
	execaSync("tar", ["-tvzf", file, "--numeric-owner"], { env: { TZ: "UTC" } }).stdout.split("\n");

for (const flags of [[], ["--private-users"], ["--no-overlay"], ["--private-users", "--no-overlay"]]) {
	t.test(`a pod of ${flags.join(" ") || "no flags"}`, async (t) => {
		const uuid = await run(...flags);
		const file = path.join(host.directory, `out${flags.join("")}.aci`);
		const result = await host.rkt(["export", uuid, file]);
		t.equal(result.status, 0, result.stderr);
		const lines = listing(file);
		const one = (name: string): string => lines.find((line) => line.includes(` rootfs/${name}`)) ?? "";
		t.match(one("srv/new"), /^-rwsr-x--- 1000\/1001 +4 /);
		t.match(one("srv/twin"), /link to rootfs\/srv\/new$/);
		t.match(one("srv/link"), / -> \.\.\/etc$/);
		t.match(one("srv/dir"), /^drwxr-xr-x 0\/0 /);
		t.match(
			lines.find((line) => /rootfs\/srv\/?$/.test(line)),
			/^drwxr-xr-x 7\/0 /,
		);
		t.match(one("bin/busybox"), /^-rwxr-xr-x 0\/0 /, "of the image");
		t.notOk(one("srv/old"), "removed by the app");
		t.notOk(one("etc/note"), "removed by the app");
		t.notOk(one("data/volume"), "content of a volume");
		await host.rkt(["rm", uuid]);
	});
}

t.test("the exported image runs, and has nothing of layers", async (t) => {
	const file = path.join(host.directory, "out.aci");
	const again = await host.rkt(["--insecure-options=image", "run", "--net=none", file]);
	t.equal(again.status, 3, again.stderr);
	t.match(again.stdout, /new[\s\S]*dir[\s\S]*link[\s\S]*new[\s\S]*twin/);
	const manifest = execaSync("tar", ["-xzOf", file, "manifest"]).stdout;
	t.notMatch(manifest, /diffids/);
	t.match(JSON.parse(manifest), { name: imageName(), app: { exec: ["/bin/sh", "-c", String] } });
});

t.test("what is refused leaves no file", async (t) => {
	const uuid = await run();
	const file = path.join(host.directory, "again.aci");
	const refused = async (expected: RegExp, ...args: string[]): Promise<void> => {
		const result = await host.rkt(["export", ...args]);
		t.equal(result.status, 254);
		t.match(result.stderr, expected);
	};
	await refused(/does not end in \.aci/, uuid, path.join(host.directory, "again.tar"));
	await refused(/has no app "other"/, "--app=other", uuid, file);
	await refused(/again\.aci|ENOENT|no such/, uuid, path.join(host.directory, "missing/again.aci"));
	t.notOk(fs.existsSync(file));
	fs.writeFileSync(file, "kept");
	await refused(/exists/, uuid, file);
	t.equal(fs.readFileSync(file, "utf8"), "kept");
	t.equal((await host.rkt(["export", "--overwrite", uuid, file])).status, 0);
	t.ok(listing(file).length > 5);
	t.strictSame(
		fs.readdirSync(host.directory).filter((name) => name.endsWith(".tmp")),
		[],
	);
	const prepared = await host.rkt(["--insecure-options=image", "prepare", "--quiet", imageName()]);
	await refused(/only pods that have ended/, prepared.stdout.trim(), file);
	const two = ["prepare", "--quiet", imageName(), "--name=a", imageName(), "--name=b", "--exec=/bin/true"];
	const several = (await host.rkt(["--insecure-options=image", ...two])).stdout.trim();
	await host.rkt(["run-prepared", "--net=none", several]);
	await refused(/specify app using "rkt export --app= \.\.\."/, several, path.join(host.directory, "x.aci"));
	t.equal((await host.rkt(["export", "--app=b", several, path.join(host.directory, "b.aci")])).status, 0);
});
