import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as http from "node:http";
import * as path from "node:path";
import { busyboxFiles, imageManifest, makeAci } from "../../test/support/make-aci.ts";
import { waitFor } from "../../test/support/wait-for.ts";
import { type Contestant, call } from "./contestants.ts";
import { KINDS, kindsOfTree, memoryOfTree } from "./idle-memory.ts";
import { benchEnvironment, measure, median } from "./measure.ts";
import { markdownTable, type Row, timesTable } from "./report.ts";

/** The engines side by side; kvm is emulated where the processor has neither vmx nor svm. */
const FLAVORS = ["nspawn", "kvm-uml", "kvm"];
/** Starts and copies of an emulated machine take seconds. */
const RUNS = 5;
const IMAGE = "example.com/server";
const PORT = 18_080;
const CLIENTS = 8;
const REQUEST_SECONDS = 3;
/** A guest gives memory back some seconds after its start. */
const SETTLE_MS = 8_000;

export interface Place {
	readonly rkt: Contestant;
	readonly directory: string;
}

/** Measures the same pod on every engine; gives Markdown. Only in a network namespace of one's own. */
export async function measureMachines(place: Place): Promise<string> {
	const file = path.join(place.directory, "server.aci");
	const app = { ports: [{ name: "http", protocol: "tcp", port: 80 }] };
	await makeAci(file, { manifest: imageManifest(IMAGE, { app }), files: busyboxFiles() });
	call(place.rkt, "--insecure-options=image", "fetch", file);
	const sections = [
		`#### Start of a pod that prints one line\n\n${await starts(place)}`,
		`#### Its phases, ms\n\n${phases(place)}`,
		`#### An idle pod\n\n${await idle(place)}`,
		`#### Speed of a volume, in percent of the host's\n\n${await volumes(place)}`,
		`#### Requests a second through \`--port\`, ${CLIENTS} clients\n\n${await requests(place)}`,
	];
	return sections.join("\n\n");
}

const flagsOf = (flavor: string): string[] => (flavor === "nspawn" ? [] : [`--stage1-image=${flavor}`]);

const collect = ({ rkt }: Place): void => void call(rkt, "gc", "--grace-period=0s");

async function starts(place: Place): Promise<string> {
	const { rkt } = place;
	const say = [IMAGE, "--exec=/bin/echo", "--", "hello"];
	const cases = FLAVORS.map((flavor) => ({
		name: `rkt run ${flavor}`,
		command: [...rkt.command, "run", "--net=none", ...flagsOf(flavor), ...say],
		after: () => collect(place),
	}));
	return timesTable(await measure(cases, RUNS));
}

/** Of one run each: what the kernel takes, and what comes after it until the app runs and until the end. */
function phases(place: Place): string {
	const rows = FLAVORS.map((flavor): Row => {
		const { rkt, directory } = place;
		const file = path.join(directory, `traced-${flavor}`);
		const flags = ["--net=none", "--trace", `--uuid-file-save=${file}`, ...flagsOf(flavor)];
		call(rkt, "run", ...flags, IMAGE, "--exec=/bin/echo", "--", "hello");
		const uuid = fs.readFileSync(file, "utf8");
		const { trace } = JSON.parse(call(rkt, "status", "--format=json", "--trace", uuid)) as {
			trace: { phase: string; at_us: number }[];
		};
		const at = (phase: string): number =>
			(trace.find((one) => one.phase === phase)?.at_us ?? Number.NaN) / 1000;
		const init = Number.isNaN(at("machine kernel")) ? at("machine nspawn") : at("machine kernel");
		const app = trace.find(({ phase }) => phase.endsWith(" started"))?.phase ?? "";
		collect(place);
		return [
			flavor,
			...[at("stage1 exec"), init - at("stage1 exec"), at(app) - init, at("pod end") - at(app)].map(whole),
		];
	});
	return markdownTable(
		["engine", "rkt", "until the first process", "until the app", "until the pod's end"],
		rows,
	);
}

async function idle(place: Place): Promise<string> {
	const rows: Row[] = [];
	for (const flavor of FLAVORS) {
		const pod = await startPod(place, flavor, [], ["/bin/sleep", "1000"]);
		await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
		const memory = memoryOfTree(pod.child.pid as number);
		const total = [...memory.values()].reduce((sum, one) => sum + one, 0);
		const parts = [...memory].map(([name, size]) => `${name} ${megabytes(size)}`).join(", ");
		const kinds = kindsOfTree(pod.child.pid as number);
		const uses = KINDS.map((kind) => megabytes(kinds.get(kind) ?? 0));
		rows.push([flavor, megabytes(total), ...uses, parts, megabytes(diskUse(place, pod.uuid))]);
		await stopPod(place, pod);
	}
	return markdownTable(["engine", "PSS, MiB", ...KINDS, "of these", "disk, MiB"], rows);
}

/** KiB of the pod's own directory and journal; what it shares with others is not counted. */
function diskUse({ rkt }: Place, uuid: string): number {
	const data = rkt.command.find((word) => word.startsWith("--dir="))?.slice(6) as string;
	const own = [path.join(data, "pods/run", uuid), `/var/log/journal/${uuid.replaceAll("-", "")}`];
	const { stdout } = spawnSync("du", ["-skx", ...own.filter((one) => fs.existsSync(one))], {
		encoding: "utf8",
	});
	return stdout.split("\n").reduce((sum, line) => sum + Number(line.split("\t")[0] ?? 0), 0);
}

/** What the shell does in the volume, the n-th time. */
type Work = (n: number) => string;

/** No file is read twice: the second time it would come from the memory of the guest. */
const WORK: Readonly<Record<string, Work>> = {
	"writing 64 MiB": () => "busybox dd if=/dev/zero of=large bs=1M count=64 conv=fsync 2>/dev/null",
	"reading 64 MiB": (n) => `busybox dd if=read-${n} of=/dev/null bs=1M 2>/dev/null`,
	"1000 small files": () =>
		"for n in $(busybox seq 1000); do echo $n >small-$n; done; busybox cat small-* >/dev/null; busybox rm small-*",
};

async function volumes(place: Place): Promise<string> {
	const shared = path.join(place.directory, "shared");
	fs.mkdirSync(shared, { recursive: true });
	for (let n = 0; n < RUNS; n += 1)
		fs.writeFileSync(path.join(shared, `read-${n}`), Buffer.alloc(64 << 20, "x"));
	const works = Object.values(WORK);
	const host = works.map((work) => time((n) => ["/bin/busybox", "sh", "-c", `cd ${shared}; ${work(n)}`]));
	const rows: Row[] = [["host", ...host.map((took) => `${whole(took)} ms`)]];
	for (const flavor of FLAVORS) {
		const volume = [`--volume=v,kind=host,source=${shared}`];
		const pod = await startPod(
			place,
			flavor,
			volume,
			["/bin/sleep", "1000"],
			["--mount=volume=v,target=/mnt"],
		);
		const inPod = (work: Work): number =>
			time((n) => [...place.rkt.command, "enter", pod.uuid, "/bin/sh", "-c", work(n)]);
		const nothing = inPod(() => "true");
		const took = works.map((work) => inPod((n) => `cd /mnt; ${work(n)}`) - nothing);
		rows.push([flavor, ...took.map((one, index) => percent(host[index] as number, one))]);
		await stopPod(place, pod);
	}
	fs.rmSync(shared, { recursive: true });
	return markdownTable(["where", ...Object.keys(WORK)], rows);
}

/** Less cannot be told from what `rkt enter` takes, now more, now less. */
const LEAST_MS = 3;

function percent(host: number, took: number): string {
	return took < LEAST_MS ? "–" : `${whole((100 * host) / took)} %`;
}

/** Median milliseconds of a command. */
function time(command: (n: number) => readonly string[]): number {
	const times = Array.from({ length: RUNS }, (_, n) => {
		const [program = "", ...args] = command(n);
		const began = performance.now();
		const result = spawnSync(program, args, { env: benchEnvironment(), encoding: "utf8" });
		if (result.status !== 0) throw new Error(`${program} ${args.join(" ")}:\n${result.stderr}`);
		return performance.now() - began;
	});
	return median(times);
}

async function requests(place: Place): Promise<string> {
	const rows: Row[] = [];
	for (const flavor of FLAVORS) {
		const net = ["--net=default", `--port=http:${PORT}`];
		const pod = await startPod(place, flavor, net, ["/bin/busybox", "httpd", "-f", "-p", "80"]);
		rows.push([flavor, whole(await requestsPerSecond())]);
		await stopPod(place, pod);
	}
	return markdownTable(["engine", "requests/s"], rows);
}

/** Each client asks again as soon as it has its answer, by a connection of its own each time. */
async function requestsPerSecond(): Promise<number> {
	await waitForAnswer();
	const end = performance.now() + REQUEST_SECONDS * 1000;
	let count = 0;
	const client = async (): Promise<void> => {
		while (performance.now() < end) {
			await ask();
			count += 1;
		}
	};
	await Promise.all(Array.from({ length: CLIENTS }, client));
	return count / REQUEST_SECONDS;
}

async function waitForAnswer(): Promise<void> {
	for (let tries = 0; tries < 100; tries += 1) {
		try {
			return await ask();
		} catch {
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
	}
	throw new Error("the server in the pod does not answer");
}

function ask(): Promise<void> {
	return new Promise((resolve, reject) => {
		const request = http.get({ host: "127.0.0.1", port: PORT, path: "/", agent: false }, (response) => {
			response.resume();
			response.on("end", resolve);
		});
		request.on("error", reject);
	});
}

interface Pod {
	readonly uuid: string;
	/** Becomes the supervisor. */
	readonly child: ChildProcess;
	readonly end: Promise<unknown>;
}

let started = 0;

async function startPod(
	{ rkt, directory }: Place,
	flavor: string,
	podFlags: readonly string[],
	[program = "", ...args]: readonly string[],
	appFlags: readonly string[] = [],
): Promise<Pod> {
	started += 1;
	const file = path.join(directory, `pod-${started}`);
	const net = podFlags.some((flag) => flag.startsWith("--net")) ? [] : ["--net=none"];
	const flags = [...net, ...podFlags, `--uuid-file-save=${file}`, ...flagsOf(flavor)];
	const words = ["run", ...flags, IMAGE, ...appFlags, `--exec=${program}`, "--", ...args];
	const [command = "", ...first] = rkt.command;
	const child = spawn(command, [...first, ...words], { stdio: "ignore", env: benchEnvironment() });
	const end = new Promise((resolve) => child.on("close", resolve));
	await waitFor("the UUID", () => fs.existsSync(file) && fs.statSync(file).size >= 36);
	const uuid = fs.readFileSync(file, "utf8").trim();
	call(rkt, "status", "--wait-ready=60s", uuid);
	return { uuid, child, end };
}

async function stopPod(place: Place, { child, end }: Pod): Promise<void> {
	child.kill("SIGTERM");
	await end;
	collect(place);
}

const whole = (value: number): string => value.toFixed(0);

const megabytes = (kilobytes: number): string => (kilobytes / 1024).toFixed(1);
