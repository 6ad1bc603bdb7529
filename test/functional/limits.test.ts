import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { type BusyboxHost, createBusyboxHost, outputLines } from "../support/busybox-host.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

const hasController = (name: string): boolean => fs.existsSync(`/sys/fs/cgroup/${name}/cgroup.procs`);
const skip = !hasController("memory") && "this machine has no version 1 controllers";

t.test("limits of an app", { skip }, async (t) => {
	const host = await createBusyboxHost("limits");
	t.teardown(() => host.remove());
	await host.addImage("example.com/few-tasks", {
		app: { isolators: [{ name: "resource/pids", value: { request: "6", limit: "6" } }] },
	});
	const isolators = [{ name: "resource/block-bandwidth", value: { default: true, limit: "2Mi" } }];
	await host.addImage("example.com/slow-disk", { app: { isolators } });
	for (const pod of [[], ["--private-users"]]) {
		t.test(pod.join() || "without user namespaces", async (t) => {
			await memory(t, host, pod);
			await cpu(t, host, pod);
			await others(t, host, pod);
			await disk(t, host, pod);
		});
	}
});

/** Reads a block of this size, for which dd needs as much memory. */
const HOG = "dd if=/dev/zero of=/dev/null count=1 bs=60M";

async function memory(t: Test, host: BusyboxHost, pod: readonly string[]): Promise<void> {
	const uuidFile = path.join(host.directory, "uuid");
	const status = async (): Promise<{ text: string; app: Record<string, unknown> }> => {
		const uuid = `--uuid-file=${uuidFile}`;
		const { apps } = JSON.parse((await host.rkt(["status", "--format=json", uuid])).stdout);
		return { text: (await host.rkt(["status", uuid])).stdout, app: apps[0] };
	};
	const flags = { pod: [...pod, `--uuid-file-save=${uuidFile}`], app: ["--memory=20M"] };

	const killed = await host.shell(`exec ${HOG}`, flags);
	t.equal(killed.status, 9, { stderr: killed.stderr });
	const own = await status();
	t.match(own.text, /^app-busybox=9\noom-killed=busybox\n/m);
	t.match(own.app, { exit_code: 9, exit_reason: "oom-kill" });

	t.equal((await host.shell(`${HOG}; exit $?`, flags)).status, 137, "a process of the app");
	t.match((await status()).text, /^app-busybox=137\noom-killed=busybox\n/m);

	t.equal((await host.shell("kill -9 $$", flags)).status, 9);
	const other = await status();
	t.notMatch(other.text, /oom/, "another death is not one for memory");
	t.notOk("exit_reason" in other.app);

	const enough = await host.shell(`${HOG} && echo enough`, { pod, app: ["--memory=100M"] });
	t.equal(enough.status, 0, enough.stdout);
}

/** Busy for four seconds; then the ticks that the process used, of a hundred a second. */
const SPIN = [
	"IFS='. ' read s b </proc/uptime; while IFS='. ' read a b </proc/uptime; [ $((a-s)) -lt 4 ]; do :; done",
	"read -r line </proc/$$/stat; set -- $line; shift 13; echo ticks $1 $2",
].join("; ");

async function cpu(t: Test, host: BusyboxHost, pod: readonly string[]): Promise<void> {
	const result = await host.shell(SPIN, { pod, app: ["--cpu=200m"] });
	const [, user, system] = outputLines(result).join().split(" ").map(Number);
	const share = ((user ?? Number.NaN) + (system ?? Number.NaN)) / 400;
	t.ok(share > 0.05 && share < 0.27, `a fifth of a processor: ${share}`, { stdout: result.stdout });
}

async function others(t: Test, host: BusyboxHost, pod: readonly string[]): Promise<void> {
	const forks = "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait";
	const few = await host.rkt([
		"run",
		"--net=none",
		...pod,
		"example.com/few-tasks",
		"--exec=/bin/sh",
		"--",
		"-c",
		forks,
	]);
	t.match(few.stdout, /can't fork: Resource temporarily unavailable/);
	const fewer = await host.shell(forks, { pod, app: ["--pids=5"] });
	t.match(fewer.stdout, /can't fork: Resource temporarily unavailable/);

	const script = [
		"echo score $(cat /proc/self/oom_score_adj)",
		"for spec in 'mem c 1 1' 'loop b 7 0'; do set -- $spec; mknod /tmp/$1 $2 $3 $4 && dd if=/tmp/$1 of=/dev/null count=1 && echo OPENED $1; done",
		"echo up; sleep 2",
	].join("; ");
	const marked = [...pod, `--uuid-file-save=${path.join(host.directory, "shares")}`];
	fs.rmSync(path.join(host.directory, "shares"), { force: true });
	const running = host.shell(script, { pod: marked, app: ["--cpu-shares=333", "--oom-score-adj=321"] });
	await waitFor("the shares", () => sharesOf(path.join(host.directory, "shares")) === "333");
	const result = await running;
	t.match(result.stdout, /score 321/);
	t.match(result.stdout, /Operation not permitted/);
	t.notMatch(result.stdout, /OPENED/, "devices that the app does not have");
}

/** Twice as much as may be written in a second, past the page cache, whose writes version 1 counts for nobody. */
const WRITE = "dd if=/dev/zero of=/new bs=1M count=4 oflag=direct";

async function disk(t: Test, host: BusyboxHost, pod: readonly string[]): Promise<void> {
	const script = [
		`IFS='. ' read s b r </proc/uptime; ${WRITE}`,
		"IFS='. ' read e c r </proc/uptime; echo took $(((e - s) * 100 + 1$c - 1$b)) end",
	].join("; ");
	const command = ["--exec=/bin/sh", "--", "-c", script];
	const { stdout } = await host.rkt(["run", "--net=none", ...pod, "example.com/slow-disk", ...command]);
	const hundredths = Number(/took (\d+) end/.exec(stdout)?.[1]);
	t.ok(hundredths > 120 && hundredths < 1000, `about two seconds: ${hundredths}`, { stdout });
}

/** What the kernel knows about the cgroup of the pod's app. */
function sharesOf(uuidFile: string): string {
	if (!fs.existsSync(uuidFile)) return "";
	const scope = `machine-rkt\\x2d${fs.readFileSync(uuidFile, "utf8").replaceAll("-", "\\x2d")}.scope`;
	const own = fs.readFileSync("/proc/self/cgroup", "utf8").match(/:cpu:(.*)/)?.[1] ?? "/";
	const base = path.join("/sys/fs/cgroup/cpu", own, scope);
	const names = fs.existsSync(base) ? fs.readdirSync(base, { recursive: true, encoding: "utf8" }) : [];
	const file = names.find((name) => name.endsWith("busybox.service/cpu.shares"));
	return file === undefined ? "" : fs.readFileSync(path.join(base, file), "utf8").trim();
}
