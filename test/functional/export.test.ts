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

/** Runs a script in a pod without overlay or with it; gives its UUID. */
const ended = async (script: string, ...flags: string[]): Promise<string> => {
	const uuidFile = path.join(host.directory, "uuid");
	const words = ["--insecure-options=image", "run", "--net=none", `--uuid-file-save=${uuidFile}`, ...flags];
	const result = await host.rkt([...words, imageName(), "--exec=/bin/sh", "--", "-c", script]);
	t.equal(result.status, 0, result.stderr);
	return fs.readFileSync(uuidFile, "utf8");
};

/** All that an app can make, also what no image may hold. */
const ODD = [
	"mkdir -p /odd; cd /odd; mknod fifo p; mknod null c 1 3",
	`n=$(i=0; while [ $i -lt 25 ]; do echo -n 0123456789; i=$((i+1)); done); mkdir -p $n/$n; echo long >$n/$n/$n; ln -s /$n/$n/$n link`,
	"ln $n/$n/$n hard; ln -s dangling 'a b'; ln 'a b' twin-link; echo '-n' >-; echo ü >'ü%3D='",
	"nc -l -p 1 local:/odd/socket & sleep 0.2; touch -d '1950-01-01 00:00:00' old; true",
	"mkdir sticky; chmod 1777 sticky; chmod 6755 null; chown 65000:65001 fifo; kill %1; true",
].join("\n");

for (const flags of [[], ["--private-users"]]) {
	t.test(`what rkt exports rkt takes: ${flags.join()}`, async (t) => {
		const uuid = await ended(ODD, ...flags);
		// An app may make no such device, but not every host keeps it from that.
		const odd = execaSync("find", [host.dataDirectory, "-path", `*${uuid}/overlay/*/odd`]).stdout;
		execaSync("mknod", [path.join(odd, "disk"), "b", "7", "200"]);
		const rootfs = path.join(host.directory, "odd");
		const file = `${rootfs}.aci`;
		const exported = await host.rkt(["export", "--overwrite", uuid, file]);
		t.equal(exported.status, 0, exported.stderr);
		const leftOut = exported.stderr.match(/left out of the image: .*/g) ?? [];
		t.strictSame(leftOut, ['left out of the image: "rootfs/odd/disk", the block-device 7:200']);
		const fetched = await host.rkt(["--insecure-options=image", "fetch", file]);
		t.equal(fetched.status, 0, fetched.stderr);
		const extract = ["image", "extract", "--rootfs-only", "--overwrite", fetched.stdout.trim(), rootfs];
		t.equal((await host.rkt(extract)).status, 0);
		// It has the name of the image that the next pod is to run.
		await host.rkt(["image", "rm", fetched.stdout.trim()]);
		const script = `cd ${rootfs}/odd && stat -c '%A %u %g %s %N' ./[!0-9]* | sed 's/[0-9]\\{100,\\}/N/g'; cat hard`;
		const seen = execaSync("sh", ["-c", script], { env: { LC_ALL: "C.UTF-8", TZ: "UTC" } }).stdout.split(
			"\n",
		);
		t.match(seen.join("\n"), /prw-.* 65000 65001 0 '.\/fifo'/);
		t.match(seen.join("\n"), /drwxrwxrwt 0 0 \d+ '.\/sticky'/);
		t.match(seen.join("\n"), /'.\/link' -> '\/N\/N\/N'/);
		t.match(seen.join("\n"), / 3 '.\/ü%3D='/);
		t.match(seen.join("\n"), /'.\/a b' -> 'dangling'/);
		t.match(seen.join("\n"), /-rw-r--r-- 0 0 0 '.\/-'/);
		t.notMatch(seen.join("\n"), /socket/, "sockets are left out");
		t.equal(seen.at(-1), "long");
		t.equal(fs.existsSync(`${rootfs}/odd/null`), flags.length === 0, "an allowed device");
		t.ok(fs.statSync(path.join(rootfs, "odd/old")).mtimeMs < 0);
		await host.rkt(["rm", uuid]);
	});
}

t.test("what no image can hold is named, and no image is left", async (t) => {
	const file = path.join(host.directory, "refused.aci");
	const cases = [
		[
			"echo >'/tab\ttab'",
			/app app is not a valid image: the name "rootfs\/tab\\+ttab" holds a control character/,
		],
		["printf x >/$(printf '\\377')name", /a file whose name is no UTF-8: "\ufffdname"/],
		[
			"n=$(i=0; while [ $i -lt 25 ]; do echo -n 0123456789; i=$((i+1)); done); i=0; while [ $i -lt 20 ]; do mkdir $n; cd $n; i=$((i+1)); done",
			/too long|ENAMETOOLONG/,
		],
		[
			"dd if=/dev/zero of=/sparse bs=1 count=1 seek=80000000000 2>/dev/null",
			/app app is too large: with "rootfs\/sparse" its files have 8000\d{7} bytes/,
		],
	] as const;
	for (const [script, expected] of cases) {
		const uuid = await ended(script);
		const began = performance.now();
		const result = await host.rkt(["export", uuid, file]);
		t.ok(performance.now() - began < 20_000, "nothing is read in vain");
		t.equal(result.status, 254);
		t.match(result.stderr, expected);
		t.equal(result.stderr.trim().split("\n").length <= 3, true, result.stderr);
		t.strictSame(
			fs.readdirSync(host.directory).filter((name) => name.startsWith("refused")),
			[],
		);
		await host.rkt(["rm", uuid]);
	}
});

t.test(
	"a large file of zeros is exported without compression, which readers would take for an attack",
	async (t) => {
		const file = path.join(host.directory, "zeros.aci");
		const uuid = await ended("dd if=/dev/zero of=/zeros bs=1 count=1 seek=300000000 2>/dev/null");
		const result = await host.rkt(["export", uuid, file]);
		t.equal(result.status, 0, result.stderr);
		t.match(execaSync("tar", ["-tvf", file]).stdout, / 300000001 .* rootfs\/zeros$/m);
		await host.rkt(["rm", uuid]);
	},
);
