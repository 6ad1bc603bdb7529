import * as fs from "node:fs";
import * as path from "node:path";
import { gzipSync } from "node:zlib";
import { execa } from "execa";
import t, { type Test } from "tap";
import { pack } from "tar-stream";
import {
	BUSYBOX,
	type BusyboxHost,
	createBusyboxHost,
	firstUuid,
	outputLines,
} from "../support/busybox-host.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { newTraces, readMachineTraces } from "../support/machine-traces.ts";
import { type AciEntry, busyboxFiles, imageManifest, makeAci } from "../support/make-aci.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

type Archive = ReturnType<typeof pack>;

/** Each adds what is wrong to an archive that begins as a good one. */
const HOSTILE_ARCHIVES: Readonly<Record<string, (archive: Archive) => void>> = {
	"a name with ..": (archive) => archive.entry({ name: "rootfs/../../etc/evil" }, "x"),
	"an absolute name": (archive) => archive.entry({ name: "/etc/evil" }, "x"),
	"a hard link out of the image": (archive) =>
		archive.entry({ name: "rootfs/x", type: "link", linkname: "../../etc/passwd" }),
	"a hard link to an absolute name": (archive) =>
		archive.entry({ name: "rootfs/x", type: "link", linkname: "/etc/passwd" }),
	"a file outside of rootfs": (archive) => archive.entry({ name: "other" }, "x"),
	"the same name twice": (archive) => {
		archive.entry({ name: "rootfs/twice" }, "1");
		archive.entry({ name: "rootfs/twice" }, "2");
	},
	"a second manifest": (archive) => archive.entry({ name: "manifest" }, "{}"),
	"a name with a line feed": (archive) => archive.entry({ name: "rootfs/a\nb" }, "x"),
};

const BAD_MANIFESTS: Readonly<Record<string, string>> = {
	"no JSON at all": "hello",
	"an empty object": "{}",
	"a pod's manifest": JSON.stringify({ acKind: "PodManifest", acVersion: "0.8.11", apps: [] }),
	"a name in capitals": JSON.stringify({ ...imageManifest("x"), name: "Example.com/X" }),
	"a member twice": '{"acKind":"ImageManifest","acKind":"ImageManifest","acVersion":"0.8.11","name":"a"}',
	"an unknown isolator": JSON.stringify(
		imageManifest("x", { app: { isolators: [{ name: "os/linux/magic", value: {} }] } }),
	),
	"a mount point without a path": JSON.stringify(
		imageManifest("x", { app: { mountPoints: [{ name: "a" }] } }),
	),
	"two thousand levels": `{"a":${"[".repeat(2000)}${"]".repeat(2000)}}`,
};

/** Words after `rkt`, and what the error must mention. */
const BAD_COMMANDS: readonly (readonly [words: readonly string[], mention: RegExp])[] = [
	[["nonsense"], /nonsense/],
	[["run", "--nonsense", BUSYBOX], /nonsense/],
	[["run", "--net=none", "--volume=bad name,kind=host,source=/", BUSYBOX], /bad name/],
	[["run", "--net=none", "--volume=x,kind=odd", BUSYBOX], /odd/],
	[
		[
			"run",
			"--net=none",
			"--volume=x,kind=host,source=/does/not/exist",
			BUSYBOX,
			"--mount=volume=x,target=/x",
		],
		/does\/not\/exist/,
	],
	[["run", "--net=none", BUSYBOX, "--mount=volume=gone,target=/x"], /gone/],
	[["run", "--net=none", "--port=x:99999", BUSYBOX], /99999/],
	[["run", "--net=no/such", BUSYBOX], /no\/such/],
	[["run", "--net=none", "--set-env=1BAD=x", BUSYBOX], /1BAD/],
	[["run", "--net=none", BUSYBOX, "--name=Not_A_Name"], /Not_A_Name/],
	[["run", "--net=none", BUSYBOX, "--user=nobody-here"], /nobody-here/],
	[["run", "--net=none", BUSYBOX, "--memory=12Q"], /12Q/],
	[["run", "--net=none", BUSYBOX, "--caps-retain=CAP_MAGIC"], /CAP_MAGIC/],
	[["run", "--net=none", BUSYBOX, "--", "a", "---", "--exec=/x", "--", "b"], /./],
	[["run", "--net=none", "--hostname=bad\nname", BUSYBOX], /hostname/i],
	[["run", "--net=none"], /image/],
	[["run", "--net=none", "--interactive", BUSYBOX, "--name=a", BUSYBOX, "--name=b"], /interactive/],
	[["run", "--net=none", "./does-not-exist.aci"], /does-not-exist/],
	[["run", "--dns=not-an-address", BUSYBOX], /not-an-address/],
	[["run", "--insecure-options=magic", BUSYBOX], /magic/],
	[["gc", "--grace-period=soon"], /soon/],
	[["enter"], /./],
	[["image", "rm", "sha512-zz"], /sha512-zz/],
];

t.test("bad input", async (t) => {
	const host = await createBusyboxHost("bad");
	t.teardown(() => host.remove());

	t.test("hostile archives", async (t) => {
		for (const [what, spoil] of Object.entries(HOSTILE_ARCHIVES)) {
			const file = path.join(host.directory, "hostile.aci");
			fs.writeFileSync(file, await archiveWith(spoil));
			await refuses(t, host, file, what);
		}
		t.notOk(fs.existsSync("/etc/evil"));
	});

	t.test("symbolic links out of the image are harmless: nothing is written through them", async (t) => {
		const file = path.join(host.directory, "escape.aci");
		const target = path.join(host.directory, "outside");
		fs.mkdirSync(target);
		const spoil = (archive: Archive): void => {
			archive.entry({ name: "rootfs/out", type: "symlink", linkname: target });
			archive.entry({ name: "rootfs/out/evil" }, "x");
		};
		fs.writeFileSync(file, await archiveWith(spoil));
		await host.rkt(["--insecure-options=image", "run", "--net=none", file]);
		t.strictSame(fs.readdirSync(target), []);
	});

	t.test("damaged and nested compression", async (t) => {
		const good = await archiveWith(() => undefined);
		const file = path.join(host.directory, "damaged.aci");
		const forms = {
			"compressed twice": gzipSync(gzipSync(good)),
			"cut off": gzipSync(good).subarray(0, 200_000),
			"cut off and not compressed": good.subarray(0, 200_000),
			empty: Buffer.alloc(0),
			zeros: Buffer.alloc(100_000),
			text: Buffer.from("this is no image\n".repeat(1000)),
		};
		for (const [what, bytes] of Object.entries(forms)) {
			fs.writeFileSync(file, bytes);
			await refuses(t, host, file, what);
		}
	});

	t.test("invalid manifests", async (t) => {
		for (const [what, manifest] of Object.entries(BAD_MANIFESTS)) {
			const archive = pack();
			archive.entry({ name: "manifest" }, manifest);
			archive.entry({ name: "rootfs", type: "directory" });
			archive.finalize();
			const file = path.join(host.directory, "manifest.aci");
			fs.writeFileSync(file, await collect(archive));
			await refuses(t, host, file, what);
		}
	});

	t.test("commands", async (t) => {
		const before = readMachineTraces(host.dataDirectory, []);
		for (const [words, mention] of BAD_COMMANDS) {
			const result = await host.rkt(words, { timeoutMs: 30_000 });
			const name = words.join(" ");
			t.equal(result.status, 254, name);
			t.match(result.stderr, mention, name);
			t.notMatch(result.stderr, /\n\s+at .*\(/, `${name}: no stack`);
		}
		await host.rkt(["gc", "--grace-period=0s", "--expire-prepared=0s"]);
		t.strictSame(newTraces(before, readMachineTraces(host.dataDirectory, [])), []);
	});

	t.test("names and values that could inject into unit files stay values", async (t) => {
		const evil = 'x"\nExecStartPre=/bin/touch /evil\n[Service]\n%n;$HOME\\';
		const file = path.join(host.directory, "inject.aci");
		const manifest = imageManifest("example.com/inject", {
			app: {
				exec: ["/bin/sh", "-c", 'echo "arg:[$1]"; echo "env:[$EVIL]"; ls /evil', "sh", evil],
				environment: [{ name: "EVIL", value: evil.replaceAll("\n", " ") }],
			},
		});
		await makeAci(file, { manifest, files: busyboxFiles() });
		const result = await host.rkt(["--insecure-options=image", "run", "--net=none", file]);
		const output = outputLines(result).join("\n");
		t.ok(output.includes(`arg:[${evil}]`), output);
		t.ok(output.includes(`env:[${evil.replaceAll("\n", " ")}]`), output);
		t.notMatch(output, /^\/evil$/m);
	});

	t.test("a dependency cycle is an error, not a loop", async (t) => {
		for (const [name, other] of [
			["a", "b"],
			["b", "a"],
		] as const) {
			const file = path.join(host.directory, `${name}.aci`);
			const dependencies = [{ imageName: `example.com/${other}` }];
			await makeAci(file, {
				manifest: imageManifest(`example.com/${name}`, { dependencies }),
				files: busyboxFiles(),
			});
			await host.rkt(["--insecure-options=image", "fetch", file], { timeoutMs: 60_000 });
		}
		const result = await host.rkt(["run", "--net=none", "--pull-policy=never", "example.com/a"]);
		t.equal(result.status, 254);
		t.match(result.stderr, /example\.com\/[ab]/);
	});

	t.test("images whose mount points are something else", async (t) => {
		const file = path.join(host.directory, "odd.aci");
		const odd: readonly (readonly [what: string, files: Record<string, AciEntry>, mention: RegExp])[] = [
			["/proc is a link", { proc: { symlink: "usr" } }, /app odd: \/proc cannot be used/],
			["/sys is a link out", { sys: { symlink: "/var/tmp" } }, /app odd: \/sys cannot be used/],
			["/run is a file", { run: { text: "" } }, /app odd: \/run\S* cannot be used/],
			["/etc/hosts is a directory", { "etc/hosts/x": { text: "" } }, /\/etc\/hosts is a directory/],
		];
		for (const [what, files, mention] of odd) {
			const manifest = imageManifest("example.com/odd", { app: { exec: ["/bin/true"] } });
			await makeAci(file, { manifest, files: { ...busyboxFiles(), ...files } });
			const words = ["run", "--net=none", "--hosts-entry=10.0.0.1=x", file];
			const result = await host.rkt(["--insecure-options=image", ...words], { timeoutMs: 30_000 });
			t.equal(result.status, 254, what);
			t.match(result.stderr, mention, what);
		}
		const root = ["--volume=v,kind=empty", BUSYBOX, "--mount=volume=v,target=/"];
		const result = await host.rkt(["run", "--net=none", ...root]);
		t.equal(result.status, 254);
		t.match(result.stderr, /cannot be mounted on \//);
	});

	t.test("endless and overlong input", async (t) => {
		const cases: readonly (readonly [words: readonly string[], mention: RegExp])[] = [
			[["run", "--set-env-file=/dev/zero", BUSYBOX], /larger than 4 MiB/],
			[["run", "--pod-manifest=/dev/zero"], /larger than 4 MiB/],
			[["fetch", path.join(host.directory, "example.com-busybox.aci"), "--signature=/dev/zero"], /too large/],
			[["run", "--net=none", BUSYBOX, `--name=${"x".repeat(250)}`], /250 characters, at most 200/],
			[["fetch", "/does/not/exist.aci"], /cannot open the image file/],
			[["fetch", "/var/tmp"], /not a regular file/],
		];
		for (const [words, mention] of cases) {
			const result = await host.rkt(words, { timeoutMs: 20_000 });
			t.equal(result.status, 254, words.join(" "));
			t.match(result.stderr, mention, words.join(" "));
		}
	});

	t.test("a working directory that is gone, and too few descriptors", async (t) => {
		const image = path.join(host.directory, "example.com-busybox.aci");
		const { execa } = await import("execa");
		const shell = async (script: string, words: readonly string[]) => {
			const program = path.join(distDirectory(), "rkt");
			const directories = [`--dir=${host.directory}/data2`, `--local-config=${host.configDirectory}`];
			const args = ["-c", `${script}; exec "$@"`, "sh", program, ...directories, ...words];
			return execa("sh", args, { reject: false, cwd: host.directory });
		};
		const gone = 'mkdir gone; cd gone; rmdir "$PWD"';
		const fetched = await shell(gone, ["--insecure-options=image", "fetch", image]);
		t.equal(fetched.exitCode, 0, fetched.stderr);
		t.equal((await shell(gone, ["list"])).exitCode, 0);
		const few = await shell("ulimit -n 20", ["--insecure-options=image", "run", "--net=none", image]);
		t.equal(few.exitCode, 254);
		t.match(few.stderr, /EMFILE\nhint: raise the limit/);
		t.notMatch(few.stderr, /\n\s+at .*\(/);
	});

	t.test("a data directory without room, and one that is no directory", async (t) => {
		const small = path.join(host.directory, "small");
		fs.mkdirSync(small);
		await execa("mount", ["-t", "tmpfs", "-o", "size=300k", "tmpfs", small]);
		t.teardown(() => execa("umount", [small]));
		const image = path.join(host.directory, "example.com-busybox.aci");
		const full = await host.rkt([`--dir=${small}`, "--insecure-options=image", "fetch", image]);
		t.equal(full.status, 254);
		t.match(full.stderr, /space|ENOSPC/i);
		t.notMatch(full.stderr, /\n\s+at .*\(/);
		const file = path.join(host.directory, "a-file");
		fs.writeFileSync(file, "");
		const odd = await host.rkt([`--dir=${file}`, "list"]);
		t.equal(odd.status, 254);
		t.match(odd.stderr, /a-file/);
	});

	t.test("without root: pods are refused, and a data directory without permission is named", async (t) => {
		const program = path.join(host.directory, "program");
		fs.mkdirSync(program);
		for (const name of ["rkt", "rkt.cjs", "koffi.node"]) {
			fs.copyFileSync(path.join(distDirectory(), name), path.join(program, name));
		}
		fs.chmodSync(host.directory, 0o755);
		const asNobody = (...words: string[]): Promise<{ exitCode?: number; stderr: string }> =>
			execa(
				"setpriv",
				[
					"--reuid=65534",
					"--regid=65534",
					"--clear-groups",
					`${program}/rkt`,
					`--dir=${host.dataDirectory}`,
					...words,
				],
				{ reject: false },
			);
		const run = await asNobody("run", "--net=none", BUSYBOX);
		t.equal(run.exitCode, 254);
		t.match(run.stderr, /run: cannot run as unprivileged user/);
		const image = path.join(host.directory, "example.com-busybox.aci");
		const fetched = await asNobody("--insecure-options=image", "fetch", image);
		t.equal(fetched.exitCode, 254);
		t.ok(fetched.stderr.includes(host.dataDirectory), fetched.stderr);
		t.notMatch(fetched.stderr, /\n\s+at .*\(/);
	});

	t.test("a pod cannot lie to the commands that look at it", async (t) => {
		const script = "rm -rf /rkt; ln -s /etc/passwd /tmp/x; exit 0";
		const uuidFile = path.join(host.directory, "uuid-lie");
		await host.shell(script, { pod: [`--uuid-file-save=${uuidFile}`] });
		const uuid = firstUuid(fs.readFileSync(uuidFile, "utf8"));
		const status = await host.rkt(["status", uuid]);
		t.equal(status.status, 0);
		t.notMatch(status.stdout, /root:/);
	});
});

async function refuses(t: Test, host: BusyboxHost, file: string, what: string): Promise<void> {
	const before = (await host.rkt(["image", "list", "--full", "--no-legend"])).stdout;
	const result = await host.rkt(["--insecure-options=image", "fetch", file], { timeoutMs: 60_000 });
	t.equal(result.status, 254, what);
	t.match(result.stderr, /^fetch: .+/m, what);
	t.notMatch(result.stderr, /\n\s+at .*\(/, `${what}: no stack`);
	const after = (await host.rkt(["image", "list", "--full", "--no-legend"])).stdout;
	t.equal(after, before, `${what}: the store is as before`);
	t.strictSame(
		fs.readdirSync(path.join(host.dataDirectory, "cas/tmp"), { recursive: true }),
		[],
		`${what}: no rest`,
	);
}

async function archiveWith(spoil: (archive: Archive) => void): Promise<Buffer> {
	const archive = pack();
	archive.entry({ name: "manifest" }, JSON.stringify(imageManifest("example.com/hostile")));
	archive.entry({ name: "rootfs", type: "directory" });
	archive.entry({ name: "rootfs/bin", type: "directory" });
	archive.entry({ name: "rootfs/bin/true", mode: 0o755 }, fs.readFileSync("/bin/busybox"));
	spoil(archive);
	archive.finalize();
	return collect(archive);
}

async function collect(archive: Archive): Promise<Buffer> {
	const chunks: Buffer[] = [];
	for await (const chunk of archive) chunks.push(chunk as Buffer);
	return Buffer.concat(chunks);
}
