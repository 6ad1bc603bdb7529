import { type ChildProcess, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { readMounts } from "../../lib/mountinfo.ts";
import { readExitStatuses } from "../../stage1/pod-record.ts";
import { shellApp } from "../stage1/conformance/cases.ts";
import { appLines, makeFixtures } from "../stage1/conformance/run-case.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { createMiniStage0, type MiniApp, type MiniPod } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-life-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));

const image = process.env.STAGE1_IMAGE ?? path.join(distDirectory(), "stage1-nspawn.aci");
const stage0 = createMiniStage0(directory, image);
const fixtures = makeFixtures(directory);
const shell = (script: string, more?: Record<string, unknown>, name?: string): MiniApp =>
	shellApp(fixtures, script, more, name);

/** A pod that was started, and what it prints. */
async function startPod(apps: readonly MiniApp[], args: readonly string[] = []): Promise<Running> {
	const pod = stage0.prepare(apps);
	const child = stage0.start(pod, args);
	const running = { pod, child, output: "", pid: 0, ended: Promise.resolve<number | null>(null) };
	running.ended = new Promise((resolve) => child.on("close", resolve));
	for (const stream of [child.stdout, child.stderr]) {
		stream?.on("data", (chunk) => {
			running.output += chunk;
		});
	}
	running.pid = await stage0.containerPid(pod);
	return running;
}

interface Running {
	readonly pod: MiniPod;
	readonly child: ChildProcess;
	output: string;
	pid: number;
	ended: Promise<number | null>;
}

const cgroupsOf = (pod: MiniPod): string[] =>
	fs
		.readFileSync(path.join(pod.directory, "cgroups"), "utf8")
		.trim()
		.split("\n")
		.filter((one) => fs.existsSync(one));

t.test("enter has what the app has", async (t) => {
	const running = await startPod([
		shell("exec sleep 100"),
		shell("exec sleep 100", { user: "1000", group: "100" }, "other"),
		shell("exit 0", {}, "ended"),
	]);
	const { pod } = running;
	t.teardown(() => stage0.remove(pod));
	const enter = (app: string, script: string) => stage0.enter(pod, app, ["sh", "-c", script]);
	const status =
		"grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp|Seccomp_filters)' /proc/PID/status";
	const ofApp = (app: string): string =>
		`$(grep -l 'sleep' /proc/[0-9]*/comm | while read f; do d=\${f%/comm}; grep -q ${app}.service $d/cgroup && echo \${d#/proc/}; done | head -1)`;

	const compared = enter(
		"app",
		`${status.replace("PID", ofApp("app"))}; echo; ${status.replace("PID", "self")}`,
	);
	const [app, entered] = compared.stdout.split("\n\n");
	t.equal(entered?.trim(), app?.trim(), { stderr: compared.stderr });
	t.match(app, /Seccomp:\t2/);
	const cgroups = enter("app", `cat /proc/${ofApp("app")}/cgroup; echo; cat /proc/self/cgroup`).stdout.split(
		"\n\n",
	);
	t.equal(cgroups[1]?.trim(), cgroups[0]?.trim());
	t.match(cgroups[0], /devices:\/system\.slice\/app\.service/);
	t.match(
		enter("other", "grep NoNewPrivs /proc/self/status; id").stdout,
		/NoNewPrivs:\t1\nuid=0\(root\) gid=0\(root\)\n/,
	);
	const environment = enter("app", "pwd; env | sort").stdout;
	t.match(environment, /^\/\nAC_APP_NAME=app\nHOME=\/root\n/);
	t.notMatch(environment, /npm_|NODE_|RKT_/);
	t.equal(enter("app", "ls /proc/self/fd | tr '\\n' ' '").stdout, "0 1 2 3 ");
	t.equal(enter("app", "exit 42").status, 42);
	t.equal(spawnEnter(pod, "app", "kill -9 $$").signal, "SIGKILL");
	t.equal(enter("app", "hostname").stdout, `rkt-${pod.uuid}\n`);
	t.match(enter("nobody", "true").stderr, /no app "nobody"/);
	t.match(stage0.enter(pod, "app", ["/no/such"]).stderr, /cannot run \/no\/such/);

	const gone = enter(
		"ended",
		`cat /etc/hostname; ls /; ${status.replace("PID", "self")}; head -c 1 /proc/kcore | wc -c`,
	);
	t.match(gone.stdout, /deep\n.*[\s\S]*CapBnd:\t00000000a80425fb/, { stderr: gone.stderr });
	t.match(gone.stdout, /\n0\n$/, "the same paths are hidden");

	running.child.kill("SIGTERM");
	await running.ended;
	t.match(enter("app", "true").stderr, /pod-not-running|not the first process/);
});

function spawnEnter(pod: MiniPod, app: string, script: string) {
	const [program = "", ...words] = stage0.enterCommand(pod, app, ["sh", "-c", script]);
	return spawnSync(program, words, { cwd: pod.directory, encoding: "utf8" });
}

t.test("enter on a terminal gives the command another one", async (t) => {
	const running = await startPod([shell("exec sleep 100")]);
	t.teardown(() => stage0.remove(running.pod));
	const words = ["sh", "-c", "'tty; stty size; exit 9'"];
	const command = stage0.enterCommand(running.pod, "app", words).join(" ");
	const result = spawnSync("script", ["-qec", `stty rows 33 cols 77; ${command}`, "/dev/null"], {
		cwd: running.pod.directory,
		encoding: "utf8",
		input: "",
	});
	t.match(result.stdout, /\/dev\/pts\/0\r?\n33 77/, { stderr: result.stderr });
	t.equal(result.status, 9);
	running.child.kill("SIGTERM");
	await running.ended;
});

t.test("interactive on a terminal", async (t) => {
	const work = "tty; stty size; read line; echo got:$line >/dev/stdout; exit 6";
	const annotations = [{ name: "appc.io/docker/repository", value: "busybox" }];
	const pod = stage0.prepare([shell(work, { user: "1000", group: "1000", annotations })]);
	t.teardown(() => stage0.remove(pod));
	const words = stage0
		.startCommand(pod, ["--interactive"])
		.map((word) => `'${word.replaceAll("'", "'\\''")}'`);
	const script = path.join(directory, "interactive.sh");
	fs.writeFileSync(script, `stty rows 33 cols 77; exec ${words.join(" ")}\n`);
	const result = spawnSync(
		"sh",
		["-c", `(sleep 2; echo typed; sleep 2) | script -qec 'sh ${script}' /dev/null`],
		{
			encoding: "utf8",
		},
	);
	t.match(result.stdout, /\/dev\/console/, result.stdout);
	t.match(result.stdout, /33 77/);
	t.match(result.stdout, /got:typed/);
	t.strictSame([...readExitStatuses(pod.directory, ["app"])], [["app", 6]]);
});

t.test("a pod whose supervisor was killed is ended by gc", async (t) => {
	const running = await startPod([shell("exec sleep 1000")]);
	running.child.kill("SIGKILL");
	await new Promise((resolve) => running.child.on("exit", resolve));
	t.ok(fs.existsSync(`/proc/${running.pid}`), "nspawn leaves its container running");
	t.ok(cgroupsOf(running.pod).length > 0);
	const collected = stage0.call(running.pod, "gc");
	t.equal(collected.status, 0, collected.stderr);
	await waitFor("the end of PID 1", () => !fs.existsSync(`/proc/${running.pid}`));
	t.strictSame(cgroupsOf(running.pod), []);
	const again = stage0.call(running.pod, "gc");
	t.equal(again.status, 0, again.stderr);
	stage0.remove(running.pod);
});

t.test("nothing of a pod is seen on the host while it runs, and nothing is left", async (t) => {
	const before = readMounts().length;
	const running = await startPod([shell("echo line one; exec sleep 100")]);
	const { pod } = running;
	t.strictSame(
		readMounts().filter(({ target }) => target.startsWith(directory)),
		[],
	);
	await waitFor("the app", () => running.output.includes("line one"));
	const journal = `/var/log/journal/${pod.uuid.replaceAll("-", "")}`;
	const read = (): string =>
		spawnSync("journalctl", ["-D", journal, "-o", "json", "_SYSTEMD_UNIT=app.service"], { encoding: "utf8" })
			.stdout;
	await waitFor("the journal", () => read().includes("line one"));
	t.equal(JSON.parse(read().trim()).SYSLOG_IDENTIFIER, "app");
	t.equal(fs.statSync(journal).mode & 0o7777, 0o2750);
	running.child.kill("SIGTERM");
	await running.ended;
	t.match(read(), /line one/, "after the end too");
	stage0.remove(pod);
	t.notOk(fs.existsSync(journal));
	t.equal(readMounts().length, before);
	t.strictSame(fs.readdirSync("/run/netns"), []);
});

t.test("a start that fails leaves nothing", async (t) => {
	const pod = stage0.prepare([shell("", { exec: ["/no/such"] })]);
	const result = await stage0.run(pod);
	t.equal(result.status, 254);
	t.notOk(fs.existsSync(`/var/log/journal/${pod.uuid.replaceAll("-", "")}`));
	t.strictSame(fs.readdirSync("/run/netns"), []);
	t.strictSame(
		readMounts().filter(({ target }) => target.startsWith(directory)),
		[],
	);
	stage0.remove(pod);
});

t.test("an app that prints and ends at once loses nothing, many times and at the same time", async (t) => {
	const rounds = Array.from({ length: 8 }, (_, round) => round);
	for (const round of rounds) {
		const pods = [0, 1].map((which) => stage0.prepare([shell(`echo ${round}-${which}; echo last`)]));
		const results = await Promise.all(pods.map((pod) => stage0.run(pod)));
		results.forEach((result, which) => {
			t.strictSame(appLines(result.stdout), [`${round}-${which}`, "last"], { stderr: result.stderr });
		});
		for (const pod of pods) stage0.remove(pod);
	}
});

t.test("a flood of lines arrives whole", async (t) => {
	const pod = stage0.prepare([shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")]);
	t.teardown(() => stage0.remove(pod));
	const result = await stage0.run(pod);
	const lines = appLines(result.stdout);
	t.equal(lines.length, 20_000, { stderr: result.stderr });
	t.equal(lines.at(-1), "line 19999");
});

t.test("limits of an app reach the kernel", async (t) => {
	const isolators = [
		{ name: "resource/memory", value: { limit: "32Mi" } },
		{ name: "resource/cpu", value: { limit: "250m" } },
		{ name: "os/linux/cpu-shares", value: 300 },
		{ name: "resource/pids", value: { limit: "20" } },
	];
	const running = await startPod([shell("exec sleep 100", { isolators })]);
	const { pod } = running;
	t.teardown(() => stage0.remove(pod));
	const read = (controller: string, file: string): string | undefined => {
		const cgroup = cgroupsOf(pod).find((one) => one.includes(`/${controller}/`));
		if (cgroup === undefined) return undefined;
		const found = spawnSync("find", [cgroup, "-path", `*/system.slice/app.service/${file}`], {
			encoding: "utf8",
		});
		return fs.readFileSync(found.stdout.trim(), "utf8").trim();
	};
	const expected: readonly (readonly [string, string, string | RegExp])[] = [
		["memory", "memory.limit_in_bytes", String(32 * 1024 * 1024)],
		["cpu", "cpu.cfs_quota_us", "25000"],
		["cpu", "cpu.shares", "300"],
		["pids", "pids.max", "20"],
		["devices", "devices.list", /^(?!.*\ba \*:\*)(?=[\s\S]*c 1:3 rwm)(?![\s\S]*\bb )/],
	];
	for (const [controller, file, value] of expected) {
		const seen = read(controller, file);
		if (seen === undefined) t.pass(`${controller} is not a hierarchy of its own here`);
		else if (typeof value === "string") t.equal(seen, value, file);
		else t.match(seen, value, file);
	}
	running.child.kill("SIGTERM");
	await running.ended;
});
