import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import * as readline from "node:readline";
import t, { type Test } from "tap";
import { busyboxFiles, imageManifest, makeAci } from "../support/make-aci.ts";
import { makeOciImage } from "../support/oci-image.ts";
import { fileEntry, layerFiles, makeLayer } from "../support/oci-layer.ts";
import { writeOciLayout } from "../support/oci-layout.ts";
import { createRandom } from "../support/random-layers.ts";
import { readSourceFiles } from "../support/source-files.ts";

type Call = "archive" | "layers" | "prepare" | "run" | "remove";

/** What test/uml-host/power-loss.sh does, and when the power goes off. */
interface Cut {
	readonly call: Call | "nothing";
	/** A crash point, `end`, or milliseconds. */
	readonly point: string;
	/** Has the journal of the file system written just before. */
	readonly commit: boolean;
}

const ROUNDS = Number(process.env.RKT_POWER_LOSS_ROUNDS ?? "1");
const SEED = Number(process.env.RKT_POWER_LOSS_SEED ?? Date.now() % 100_000);
const BOOT_SECONDS = 250;

const NOTHING: Cut = { call: "nothing", point: "end", commit: false };
/** What a command has said to be done must be there, and what is in its place must be flushed. */
const FIXED: Cut[] = [
	{ call: "prepare", point: "end", commit: false },
	{ call: "layers", point: "layer-published", commit: true },
	{ call: "archive", point: "tree-rendered", commit: true },
];

t.setTimeout((ROUNDS + FIXED.length + 1) * BOOT_SECONDS * 1000);
t.test("what a power cut leaves is whole or gone", async (t) => {
	const directory = fs.mkdtempSync("/var/tmp/rkt-power-loss-");
	t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
	await makeImages(directory);
	const disk = makeDisk(path.join(directory, "disk"));
	let promised: string[] = [];
	for (const cut of [...FIXED, ...randomCuts(), NOTHING]) {
		const { call, point, commit } = cut;
		const before = promised;
		await t.test(`${call}, ${point}${commit ? ", after a commit" : ""}`, async (t) => {
			promised = await cutPower(t, directory, disk, before, cut);
		});
	}
});

function randomCuts(): Cut[] {
	t.comment(`RKT_POWER_LOSS_SEED=${SEED}`);
	const random = createRandom(SEED);
	const oneOf = <T>(values: readonly T[]): T => values[random(values.length)] as T;
	return Array.from({ length: ROUNDS }, () => {
		const call = oneOf(["archive", "layers", "prepare", "run", "remove"] as const);
		const point = oneOf([...crashPoints(call), "end", String(random(6000))]);
		return { call, point, commit: random(2) === 0 };
	});
}

/** Those that a call meets, by the beginnings of their names. */
function crashPoints(call: Call): string[] {
	const names = {
		archive: "import|tree",
		layers: "oci|layer|import",
		prepare: "embryo|prepare|tree",
		run: "run|prepare",
		remove: "remove|layer-moved|tree-unmarked|garbage|delete",
	}[call];
	const pattern = new RegExp(`\\bcrashPoint\\("((?:${names})[^"]*)"\\)`, "g");
	return readSourceFiles().flatMap(({ text }) =>
		[...text.matchAll(pattern)].map((match) => match[1] as string),
	);
}

/** Boots on the disk, and cuts the power when the host says so; what was promised before that. */
async function cutPower(
	t: Test,
	directory: string,
	disk: string,
	promised: readonly string[],
	{ call, point, commit }: Cut,
): Promise<string[]> {
	const flags = [`--disk=${disk}`, "--mount-options=noauto_da_alloc", `--bind=${directory}`];
	const words = [directory, promised.join(" "), call, point, commit ? "commit" : ""];
	const host = spawn(
		"bash",
		[
			"test/uml-host/uml-host.sh",
			...flags,
			`--timeout=${BOOT_SECONDS}`,
			"--",
			"sh",
			"test/uml-host/power-loss.sh",
			...words,
		],
		{ stdio: ["ignore", "pipe", "pipe"] },
	);
	const said: string[] = [];
	let cut = false;
	readline.createInterface({ input: host.stdout }).on("line", (line) => {
		const delay = /^cut in (\d+)$/.exec(line)?.[1];
		if (delay === undefined) return said.push(line);
		cut = true;
		return setTimeout(() => host.kill(), Number(delay));
	});
	let errors = "";
	host.stderr.on("data", (chunk) => {
		errors += chunk;
	});
	const status = await new Promise((resolve) => host.on("close", resolve));
	t.equal(cut, call !== "nothing", "it came to the cut", { status, errors, said });
	const promises = said.flatMap((line) => /^promised (.*)$/.exec(line)?.[1] ?? []);
	t.strictSame(
		said.filter((line) => !line.startsWith("promised ")),
		[],
		"what it found",
		{ errors },
	);
	return promises;
}

/** Two images that look at themselves when they run: every file must have the content that it should have. */
async function makeImages(directory: string): Promise<void> {
	const files = Object.fromEntries(
		Array.from({ length: 120 }, (_, index) => [`data/${index}`, `${index} `.repeat(1 + 97 * index)]),
	);
	for (const [name, text] of Object.entries(files)) {
		const file = path.join(directory, name);
		fs.mkdirSync(path.dirname(file), { recursive: true });
		fs.writeFileSync(file, text);
	}
	const sums = execFileSync("sha256sum", Object.keys(files), { cwd: directory, encoding: "utf8" });
	const exec = ["/bin/busybox", "sha256sum", "-c", "-s", "sums"];
	const entries = Object.entries({ ...files, sums }).map(([name, text]) => [name, { text }] as const);
	await makeAci(path.join(directory, "image.aci"), {
		manifest: imageManifest("example.com/archive", { app: { exec, workingDirectory: "/" } }),
		files: { ...busyboxFiles(), data: { directory: true }, ...Object.fromEntries(entries) },
	});
	const layers = [
		makeLayer(layerFiles(busyboxFiles())),
		makeLayer(entries.slice(0, 60).map(([name, { text }]) => fileEntry(name, text))),
		makeLayer(entries.slice(60).map(([name, { text }]) => fileEntry(name, text))),
	];
	const image = makeOciImage({ layers, config: { Cmd: exec, WorkingDir: "/" } });
	writeOciLayout(path.join(directory, "layout"), [{ tag: "app", images: [image] }]);
}

function makeDisk(file: string): string {
	fs.closeSync(fs.openSync(file, "w"));
	fs.truncateSync(file, 1 << 30);
	execFileSync("mkfs.ext4", ["-q", file]);
	return file;
}
