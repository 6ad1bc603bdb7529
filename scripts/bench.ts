/**
 * Measures rkt beside an empty Node, other container programs that are installed and, if given, another rkt.
 * Prints Markdown; with --update FILE the text between the marks in that file is replaced by it.
 *
 * usage: node dist/scripts/bench.cjs [--runs N] [--peer PATH] [--only WORDS] [--update FILE]
 *
 * With --only, the sections that have these words in their titles.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { distDirectory } from "../test/support/dist-directory.ts";
import { busyboxFiles, imageManifest, makeAci } from "../test/support/make-aci.ts";
import { enterPrivateHost } from "../test/support/private-host.ts";
import { type Contestant, call, otherRuntimes, rktCase, rktContestant } from "./bench/contestants.ts";
import { IMAGE_FILES } from "./bench/layered-image.ts";
import { describeMachine } from "./bench/machine.ts";
import { measureMachines } from "./bench/machines.ts";
import { type Case, measure } from "./bench/measure.ts";
import { bootMinimalRoot, completeMinimalRoot } from "./bench/minimal-root.ts";
import { fetchOciImages } from "./bench/oci-images.ts";
import { throughputTable, timesTable } from "./bench/report.ts";

const IMAGE = "example.com/busybox";
const FETCH_SIZE = 300_000_000;

interface Bench {
	readonly directory: string;
	readonly runs: number;
	readonly contestants: readonly Contestant[];
}

async function main(): Promise<void> {
	const { values } = parseArgs({
		options: {
			runs: { type: "string", default: "15" },
			peer: { type: "string" },
			only: { type: "string", default: "" },
			update: { type: "string" },
		},
	});
	const directory = fs.mkdtempSync("/var/tmp/rkt-bench-");
	try {
		const contestants = [rktContestant("rkt", path.join(distDirectory(), "rkt"), directory)];
		if (values.peer !== undefined)
			contestants.push(rktContestant("peer", path.resolve(values.peer), directory));
		const text = await runAll({ directory, runs: Number(values.runs), contestants }, values.only);
		console.log(text);
		if (values.update !== undefined) updateFile(values.update, text);
	} finally {
		fs.rmSync(directory, { recursive: true, force: true });
	}
}

async function runAll(bench: Bench, only: string): Promise<string> {
	const machine = await describeMachine();
	const image = path.join(bench.directory, "busybox.aci");
	await makeAci(image, { manifest: imageManifest(IMAGE), files: busyboxFiles() });
	const fetchBusybox = (): void => {
		for (const one of bench.contestants) call(one, "--insecure-options=image", "fetch", image);
	};
	fetchBusybox();
	const rootfs = path.join(bench.directory, "rootfs");
	call(bench.contestants[0] as Contestant, "image", "render", "--rootfs-only", IMAGE, rootfs);
	const sections: readonly (readonly [title: string, run: () => string | Promise<string>])[] = [
		["Light commands", () => lightCommands(bench)],
		["A pod that prints one line", () => startPods(bench, rootfs)],
		["What the default sandbox costs", () => sandbox(bench)],
		["Preparing and collecting a pod", () => prepareAndCollect(bench)],
		["Fetching a compressed image of 300 MB from a file", () => fetchImage(bench)],
		[`Fetching an OCI image of 300 MB, ${IMAGE_FILES} files and ten layers`, () => fetchOci(bench)],
		["Light commands with 200 prepared pods", () => withManyPods(bench)],
		["The same pod on every engine", () => onEngines(bench)],
		["On a machine that systemd runs", () => onSystemdHost(bench.runs)],
	];
	const texts = [`Machine: ${machine}. Median of ${bench.runs} interleaved runs.`];
	for (const [title, run] of sections.filter(([title]) => title.includes(only))) {
		// The one before may have had every image removed.
		fetchBusybox();
		texts.push(`### ${title}\n\n${await run()}`);
	}
	return texts.join("\n\n");
}

function fetchOci({ directory, contestants, runs }: Bench): Promise<string> {
	return fetchOciImages({ directory, contestants, rounds: Math.ceil(runs / 3) });
}

async function lightCommands(bench: Bench): Promise<string> {
	const empty = path.join(bench.directory, "empty.js");
	fs.writeFileSync(empty, "");
	const cases: Case[] = [{ name: "node empty.js", command: [process.execPath, empty] }];
	for (const one of bench.contestants)
		cases.push(rktCase(one, "version"), rktCase(one, "list"), rktCase(one, "image", "list"));
	return timesTable(await measure(cases, bench.runs));
}

async function startPods(bench: Bench, rootfs: string): Promise<string> {
	const say = [IMAGE, "--exec=/bin/echo", "--", "hello"];
	const collect = (one: Contestant) => () => void call(one, "gc", "--grace-period=0s");
	const ways = [["--net=none"], ["--net=none", "--private-users"], ["--net=host"], ["--net=default"]];
	const cases = ways.flatMap((flags) =>
		bench.contestants.map((one) => ({
			name: `${one.name} run ${flags.join(" ")}`,
			command: [...one.command, "run", ...flags, ...say],
			after: collect(one),
		})),
	);
	const rkt = bench.contestants[0] as Contestant;
	const others = [bootPlain(rkt, bench.directory), ...otherRuntimes(bench.directory, rootfs)];
	return timesTable(await measure([...cases, untilExec(rkt), ...others], bench.runs));
}

/** The same pod without parts of the sandbox. What all processes of a pod are refused stays in each. */
async function sandbox({ contestants, runs, directory }: Bench): Promise<string> {
	const say = [IMAGE, "--exec=/bin/echo", "--", "hello"];
	const cases = ["", "capabilities", "paths", "seccomp", "all-run"].flatMap((word) =>
		contestants.map((one) => {
			const insecure = word === "" ? [] : [`--insecure-options=${word}`];
			return {
				name: [one.name, ...insecure, "run", "--net=none"].join(" "),
				command: [...one.command, ...insecure, "run", "--net=none", ...say],
				after: () => void call(one, "gc", "--grace-period=0s"),
			};
		}),
	);
	return timesTable(await measure([...cases, ...filtersOfNspawn(directory)], runs));
}

/** What nspawn's own filters cost, which rkt has it leave out: PID 1 of a pod installs one that is ready-made. */
function filtersOfNspawn(directory: string): Case[] {
	const root = path.join(directory, "rootfs");
	fs.mkdirSync(path.join(root, "usr"), { recursive: true });
	const nspawn = [
		"systemd-nspawn",
		"--quiet",
		"--register=no",
		"--keep-unit",
		"--pipe",
		`--directory=${root}`,
	];
	return [
		{ name: "systemd-nspawn", command: [...nspawn, "/bin/echo", "hello"] },
		{
			name: "systemd-nspawn without its filters",
			command: ["env", "SYSTEMD_SECCOMP=0", ...nspawn, "/bin/echo", "hello"],
		},
	];
}

/** The root of stage1, booted without anything of rkt. */
function bootPlain(rkt: Contestant, directory: string): Case {
	const root = path.join(directory, "minimal");
	// The image comes into the store with the first pod.
	call(rkt, "run", "--net=none", IMAGE, "--exec=/bin/true");
	call(rkt, "image", "render", "--rootfs-only", "coreos.com/rkt/stage1-nspawn", root);
	completeMinimalRoot(root);
	return { name: "systemd-nspawn --boot", command: bootMinimalRoot(root, ["--register=no", "--keep-unit"]) };
}

/** What stage0 and stage1 cost: /bin/true stands in for systemd-nspawn, in this mount namespace only. */
function untilExec(rkt: Contestant): Case {
	const nspawn = "/usr/bin/systemd-nspawn";
	return {
		name: "rkt run --net=none, until systemd-nspawn is exec'ed",
		command: [...rkt.command, "run", "--net=none", IMAGE],
		before: () => void execFileSync("mount", ["--bind", "/bin/true", nspawn]),
		after: () => {
			execFileSync("umount", [nspawn]);
			call(rkt, "gc", "--grace-period=0s");
		},
	};
}

async function prepareAndCollect(bench: Bench): Promise<string> {
	const runOne = (one: Contestant) => () => {
		call(one, "run", "--net=none", IMAGE, "--exec=/bin/true");
		call(one, "gc", "--mark-only");
	};
	const drop = (one: Contestant) => () => void call(one, "gc", "--grace-period=0s", "--expire-prepared=0s");
	const cases = bench.contestants.flatMap((one): Case[] => [
		{ ...rktCase(one, "prepare", IMAGE), after: drop(one) },
		{ ...rktCase(one, "gc", "--grace-period=0s"), before: runOne(one) },
	]);
	return timesTable(await measure(cases, bench.runs));
}

async function fetchImage(bench: Bench): Promise<string> {
	const file = path.join(bench.directory, "large.aci");
	await makeLargeImage(bench.directory, file);
	const removeImage = (one: Contestant) => () => {
		call(one, "image", "rm", "example.com/large");
		call(one, "image", "gc", "--grace-period=24h");
	};
	const pipe = (name: string, command: string): Case => ({ name, command: ["sh", "-c", command] });
	const cases: Case[] = [
		pipe("gzip -dc", `gzip -dc ${file} >/dev/null`),
		pipe("gzip -dc, then sha512sum", `gzip -dc ${file} | sha512sum >/dev/null`),
		...bench.contestants.map((one) => ({
			...rktCase(one, "--insecure-options=image", "fetch", file),
			name: `${one.name} fetch`,
			after: removeImage(one),
		})),
	];
	const table = throughputTable(await measure(cases, bench.runs), FETCH_SIZE);
	fs.rmSync(file);
	return table;
}

/** Random bytes with every second half repeated: about as compressible as programs are. */
async function makeLargeImage(directory: string, file: string): Promise<void> {
	const content = path.join(directory, "content");
	const fd = fs.openSync(content, "w");
	for (let written = 0; written < FETCH_SIZE; written += 100_000) {
		const block = randomBytes(50_000);
		fs.writeSync(fd, block);
		fs.writeSync(fd, block);
	}
	fs.closeSync(fd);
	const plain = path.join(directory, "large.tar");
	await makeAci(plain, {
		manifest: imageManifest("example.com/large"),
		files: { content: { copyOf: content } },
	});
	fs.rmSync(content);
	spawnSync("sh", ["-c", `gzip -6 <"${plain}" >"${file}" && rm "${plain}"`], { stdio: "inherit" });
}

async function withManyPods(bench: Bench): Promise<string> {
	for (const one of bench.contestants) {
		for (let count = 0; count < 200; count += 1) call(one, "prepare", "--quiet", IMAGE);
	}
	const results = await measure(
		bench.contestants.map((one) => rktCase(one, "list")),
		bench.runs,
	);
	for (const one of bench.contestants) {
		call(one, "gc", "--expire-prepared=0s");
		call(one, "gc", "--expire-prepared=0s", "--grace-period=0s");
	}
	return timesTable(results);
}

function onEngines({ contestants, directory }: Bench): Promise<string> {
	return measureMachines({ rkt: contestants[0] as Contestant, directory });
}

/** In a scope, as from a login: only then does machined make a scope for each pod. */
function onSystemdHost(runs: number): string {
	const script = path.join(distDirectory(), "scripts/bench-systemd.cjs");
	const inScope = ["systemd-run", "--scope", "--quiet", process.execPath, script, `--runs=${runs}`];
	const host = ["test/systemd-host/systemd-host.sh", "--timeout=1200", "--", ...inScope];
	return execFileSync("bash", host, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim();
}

/** The marks are Markdown comments around the figures. */
function updateFile(file: string, text: string): void {
	const [start, end] = ["<!-- figures -->", "<!-- end of figures -->"];
	const old = fs.readFileSync(file, "utf8");
	if (!old.includes(start) || !old.includes(end)) throw new Error(`${file} has no ${start} and ${end}`);
	const before = old.slice(0, old.indexOf(start) + start.length);
	fs.writeFileSync(file, `${before}\n\n${text}\n\n${old.slice(old.indexOf(end))}`);
}

enterPrivateHost();
main().catch((error) => {
	console.error(`bench: ${error instanceof Error ? error.message : error}`);
	process.exitCode = 1;
});
