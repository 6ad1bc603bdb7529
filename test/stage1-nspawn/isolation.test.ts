import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { connect } from "node:net";
import * as path from "node:path";
import t, { type Test } from "tap";
import { shellApp } from "../stage1/conformance/cases.ts";
import { appLines, makeFixtures } from "../stage1/conformance/run-case.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { createMiniStage0, type MiniApp, openMiniUsers } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-isolation-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));

const image = process.env.STAGE1_IMAGE ?? path.join(distDirectory(), "stage1-nspawn.aci");
const stage0 = createMiniStage0(directory, image);
const fixtures = makeFixtures(directory);
const shell = (script: string, more?: Record<string, unknown>, name?: string): MiniApp =>
	shellApp(fixtures, script, more, name);

const probe = path.join(fixtures.busybox, "bin/probe");
const source = path.resolve("test/stage1-nspawn/probe.c");
t.equal(spawnSync("gcc", ["-O1", "-static", "-w", "-o", probe, source]).status, 0, "the probe compiles");

/** What an app of today's container runtimes may and may not do. */
const EXPECTED: Readonly<Record<string, string>> = {
	"socket-alg": "EAFNOSUPPORT",
	"socket-alg-high-bits": "EAFNOSUPPORT",
	"socket-vsock": "EAFNOSUPPORT",
	"socket-audit": "EAFNOSUPPORT",
	"socket-inet": "allowed",
	"unshare-user": "EPERM",
	"clone-user": "EPERM",
	clone3: "ENOSYS",
	mount: "EPERM",
	umount: "EPERM",
	bpf: "EPERM",
	keyctl: "EPERM",
	ptrace: "EPERM",
	"personality-ask": "allowed",
	"personality-read-implies-exec": "EPERM",
	io_uring: "ENOSYS",
	userfaultfd: "EPERM",
	"unknown-call": "ENOSYS",
	open_by_handle_at: "EPERM",
	getpid32: "allowed",
	socketcall32: "ENOSYS",
	"socket32-alg": "EAFNOSUPPORT",
	unshare32: "EPERM",
	disk: "EPERM",
	"root-of-stage1": "EACCES",
	"environment-of-stage1": "EACCES",
	core_pattern: "EROFS",
	cgroup: "ENOENT",
	"sys-write": "EROFS",
	tun: "ENOENT",
	"remount-root": "EPERM",
};

/** Missing on kernels without it. */
const WITHOUT = ["EROFS", "ENOENT"];

const probed = (lines: readonly string[]): Record<string, string> =>
	Object.fromEntries(lines.map((line) => line.split(" ") as [string, string]));

function checkProbe(t: Test, seen: Record<string, string>, stderr: string): void {
	const { sysrq, ...rest } = seen;
	t.ok(WITHOUT.includes(sysrq ?? ""), `sysrq ${sysrq}`);
	const expected = Object.fromEntries(Object.keys(rest).map((name) => [name, EXPECTED[name]]));
	t.strictSame(rest, expected, { stderr });
	t.ok(Object.keys(rest).length > 25);
}

t.test("an app cannot do what it must not", async (t) => {
	const pod = stage0.prepare([{ name: "app", rootfs: fixtures.busybox, app: { exec: ["/bin/probe"] } }]);
	t.teardown(() => stage0.remove(pod));
	const result = await stage0.run(pod);
	checkProbe(t, probed(appLines(result.stdout)), result.stderr);
});

t.test("the same for a command that is run with enter", async (t) => {
	const pod = stage0.prepare([shell("echo up; exec sleep 100")]);
	t.teardown(() => stage0.remove(pod));
	const child = stage0.start(pod);
	await stage0.containerPid(pod);
	const result = stage0.enter(pod, "app", ["probe"]);
	checkProbe(t, probed(result.stdout.trim().split("\n")), result.stderr);
	child.kill("SIGTERM");
	await new Promise((resolve) => child.on("close", resolve));
});

t.test("arguments are looked at also with sets of one's own", async (t) => {
	const sets = [
		["retained", "os/linux/seccomp-retain-set", { set: ["@rkt/default-whitelist"], errno: "EXDEV" }],
		["removed", "os/linux/seccomp-remove-set", { set: ["unshare", "clone3"], errno: "EXDEV" }],
	] as const;
	const apps = sets.map(([name, isolator, value]) => {
		const app = { exec: ["/bin/probe"], isolators: [{ name: isolator, value }] };
		return { name, rootfs: fixtures.busybox, app };
	});
	const pod = stage0.prepare(apps);
	t.teardown(() => stage0.remove(pod));
	const { stdout } = await stage0.run(pod);
	const of = (app: string) => {
		const own = stdout.split("\n").filter((line) => line.includes(` ${app}[`));
		return probed(appLines(own.join("\n")));
	};
	const common = {
		"socket-alg": "EAFNOSUPPORT",
		"socket-vsock": "EAFNOSUPPORT",
		"clone-user": "EPERM",
		clone3: "ENOSYS",
	};
	t.match(
		of("retained"),
		{ ...common, mount: "EXDEV", "personality-read-implies-exec": "EPERM" },
		{ stdout },
	);
	t.match(of("removed"), { ...common, "unshare-user": "EXDEV", "personality-ask": "allowed" }, { stdout });
});

t.test("files that would stop a careless reader", async (t) => {
	for (const [kind, make] of Object.entries({
		fifo: (file: string) => spawnSync("mkfifo", [file]),
		endless: (file: string) => fs.symlinkSync("/dev/zero", file),
		host: (file: string) => fs.symlinkSync("/proc/self/root/etc/passwd", file),
		directory: (file: string) => fs.mkdirSync(file),
	})) {
		const rootfs = path.join(directory, `passwd-${kind}`);
		fs.cpSync(fixtures.busybox, rootfs, { recursive: true, verbatimSymlinks: true });
		fs.rmSync(path.join(rootfs, "etc/passwd"));
		make(path.join(rootfs, "etc/passwd"));
		const pod = stage0.prepare([{ ...shell("true", { user: "daemon" }), rootfs }]);
		const result = await stage0.run(pod);
		t.equal(result.status, 254, kind);
		t.match(result.stderr, /no user "daemon"/, kind);
		stage0.remove(pod);
	}
});

t.test("a user namespace", async (t) => {
	const shift = 1_000_000_000;
	const script = `cat /proc/self/uid_map; id -u; touch /tmp/new; stat -c %u /tmp/new; touch /data/new
		echo x >/dev/null && echo null; grep -E '^(CapBnd|Seccomp):' /proc/self/status
		[ -e /proc/kcore ] && head -c 1 /proc/kcore | wc -c; exec sleep 100`;
	const mounts = { runtime: { mounts: [{ volume: "data", path: "/data" }] } };
	const limit = { isolators: [{ name: "resource/pids", value: { limit: "64" } }] };
	const stage0 = createMiniStage0(path.join(directory, "users"), image, await openMiniUsers(shift));
	const pod = stage0.prepare([shell(script, { ...mounts, ...limit })], {
		volumes: [{ name: "data", kind: "empty" }],
	});
	t.teardown(() => stage0.remove(pod));
	let output = "";
	const child = stage0.start(pod);
	for (const stream of [child.stdout, child.stderr]) {
		stream?.on("data", (chunk) => {
			output += chunk;
		});
	}
	const pid = await stage0.containerPid(pod);
	t.match(fs.readFileSync(`/proc/${pid}/uid_map`, "utf8"), /^\s+0\s+1000000000\s+65536/);
	const entered = stage0.enter(pod, "app", [
		"sh",
		"-c",
		"readlink /proc/self/ns/user; id -u; touch /tmp/entered",
	]);
	t.equal(entered.stdout, `${fs.readlinkSync(`/proc/${pid}/ns/user`)}\n0\n`, { stderr: entered.stderr });
	const upper = path.join(pod.directory, "overlay/app/upper/tmp");
	t.equal(fs.statSync(path.join(upper, "entered")).uid, shift);
	t.equal(fs.statSync(path.join(pod.directory, "sharedVolumes/data/new")).uid, shift);
	child.kill("SIGTERM");
	await new Promise((resolve) => child.on("close", resolve));
	const lines = appLines(output);
	t.ok(lines.includes("null"), { output });
	t.ok(lines.includes("CapBnd:\t00000000a80421fb"), { output });
	t.ok(lines.includes("Seccomp:\t2"));
});

t.test("an app that tells systemd when it is ready", async (t) => {
	const annotations = [{ name: "appc.io/executor/supports-systemd-notify", value: "true" }];
	const app = { ...shell("sleep 0.3; exec probe notify"), annotations };
	const pod = stage0.prepare([app]);
	t.teardown(() => stage0.remove(pod));
	const child = stage0.start(pod);
	let output = "";
	child.stdout?.on("data", (chunk) => {
		output += chunk;
	});
	await stage0.containerPid(pod);
	await waitFor("the line", () => output.includes("notified"));
	child.kill("SIGTERM");
	await new Promise((resolve) => child.on("close", resolve));
});

t.test("a socket of the host's systemd reaches the app", async (t) => {
	const users = createMiniStage0(
		path.join(directory, "socket-users"),
		image,
		await openMiniUsers(1_000_079_360),
	);
	const hosts = { 18999: stage0, 19001: users };
	for (const [number, host] of Object.entries(hosts)) {
		const port = { name: "web", protocol: "tcp", port: 80, socketActivated: true };
		const script =
			"echo fds=$LISTEN_FDS pid=$(( LISTEN_PID == $$ )); ls /proc/self/fd | tr '\\n' ' '; echo; exec sleep 100";
		const pod = host.prepare([shell(script, { ports: [port] })], {
			ports: [{ name: "web", hostPort: Number(number) }],
		});
		t.teardown(() => host.remove(pod));
		const child = spawn("systemd-socket-activate", ["-l", number, "--", ...host.startCommand(pod)], {
			stdio: ["ignore", "pipe", "pipe"],
		});
		let output = "";
		child.stdout?.on("data", (chunk) => {
			output += chunk;
		});
		await waitFor("the socket", () => canConnect(Number(number)));
		await waitFor("the app", () => appLines(output).length >= 2);
		t.strictSame(appLines(output), ["fds=1 pid=1", "0 1 2 3 4"]);
		child.kill("SIGTERM");
		await new Promise((resolve) => child.on("close", resolve));
	}
});

function canConnect(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = connect(port, "127.0.0.1");
		socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
		socket.on("connect", () => socket.destroy());
	});
}
