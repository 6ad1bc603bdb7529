import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { compileProgram } from "../../stage1-kvm/image/programs.ts";
import { createBusyboxHost, firstUuid } from "../support/busybox-host.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-memory-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
compileProgram("memory-watch", directory, process.cwd());

const MIB = 1024 * 1024;

/** What the kernel's counters have after some ticks of half a second, and how they would be in an app that thrashes. */
interface Counters {
	readonly hits: number;
	readonly faults: number;
	readonly refaulted: number;
	readonly files: number;
	readonly stalledMs: number | undefined;
}

const thrashing = (tick: number): Counters => ({
	hits: tick * 100,
	faults: tick * 60,
	refaulted: tick * 2000,
	files: 0.1 * MIB,
	stalledMs: undefined,
});

/** Runs memory-watch for an app of two processes, the larger second, with counters of our own for five seconds or until one is killed. */
async function watch(name: string, counters: (tick: number) => Counters): Promise<string[]> {
	const place = path.join(directory, name);
	const group = path.join(place, "cgroup/system.slice/app.service");
	fs.mkdirSync(group, { recursive: true });
	fs.mkdirSync(path.join(place, "run"));
	const victims = [spawn("sleep", ["100"]), spawn("sleep", ["100"])] as const;
	await Promise.all(victims.map((one) => new Promise((resolve) => one.once("spawn", resolve))));
	fs.writeFileSync(`/proc/${victims[1].pid}/oom_score_adj`, "500");
	const files = new Map<string, number>();
	// In place and all at once: the watcher keeps them open, and an empty one would be the end of the app.
	const write = (file: string, text: string): void => {
		const fd = files.get(file) ?? fs.openSync(path.join(group, file), "w");
		files.set(file, fd);
		fs.writeSync(fd, text.padEnd(200, "\n"), 0);
	};
	write("cgroup.procs", victims.map(({ pid }) => `${pid}\n`).join(""));
	write("memory.max", `${20 * MIB}\n`);
	const killed: string[] = [];
	for (const [index, name] of ["small", "large"].entries())
		victims[index]?.once("exit", () => killed.push(name));
	const start = Date.now();
	const update = (): void => {
		if (killed.length > 0) return;
		const now = counters((Date.now() - start) / 500);
		const number = (value: number): string => value.toFixed(0);
		write("memory.events", `low 0\nhigh 0\nmax ${number(now.hits)}\noom 0\noom_kill 0\n`);
		const stat = {
			anon: 19 * MIB,
			file: now.files,
			pgmajfault: now.faults,
			workingset_refault_file: now.refaulted,
		};
		write(
			"memory.stat",
			Object.entries(stat)
				.map(([key, value]) => `${key} ${number(value)}\n`)
				.join(""),
		);
		if (now.stalledMs === undefined) return;
		write(
			"memory.pressure",
			`some avg10=0.00 total=9\nfull avg10=0.00 total=${number(now.stalledMs * 1000)}\n`,
		);
	};
	update();
	const timer = setInterval(update, 50);
	const script = `mount --bind ${place}/cgroup /sys/fs/cgroup && mount --bind ${place}/run /run && exec ${directory}/memory-watch app`;
	const watcher = spawn("unshare", ["--mount", "sh", "-c", script], { stdio: "inherit" });
	await new Promise((resolve) => setTimeout(resolve, 5000));
	clearInterval(timer);
	const marks = fs.existsSync(path.join(place, "run/rkt-memory")) ? ["mark"] : [];
	const found = [...killed, ...marks];
	for (const one of [...victims, watcher]) one.kill("SIGKILL");
	for (const fd of files.values()) fs.closeSync(fd);
	return found;
}

t.test(
	"only an app that does nothing but lose and read its pages is killed, and its largest process first",
	async (t) => {
		const cases: Record<string, { counters: (tick: number) => Counters; killed: string[] }> = {
			thrashing: { counters: thrashing, killed: ["large", "mark"] },
			"counted as stalled": {
				counters: (tick) => ({ ...thrashing(tick), stalledMs: tick * 480 }),
				killed: ["large", "mark"],
			},
			"not stalled": { counters: (tick) => ({ ...thrashing(tick), stalledMs: tick * 250 }), killed: [] },
			"in bursts of two seconds": {
				counters: (tick) => thrashing(Math.floor(tick / 7) * 4 + Math.min(tick % 7, 4)),
				killed: [],
			},
			"reading large files": { counters: (tick) => ({ ...thrashing(tick), faults: tick * 5 }), killed: [] },
			"with room for files": { counters: (tick) => ({ ...thrashing(tick), files: 4 * MIB }), killed: [] },
			"below its limit": { counters: (tick) => ({ ...thrashing(tick), hits: 7 }), killed: [] },
		};
		await Promise.all(
			Object.entries(cases).map(async ([name, { counters, killed }]) =>
				t.strictSame(await watch(name.replaceAll(" ", "-"), counters), killed, name),
			),
		);
	},
);

t.test("kvm-uml: an app over its limit ends soon, and its status says why", async (t: Test) => {
	const host = await createBusyboxHost("memory");
	t.teardown(() => host.remove());
	const script = "exec tail -c 60000000 /dev/zero";
	const run = host.shell(
		script,
		{ pod: ["--stage1-image=kvm-uml"], app: ["--memory=20M"] },
		{ timeoutMs: 60_000 },
	);
	const uuid = async (): Promise<string> =>
		firstUuid((await host.rkt(["list", "--full", "--no-legend"])).stdout);
	await waitFor("the pod", async () => (await host.rkt(["list", "--no-legend"])).stdout.includes("running"));
	const start = Date.now();
	t.equal((await run).status, 9);
	t.ok(Date.now() - start < 20_000, `${Date.now() - start} ms`);
	t.match((await host.rkt(["status", await uuid()])).stdout, /^app-busybox=9\noom-killed=busybox\n/m);
});
