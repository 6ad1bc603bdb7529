/**
 * Measures pods on a machine that systemd runs; `bench.ts` starts it on a systemd host of its own. Prints Markdown.
 *
 * usage: node dist/scripts/bench-systemd.cjs [--runs N]
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { distDirectory } from "../test/support/dist-directory.ts";
import { busyboxFiles, imageManifest, makeAci } from "../test/support/make-aci.ts";
import { waitFor } from "../test/support/wait-for.ts";
import { type Contestant, call, isInstalled, rktContestant } from "./bench/contestants.ts";
import { type Memory, memoryOfTree, withIdlePodman } from "./bench/idle-memory.ts";
import { benchEnvironment, type Case, measure, median } from "./bench/measure.ts";
import { bootMinimalRoot, completeMinimalRoot } from "./bench/minimal-root.ts";
import { markdownTable, type Row, timesTable } from "./bench/report.ts";

const DIRECTORY = "/var/tmp/bench";
const IMAGE = "example.com/busybox";
const AS_UNIT = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--slice=machine.slice"];
const UNIT_SETTINGS = ["--property=Delegate=yes", "--property=KillMode=mixed"];
const AT_ONCE = 20;
const IDLE = 5;

async function main(): Promise<void> {
	const { values } = parseArgs({ options: { runs: { type: "string", default: "15" } } });
	const runs = Number(values.runs);
	fs.mkdirSync(DIRECTORY, { recursive: true });
	const rkt = rktContestant("rkt", path.join(distDirectory(), "rkt"), DIRECTORY);
	const image = path.join(DIRECTORY, "busybox.aci");
	await makeAci(image, { manifest: imageManifest(IMAGE), files: busyboxFiles() });
	call(rkt, "--insecure-options=image", "fetch", image);
	call(rkt, "run", "--net=none", IMAGE);
	console.log(`#### Start of a pod that prints one line\n\n${await starts(rkt, runs)}\n`);
	console.log(`#### ${AT_ONCE} pods at the same time\n\n${await manyAtOnce(rkt)}\n`);
	console.log(`#### Stop of an idle pod\n\n${await stops(rkt, runs)}\n`);
	console.log(`#### Memory of an idle container, KiB (proportional set size)\n\n${await memory(rkt)}`);
}

async function starts(rkt: Contestant, runs: number): Promise<string> {
	const root = path.join(DIRECTORY, "minimal");
	call(rkt, "image", "render", "--rootfs-only", "coreos.com/rkt/stage1-nspawn", root);
	completeMinimalRoot(root);
	const say = [...rkt.command, "run", "--net=none", IMAGE, "--exec=/bin/echo", "--", "hello"];
	const after = (): void => void call(rkt, "gc", "--grace-period=0s");
	const cases: Case[] = [
		{ name: "systemd-run echo", command: [...AS_UNIT, "echo", "hello"] },
		{ name: "systemd-nspawn --boot, registered", command: bootMinimalRoot(root, ["--register=yes"]) },
		{ name: "rkt run, registered", command: say, after },
		{
			name: "systemd-nspawn --boot, as a unit",
			command: [...AS_UNIT, ...UNIT_SETTINGS, ...bootMinimalRoot(root, ["--keep-unit"])],
		},
		{ name: "rkt run, as a unit", command: [...AS_UNIT, ...UNIT_SETTINGS, ...say], after },
	];
	return timesTable(await measure(cases, runs));
}

async function manyAtOnce(rkt: Contestant): Promise<string> {
	const rows: Row[] = [];
	for (const net of ["none", "default"]) {
		const began = performance.now();
		const say = ["run", `--net=${net}`, IMAGE, "--exec=/bin/echo", "--", "hello"];
		const pods = Array.from({ length: AT_ONCE }, () => start(rkt, say));
		const ends = await Promise.all(pods.map(({ end }) => end));
		const failed = pods.filter(({ output }, index) => ends[index] !== 0 || !output().includes("hello"));
		const total = performance.now() - began;
		rows.push([`rkt run --net=${net}`, total.toFixed(0), (total / AT_ONCE).toFixed(0), `${failed.length}`]);
		call(rkt, "gc", "--grace-period=0s");
	}
	return markdownTable(["command", "all ended, ms", "for each, ms", "failed"], rows);
}

async function stops(rkt: Contestant, runs: number): Promise<string> {
	const ways: Record<string, (pod: IdlePod) => void> = {
		"SIGTERM to the supervisor": ({ child }) => void child.kill("SIGTERM"),
		"rkt stop": ({ uuid }) => void start(rkt, ["stop", uuid]),
		"machinectl poweroff": ({ uuid }) => void spawn("machinectl", ["poweroff", `rkt-${uuid}`]),
	};
	const times = new Map(Object.keys(ways).map((name) => [name, [] as number[]]));
	for (let round = 0; round <= runs; round += 1) {
		for (const [name, stop] of Object.entries(ways)) {
			const pod = await startIdle(rkt);
			const began = performance.now();
			stop(pod);
			await pod.end;
			if (round > 0) times.get(name)?.push(performance.now() - began);
		}
		call(rkt, "gc", "--grace-period=0s");
	}
	return markdownTable(
		["until the supervisor has ended", "ms"],
		[...times].map(([name, values]) => [name, median(values).toFixed(1)]),
	);
}

async function memory(rkt: Contestant): Promise<string> {
	const rows: Row[] = [];
	const pods: IdlePod[] = [];
	for (let index = 0; index < IDLE; index += 1) pods.push(await startIdle(rkt));
	rows.push(
		memoryRow(
			`rkt, ${IDLE} pods`,
			pods.map(({ child }) => memoryOfTree(child.pid as number)),
		),
	);
	for (const { child } of pods) child.kill("SIGTERM");
	await Promise.all(pods.map(({ end }) => end));
	call(rkt, "gc", "--grace-period=0s");
	if (isInstalled("podman") && isInstalled("runc")) {
		const place = { directory: DIRECTORY, rootfs: path.join(DIRECTORY, "idle") };
		call(rkt, "image", "render", "--rootfs-only", IMAGE, place.rootfs);
		const measured = withIdlePodman(place, IDLE, (watchers) => watchers.map(memoryOfTree));
		rows.push(memoryRow(`podman, ${IDLE} containers`, measured));
	}
	return markdownTable(["what", "each", "of these"], rows);
}

function memoryRow(name: string, all: readonly Memory[]): Row {
	const names = [...new Set(all.flatMap((one) => [...one.keys()]))];
	const parts = names.map((part) => [part, median(all.map((one) => one.get(part) ?? 0))] as const);
	const total = parts.reduce((sum, [, kilobytes]) => sum + kilobytes, 0);
	const details = parts.map(([part, kilobytes]) => `${part} ${kilobytes.toFixed(0)}`).join(", ");
	return [name, total.toFixed(0), details];
}

interface IdlePod {
	readonly uuid: string;
	/** Becomes the supervisor. */
	readonly child: ChildProcess;
	readonly end: Promise<number>;
}

let started = 0;

async function startIdle(rkt: Contestant): Promise<IdlePod> {
	started += 1;
	const file = path.join(DIRECTORY, `uuid-${started}`);
	const { child, end } = start(rkt, [
		...["run", "--net=none", `--uuid-file-save=${file}`, IMAGE],
		...["--exec=/bin/sleep", "--", "1000"],
	]);
	await waitFor("the UUID", () => fs.existsSync(file) && fs.readFileSync(file, "utf8").length >= 36);
	const uuid = fs.readFileSync(file, "utf8").trim();
	call(rkt, "status", "--wait-ready=20s", uuid);
	return { uuid, child, end };
}

function start(
	rkt: Contestant,
	args: readonly string[],
): { child: ChildProcess; end: Promise<number>; output: () => string } {
	const [program = "", ...first] = rkt.command;
	const child = spawn(program, [...first, ...args], {
		stdio: ["ignore", "pipe", "ignore"],
		env: benchEnvironment(),
	});
	let text = "";
	child.stdout.on("data", (chunk) => {
		text += chunk;
	});
	const end = new Promise<number>((resolve) => child.on("close", (status) => resolve(status ?? -1)));
	return { child, end, output: () => text };
}

main().catch((error) => {
	console.error(`bench-systemd: ${error instanceof Error ? error.message : error}`);
	process.exitCode = 1;
});
