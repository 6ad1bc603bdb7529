import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { readExitStatuses, readRecordedProcess } from "../../stage1/pod-record.ts";
import { machineUser } from "../../stage1-kvm/hypervisors/hypervisor.ts";
import { makeFixtures } from "../stage1/conformance/run-case.ts";
import { checkEnterSignals, checkStubbornApp } from "../stage1/conformance/signals.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { createMiniStage0, type MiniApp, type MiniPod } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-kvm-life-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
const fixtures = makeFixtures(directory);
const { busybox } = fixtures;
const SCRIPT = "trap 'echo told; exit 4' TERM; echo started; while :; do sleep 0.1; done";
const WAITING: MiniApp = { name: "app", rootfs: busybox, app: { exec: ["/bin/sh", "-c", SCRIPT] } };

for (const flavor of ["kvm-uml", "kvm"] as const) {
	const place = path.join(directory, flavor);
	fs.mkdirSync(place);
	const stage0 = createMiniStage0(place, path.join(distDirectory(), `stage1-${flavor}.aci`));

	t.test(`${flavor}: commands run in the app while it runs, and stop ends it in order`, async (t) => {
		const pod = stage0.prepare([WAITING]);
		const ended = stage0.run(pod);
		await stage0.containerPid(pod);
		const shown = stage0.enter(pod, "app", ["/bin/sh", "-c", "id -u; grep CapEff /proc/self/status; exit 5"]);
		t.equal(shown.status, 5);
		t.match(shown.stdout, /^0\nCapEff:\t00000000a80425fb\n/);
		const monitor = readRecordedProcess(pod.directory)?.pid as number;
		const processes = processesBelow(monitor);
		for (const [program, expected] of Object.entries(expectedRights(pod.uuid)[flavor]))
			t.match(processes.find(({ exe }) => exe.endsWith(program))?.rights, expected, program);
		const bytes = Buffer.alloc(60_000, "every byte arrives \0\xff\x03\x11\x13\r\n", "latin1");
		const copied = enterWithInput(stage0.stage1, pod, bytes);
		t.ok(copied.stdout.equals(bytes), "bytes arrive in both directions");
		t.match(stage0.enter(pod, "nobody", ["/bin/sh"]), { status: 254 }, "an app that is not there");
		t.equal(stage0.call(pod, "stop").status, 0);
		const result = await ended;
		t.equal(result.status, 4, "the status of the app is that of the pod", result);
		t.match(result.stdout, /started\n(.*\n)*.*told/);
		t.strictSame(readExitStatuses(pod.directory, ["app"]), new Map([["app", 4]]));
		stage0.remove(pod);
	});

	t.test(`${flavor}: a monitor that is killed takes its machine along`, async (t) => {
		const pod = stage0.prepare([WAITING]);
		const ended = stage0.run(pod);
		await stage0.containerPid(pod);
		const monitor = readRecordedProcess(pod.directory)?.pid as number;
		process.kill(monitor, "SIGKILL");
		t.equal((await ended).status, null);
		stage0.remove(pod);
		t.strictSame(processesOf(pod), [], "gc leaves no process");
	});

	t.test(`${flavor}: signals reach a command`, (t) => checkEnterSignals(t, stage0, fixtures));

	t.test(`${flavor}: an app that ignores SIGTERM`, (t) => checkStubbornApp(t, stage0, fixtures));

	t.test(`${flavor}: stop with force`, async (t) => {
		const pod = stage0.prepare([WAITING]);
		const ended = stage0.run(pod);
		await stage0.containerPid(pod);
		t.equal(stage0.call(pod, "stop", ["--force"]).status, 0);
		await ended;
		t.strictSame(processesOf(pod), []);
		stage0.remove(pod);
	});
}

/** What docs/security.md says of the programs on the host that a guest speaks to. */
function expectedRights(uuid: string) {
	const caps = (set: string, bounding = set) => ({ CapPrm: set, CapEff: set, CapBnd: bounding });
	const none = "0".repeat(16);
	const confined = { CapInh: none, NoNewPrivs: "1" };
	return {
		"kvm-uml": { "/rkt/vm/linux": { Uid: "0", ...confined, ...caps("000000000800001f") } },
		kvm: {
			"/qemu-system-x86_64": { Uid: `${machineUser(uuid)}`, Seccomp: "2", ...confined, ...caps(none) },
			"/virtiofsd": { Uid: "0", Seccomp: "2", ...confined, ...caps("00000000880000db", none) },
		},
	};
}

/** Every process below another: its program, and of its /proc/PID/status the first word of each line. */
function processesBelow(pid: number): { exe: string; rights: Record<string, string> }[] {
	const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
	return children.flatMap((child) => {
		const lines = fs.readFileSync(`/proc/${child}/status`, "utf8").split("\n");
		const rights = Object.fromEntries(lines.map((line) => line.split(/:?\s+/, 2)));
		return [...processesBelow(Number(child)), { exe: fs.readlinkSync(`/proc/${child}/exe`), rights }];
	});
}

t.test("a machine that ends without a status is no success", async (t) => {
	const place = path.join(directory, "broken");
	fs.mkdirSync(place);
	const stage0 = createMiniStage0(place, path.join(distDirectory(), "stage1-kvm-uml.aci"));
	fs.rmSync(path.join(stage0.stage1, "usr/lib/systemd/systemd"));
	const pod = stage0.prepare([WAITING]);
	const result = await stage0.run(pod);
	t.equal(result.status, 254, "the monitor says so", result);
	t.match(result.stderr, /ended before the pod had a status/);
	t.match(result.stdout, /systemd: No such file or directory/);
	stage0.remove(pod);
});

function enterWithInput(stage1: string, pod: MiniPod, input: Buffer): { stdout: Buffer } {
	const pid = readRecordedProcess(pod.directory)?.pid;
	const argv = [path.join(stage1, "rkt/enter"), `--pid=${pid}`, "--appname=app", "--", "/bin/cat"];
	return spawnSync("node", argv, { cwd: pod.directory, input, timeout: 60_000 });
}

/** Processes whose command line names the pod. */
function processesOf(pod: MiniPod): string[] {
	return fs
		.readdirSync("/proc")
		.filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
		.flatMap((name) => {
			try {
				const words = fs.readFileSync(`/proc/${name}/cmdline`, "latin1");
				return words.includes(pod.uuid) ? [words.replaceAll("\0", " ")] : [];
			} catch {
				return [];
			}
		});
}
