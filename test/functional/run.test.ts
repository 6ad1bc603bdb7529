import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";
import t from "tap";
import { BUSYBOX, createBusyboxHost, firstUuid, outputLines } from "../support/busybox-host.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

t.test("rkt run", async (t) => {
	const host = await createBusyboxHost("run");
	t.teardown(() => host.remove());

	t.test("the app's output reaches the caller, and success is status 0", async (t) => {
		const result = await host.shell("echo to stdout; echo to stderr >&2");
		t.equal(result.status, 0, { stderr: result.stderr });
		t.ok(
			outputLines(result).some((line) => line.endsWith("to stdout")),
			result.stdout,
		);
		t.match(result.stdout + result.stderr, /to stderr/);
	});

	t.test("the exit status of a failing app is that of rkt run, and is kept with the pod", async (t) => {
		const uuidFile = path.join(host.directory, "uuid");
		const result = await host.shell("exit 42", { pod: [`--uuid-file-save=${uuidFile}`] });
		t.equal(result.status, 42, { stderr: result.stderr });
		const status = await host.rkt(["status", fs.readFileSync(uuidFile, "utf8")]);
		t.match(status.stdout, /^state=exited$/m);
		t.match(status.stdout, /^exited=true$/m);
		t.match(status.stdout, /^app-busybox=42$/m);
	});

	t.test("an app that prints a line and ends at once loses nothing", async (t) => {
		const uuidFile = path.join(host.directory, "uuid-short");
		for (let round = 0; round < 5; round += 1) {
			const result = await host.shell(`echo round-${round}`, { pod: [`--uuid-file-save=${uuidFile}`] });
			t.match(result.stdout, new RegExp(`round-${round}`));
			t.match(await journalOf(fs.readFileSync(uuidFile, "utf8")), new RegExp(`round-${round}`));
		}
	});

	t.test("arguments arrive as they were typed", async (t) => {
		const words = ["plain", "two words", "$HOME", "%h%n", 'quo"te', "a;b", "back\\slash", "it's", "é"];
		const script = 'for word in "$@"; do echo "<$word>"; done';
		const result = await host.rkt(["run", ...host.shellWords(script), "sh", ...words]);
		t.equal(result.status, 0, { stderr: result.stderr });
		for (const word of words) t.ok(result.stdout.includes(`<${word}>`), word);
	});

	t.test("environment: the defaults, and later sources win", async (t) => {
		const file = path.join(host.directory, "env");
		fs.writeFileSync(file, '# comment\nFROM_FILE=file\nBOTH=file\nSPECIAL=a b $x %n "q"\n');
		const flags = [`--set-env-file=${file}`, "--set-env=BOTH=set-env", "--set-env=APP=set-env"];
		const result = await host.shell("env", { pod: flags, app: ["--environment=APP=app"] });
		const lines = outputLines(result);
		const has = (text: string): boolean => lines.some((line) => line.endsWith(text));
		t.ok(has("AC_APP_NAME=busybox"), result.stdout);
		t.ok(has("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
		t.ok(has("FROM_FILE=file"));
		t.ok(has("BOTH=set-env"));
		t.ok(has("APP=app"));
		t.ok(has('SPECIAL=a b $x %n "q"'));
	});

	t.test("--inherit-env hands on the caller's variables", async (t) => {
		const result = await host.shell(
			"echo $FROM_CALLER",
			{ pod: ["--inherit-env"] },
			{ environment: { FROM_CALLER: "yes-it-is" } },
		);
		t.match(result.stdout, /yes-it-is/);
	});

	t.test("user and group by number, by name and by the owner of a file", async (t) => {
		const script = "id -u; id -g; id -G";
		const ids = async (...flags: string[]): Promise<string> =>
			outputLines(await host.shell(script, { app: flags })).join(" ");
		t.match(await ids("--user=1234", "--group=4321"), /^1234 4321/);
		t.match(await ids("--user=worker", "--group=workers"), /^1000 1001/);
		t.match(await ids("--user=/tmp", "--group=/tmp"), /^0 0/);
		const result = await host.shell("id", {
			app: ["--user=1000", "--group=1001", "--supplementary-gids=1002,77"],
		});
		t.match(result.stdout, /uid=1000.*gid=1001.*groups=77,1002/);
	});

	t.test("working directory", async (t) => {
		const result = await host.shell("pwd", { app: ["--working-dir=/tmp"] });
		t.match(result.stdout, /\/tmp/);
	});

	t.test("an app without the right file is explained", async (t) => {
		const result = await host.rkt(["run", "--net=none", BUSYBOX, "--exec=/bin/nothing-here"]);
		t.not(result.status, 0);
		t.match(result.stderr + result.stdout, /nothing-here/);
	});

	t.test("several apps share a pod; one that fails ends it with its status", async (t) => {
		const both = await host.rkt([
			...["run", "--net=none", BUSYBOX, "--name=one", "--exec=/bin/sh", "--", "-c", "echo I am one", "---"],
			...[BUSYBOX, "--name=two", "--exec=/bin/sh", "--", "-c", "echo I am two"],
		]);
		t.equal(both.status, 0, { stderr: both.stderr });
		t.match(both.stdout, /I am one/);
		t.match(both.stdout, /I am two/);
		const failing = await host.rkt([
			...["run", "--net=none", BUSYBOX, "--name=long", "--exec=/bin/sleep", "--", "600", "---"],
			...[BUSYBOX, "--name=bad", "--exec=/bin/sh", "--", "-c", "exit 7"],
		]);
		t.equal(failing.status, 7, { stderr: failing.stderr });
	});

	t.test("volumes: host and empty, read-only and shared between apps", async (t) => {
		const source = path.join(host.directory, "volume");
		fs.mkdirSync(source);
		fs.writeFileSync(path.join(source, "from-host"), "host content\n");
		const mount = ["--mount=volume=data,target=/mnt/data"];
		const written = await host.shell("cat /mnt/data/from-host && echo written >/mnt/data/from-pod", {
			pod: [`--volume=data,kind=host,source=${source}`],
			app: mount,
		});
		t.equal(written.status, 0, { stderr: written.stderr });
		t.match(written.stdout, /host content/);
		t.equal(fs.readFileSync(path.join(source, "from-pod"), "utf8"), "written\n");

		const refused = await host.shell("touch /mnt/data/x || echo refused", {
			pod: [`--volume=data,kind=host,source=${source},readOnly=true`],
			app: mount,
		});
		t.match(refused.stdout, /refused/);
		t.notOk(fs.existsSync(path.join(source, "x")));

		const modes = await host.shell("stat -c '%a %u %g' /mnt/data", {
			pod: ["--volume=data,kind=empty,mode=0750,uid=12,gid=34"],
			app: mount,
		});
		t.match(modes.stdout, /750 12 34/);

		const shared = await host.rkt([
			...["run", "--net=none", "--volume=data,kind=empty"],
			...[
				BUSYBOX,
				"--name=writer",
				...mount,
				"--exec=/bin/sh",
				"--",
				"-c",
				"echo handed over >/mnt/data/x",
				"---",
			],
			...[
				BUSYBOX,
				"--name=reader",
				...mount,
				"--exec=/bin/sh",
				"--",
				"-c",
				"until cat /mnt/data/x; do sleep 0.05; done",
			],
		]);
		t.match(shared.stdout, /handed over/, shared.stderr);
	});

	t.test("mount points of the image get an empty volume when there is no --volume", async (t) => {
		await host.addImage("example.com/mounter", {
			app: {
				exec: ["/bin/sh", "-c", "touch /state/file && grep ' /state ' /proc/self/mounts"],
				mountPoints: [{ name: "state", path: "/state" }],
			},
		});
		const result = await host.rkt(["run", "--net=none", "example.com/mounter"]);
		t.equal(result.status, 0, { stderr: result.stderr });
		t.match(result.stderr, /state/, "the caller is told of the implicit volume");
	});

	t.test("--readonly-rootfs", async (t) => {
		const result = await host.shell("touch /file || echo refused", { app: ["--readonly-rootfs=true"] });
		t.match(result.stdout, /refused/);
	});

	t.test("pre-start and post-stop hooks run in the app's root", async (t) => {
		const source = path.join(host.directory, "hooks");
		fs.mkdirSync(source);
		fs.chmodSync(source, 0o777);
		await host.addImage("example.com/hooked", {
			app: {
				exec: ["/bin/sh", "-c", "cat /state/before; echo during"],
				user: "1000",
				group: "1001",
				eventHandlers: [
					{ name: "pre-start", exec: ["/bin/sh", "-c", "echo before >/state/before"] },
					{ name: "post-stop", exec: ["/bin/sh", "-c", "echo after >/state/after"] },
				],
				mountPoints: [{ name: "state", path: "/state" }],
			},
		});
		const result = await host.rkt([
			"run",
			"--net=none",
			`--volume=state,kind=host,source=${source}`,
			"example.com/hooked",
		]);
		t.equal(result.status, 0, { stderr: result.stderr });
		t.match(result.stdout, /before[\s\S]*during/);
		t.equal(fs.readFileSync(path.join(source, "after"), "utf8"), "after\n");
	});

	t.test("isolation: own process tree, own host name, no power over the machine", async (t) => {
		const script = [
			"hostname",
			"echo pid1=$(cat /proc/1/comm)",
			"mount -t tmpfs tmpfs /tmp 2>/dev/null && echo MOUNTED",
			"echo 1 >/proc/sys/kernel/sysrq && echo SYSRQ",
			"cat /proc/kcore >/dev/null 2>&1 && echo KCORE",
			"mknod /tmp/mem c 1 1 && dd if=/tmp/mem of=/dev/null count=1 2>/dev/null && echo MEM",
			"grep -E 'CapBnd|Seccomp:' /proc/self/status",
			"true",
		].join("; ");
		const result = await host.shell(script, { pod: ["--hostname=pod.example"] });
		t.equal(result.status, 0, { stderr: result.stderr });
		t.match(result.stdout, /pod\.example/);
		t.match(result.stdout, /pid1=systemd/);
		t.notMatch(result.stdout, /MOUNTED|SYSRQ|KCORE|MEM/);
		t.match(result.stdout, /CapBnd:\s*00000000a80425fb/, "the 14 default capabilities");
		t.match(result.stdout, /Seccomp:\s*2/);
	});

	t.test("systemd-detect-virt and its like find out where they are", async (t) => {
		t.strictSame(outputLines(await host.shell("cat /run/systemd/container")), ["rkt"]);
	});

	t.test("an app gets what it needs of /dev, /proc and /sys", async (t) => {
		const script =
			"for node in null zero full random urandom tty ptmx pts shm; do [ -e /dev/$node ] || echo missing $node; done; [ -d /proc/self ] && [ -d /sys/class ] && echo complete";
		const result = await host.shell(script);
		t.match(result.stdout, /complete/);
		t.notMatch(result.stdout, /missing/);
	});

	t.test("--interactive with a pipe: input, output and status", async (t) => {
		const words = [
			"run",
			"--net=none",
			"--interactive",
			BUSYBOX,
			"--exec=/bin/sh",
			"--",
			"-c",
			"cat; exit 3",
		];
		const result = await host.rkt(words, { input: "line one\nline two\n" });
		t.equal(result.status, 3, { stderr: result.stderr });
		t.match(result.stdout, /line one\r?\nline two/);
	});

	t.test("--interactive on a terminal", async (t) => {
		const rkt = [
			path.join(distDirectory(), "rkt"),
			`--dir=${host.dataDirectory}`,
			"run",
			"--net=none",
			"--interactive",
		];
		const command = [
			...rkt,
			BUSYBOX,
			"--exec=/bin/sh",
			"--",
			"-c",
			"'tty; stty size 2>/dev/null; exit 5'",
		].join(" ");
		const result = await execa("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
			reject: false,
			stdin: "ignore",
			timeout: 60_000,
		});
		t.equal(result.exitCode, 5, result.stdout);
		t.match(result.stdout, /\/dev\/(pts\/\d+|console)/);
	});

	t.test("--private-users: root in the pod is nobody outside, and volumes keep their owners", async (t) => {
		const source = path.join(host.directory, "private");
		fs.mkdirSync(path.join(source, "theirs"), { recursive: true });
		fs.chownSync(path.join(source, "theirs"), 1000, 1001);
		fs.chmodSync(path.join(source, "theirs"), 0o700);
		const volume = [`--volume=data,kind=host,source=${source}`, "--mount=volume=data,target=/data"];
		const script = `id -u; touch /inside; touch /data/new && mkdir /data/theirs/sub; stat -c '%u:%g %n' /data/*; cat /proc/self/uid_map`;
		const nested = ["--mount=volume=data,target=/data/nested"];
		const result = await host.shell(script, { pod: ["--private-users", ...volume, ...nested] });
		t.equal(result.status, 0, { stderr: result.stderr });
		t.match(result.stdout, /0\s+[1-9]\d{4,}\s+65536/);
		t.match(result.stdout, /1000:1001 \/data\/theirs/);
		const owner = (name: string): number => fs.statSync(path.join(source, name)).uid;
		t.strictSame([owner("new"), owner("theirs"), owner("nested")], [0, 1000, 0], "on the host as without");
	});

	t.test("--private-users with a volume that is to be left as it is on the host", async (t) => {
		const source = path.join(host.directory, "unshifted");
		fs.mkdirSync(source);
		fs.chmodSync(source, 0o777);
		const volume = `--volume=data,kind=host,source=${source},idmap=false`;
		const pod = ["--private-users", volume, "--mount=volume=data,target=/data"];
		const result = await host.shell("touch /data/new; stat -c '%u %n' /data /data/new", { pod });
		t.match(result.stdout, /65534 \/data$/m, result.stderr);
		t.match(result.stdout, /\b0 \/data\/new/);
		t.ok(fs.statSync(path.join(source, "new")).uid >= 65536, "of the pod's range");
		const empty = await host.shell("true", { pod: ["--volume=data,kind=empty,idmap=false"] });
		t.match(empty, { status: 254, stderr: /idmap is only for kind=host/ });
	});

	t.test("--private-users with a volume that cannot be mapped says so", async (t) => {
		const lower = path.join(host.directory, "lower");
		const source = path.join(host.directory, "unmapped");
		for (const one of [lower, source]) fs.mkdirSync(one);
		fs.writeFileSync(path.join(lower, "file"), "content\n");
		const options = `lowerdir=${lower}:${host.configDirectory}`;
		fs.mkdirSync(host.configDirectory, { recursive: true });
		await execa("mount", ["-t", "overlay", "-o", options, "overlay", source]);
		t.teardown(() => execa("umount", [source]));
		const pod = [
			"--private-users",
			`--volume=data,kind=host,source=${source}`,
			"--mount=volume=data,target=/data",
		];
		const result = await host.shell("cat /data/file; stat -c %u /data/file", { pod });
		t.equal(result.status, 0, { stderr: result.stderr });
		t.match(result.stderr, /volume data: its file system cannot give files other owners/);
		t.match(result.stdout, /65534/);
	});

	t.test("who gets users of its own: flags before the configuration, auto where it works", async (t) => {
		const directory = path.join(host.configDirectory, "isolation.d");
		fs.mkdirSync(directory, { recursive: true });
		t.teardown(() => fs.rmSync(directory, { recursive: true }));
		const configure = (privateUsers: string): void => {
			const content = { rktKind: "isolation", rktVersion: "v1", privateUsers };
			fs.writeFileSync(path.join(directory, "a.json"), JSON.stringify(content));
		};
		const shifted = async (...pod: string[]): Promise<boolean> => {
			const result = await host.shell("cat /proc/self/uid_map", { pod });
			t.equal(result.status, 0, { stderr: result.stderr });
			return /0\s+[1-9]\d{4,}\s+65536/.test(result.stdout);
		};
		configure("on");
		t.equal(await shifted(), true, "on");
		t.equal(await shifted("--private-users=no"), false, "the flag counts more");
		configure("auto");
		t.equal(await shifted(), true, "auto");
		const prepare = async (): Promise<string> =>
			(
				await host.rkt(["prepare", "--quiet", BUSYBOX, "--exec=/bin/cat", "--", "/proc/self/uid_map"])
			).stdout.trim();
		const uuid = await prepare();
		configure("off");
		t.equal(await shifted(), false, "off");
		t.match((await host.rkt(["run-prepared", "--net=none", uuid])).stdout, /0\s+[1-9]\d{4,}\s+65536/);
		t.match((await host.rkt(["status", uuid])).stdout, /^private-users=\d+:65536$/m);
		const without = await prepare();
		configure("on");
		t.match(
			(await host.rkt(["run-prepared", "--net=none", without])).stdout,
			/0\s+0\s+4294967295/,
			"as it was prepared",
		);
		t.notMatch((await host.rkt(["status", "--format=json", without])).stdout, /private_users/);
		configure("off");
		t.equal(await shifted("--private-users=true"), true, "rkt's own words");
		t.equal((await host.shell("true", { pod: ["--private-users=perhaps"] })).status, 254);
		configure("sometimes");
		t.match((await host.shell("true")).stderr, /a\.json: "privateUsers" is "sometimes"/);
	});

	t.test("auto goes on without, and on refuses, where files cannot get other owners", async (t) => {
		const dirs = ["overlay-lower", "overlay-upper", "overlay-work", "overlay-data"];
		const [lower, upper, work, data] = dirs.map((name) => path.join(host.directory, name)) as [
			string,
			string,
			string,
			string,
		];
		for (const one of [lower, upper, work, data]) fs.mkdirSync(one);
		const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
		await execa("mount", ["-t", "overlay", "-o", options, "overlay", data]);
		t.teardown(() => execa("umount", ["-l", data]));
		const image = path.join(host.directory, "example.com-busybox.aci");
		const run = (mode: string) =>
			host.rkt([
				`--dir=${data}`,
				"--insecure-options=image",
				"run",
				"--net=none",
				`--private-users=${mode}`,
				image,
				"--exec=/bin/true",
			]);
		const auto = await run("auto");
		t.equal(auto.status, 0, auto.stderr);
		t.match(
			auto.stderr,
			/the pod has no users of its own: the file system of .* cannot show files with other owners/,
		);
		const on = await run("yes");
		t.equal(on.status, 254);
		t.match(on.stderr, /cannot map the owners/);
		await host.rkt([`--dir=${data}`, "gc", "--grace-period=0s"]);
		await host.rkt([`--dir=${data}`, "gc", "--grace-period=0s"]);
	});

	t.test("--no-overlay gives the same pod without overlayfs", async (t) => {
		const result = await host.shell("echo copied; grep ' / ' /proc/self/mounts", { pod: ["--no-overlay"] });
		t.equal(result.status, 0, { stderr: result.stderr });
		t.match(result.stdout, /copied/);
		t.notMatch(result.stdout, /overlay/);
	});

	t.test("the metadata of the pod: cat-manifest shows what ran", async (t) => {
		const uuidFile = path.join(host.directory, "uuid-manifest");
		await host.shell("true", {
			pod: [`--uuid-file-save=${uuidFile}`],
			app: ["--name=named", "--memory=64Mi"],
		});
		const uuid = firstUuid(fs.readFileSync(uuidFile, "utf8"));
		const manifest = JSON.parse((await host.rkt(["cat-manifest", uuid])).stdout);
		t.equal(manifest.acKind, "PodManifest");
		t.equal(manifest.apps[0].name, "named");
		t.equal(manifest.apps[0].image.name, BUSYBOX);
		t.match(JSON.stringify(manifest.apps[0].app.isolators), /resource\/memory/);
	});
});

/** Everything in the journal of a pod. */
async function journalOf(uuid: string): Promise<string> {
	const id = uuid.replaceAll("-", "");
	const places = [`/var/log/journal/${id}`, `/run/log/journal/${id}`].filter((place) => fs.existsSync(place));
	const result = await execa("journalctl", ["--output=cat", "--no-pager", `--directory=${places[0]}`], {
		reject: false,
	});
	return result.stdout;
}
