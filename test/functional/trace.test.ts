import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { BUSYBOX, createBusyboxHost, outputLines } from "../support/busybox-host.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

const STAGE0 = ["start", "flags", "images", "trees", "pod", "mounts"].map((phase) => `stage0 ${phase}`);
const STAGE1 = ["load", "network", "mounts", "apps", "exec"].map((phase) => `stage1 ${phase}`);
/** What comes in between; whether the pod is ready before its app is started is nobody's promise. */
const MACHINE: Readonly<Record<string, readonly string[]>> = {
	nspawn: ["machine nspawn", "machine init", "machine systemd"],
	"kvm-uml": ["machine kernel", "machine init", "machine systemd"],
	kvm: ["machine hypervisor", "machine kernel", "machine init", "machine systemd"],
};

t.test("rkt run --trace", async (t) => {
	const host = await createBusyboxHost("trace");
	t.teardown(() => host.remove());
	const uuidFile = path.join(host.directory, "uuid");
	const phasesOf = async (uuid: string): Promise<string[]> => {
		const json = await host.rkt(["status", "--trace", "--format=json", uuid]);
		t.equal(json.status, 0, json.stderr);
		const trace = JSON.parse(json.stdout).trace as { phase: string; took_us: number; at_us: number }[];
		t.ok(
			trace.every(({ took_us }) => took_us >= 0),
			"no phase ends before the one before it",
			{ trace },
		);
		const sum = trace.reduce((total, { took_us }) => total + took_us, 0);
		t.equal(trace.at(-1)?.at_us, sum, "nothing is left out");
		return trace.map(({ phase }) => phase);
	};

	for (const [flavor, machine] of Object.entries(MACHINE)) {
		await t.test(`${flavor}: every phase, in order`, async (t) => {
			const flags = ["--net=none", `--stage1-image=${flavor}`, `--uuid-file-save=${uuidFile}`, "--trace"];
			const began = performance.now();
			const ran = await host.rkt([
				"run",
				...flags,
				BUSYBOX,
				"--exec=/bin/sh",
				"--",
				"-c",
				"env; sleep 0.3; exit 3",
			]);
			const total = performance.now() - began;
			t.equal(ran.status, 3, ran.stderr);
			const off = flavor === "nspawn" ? [] : ["machine off"];
			const expected = [...STAGE0, ...STAGE1, ...machine, "app busybox ended", "pod end", ...off];
			const phases = await phasesOf(fs.readFileSync(uuidFile, "utf8"));
			const unordered = ["pod ready", "app busybox started"];
			t.strictSame(
				phases.filter((phase) => !unordered.includes(phase)),
				expected,
			);
			t.ok(unordered.every((phase) => phases.includes(phase)));
			const printed = (text: string): string[] =>
				[...text.matchAll(/^trace: (\S+ \S+(?: \S+)?) +([0-9.]+) ms, at +[0-9.]+ ms\r?$/gm)].map(
					(match) => match[1] as string,
				);
			t.strictSame(printed(ran.stderr), [...STAGE0, ...STAGE1], "what is known before the pod runs");
			t.strictSame(
				printed(ran.stdout),
				phases.filter((phase) => /^(machine|app|pod) /.test(phase) && phase !== "machine off"),
			);
			t.notMatch(ran.stdout, /RKT_TRACE/, "apps are not told");
			const status = JSON.parse(
				(await host.rkt(["status", "--trace", "--format=json", fs.readFileSync(uuidFile, "utf8")])).stdout,
			);
			const at = (name: string): number =>
				(status.trace as { phase: string; at_us: number }[]).find(({ phase }) => phase === name)?.at_us ??
				Number.NaN;
			const ran3 = (at("app busybox ended") - at("app busybox started")) / 1000;
			t.ok(ran3 >= 290, `the app slept 300 ms, and its end is ${ran3} ms after its start`);
			t.ok(at("pod end") / 1000 <= total, "not later than the end of rkt run, by the clock of the host");
		});
	}

	await t.test("run-prepared, and a pod that is not traced", async (t) => {
		const prepared = await host.rkt(["prepare", BUSYBOX, "--exec=/bin/true"]);
		const uuid = outputLines(prepared).at(-1) as string;
		const ran = await host.rkt(["run-prepared", "--net=none", "--trace", uuid]);
		t.equal(ran.status, 0, ran.stderr);
		t.strictSame((await phasesOf(uuid)).slice(0, 4), [
			"stage0 start",
			"stage0 pod",
			"stage0 mounts",
			"stage1 load",
		]);
		const plain = await host.rkt(["run", "--net=none", `--uuid-file-save=${uuidFile}`, BUSYBOX]);
		t.equal(plain.status, 0, plain.stderr);
		t.notMatch(plain.stdout + plain.stderr, /trace/);
		const refused = await host.rkt(["status", "--trace", fs.readFileSync(uuidFile, "utf8")]);
		t.equal(refused.status, 254);
		t.match(refused.stderr, /is not traced[\s\S]*rkt run --trace/);
		const table = (await host.rkt(["status", "--trace", uuid])).stdout;
		t.match(table, /\nPHASE\t+TOOK, MS\tAT, MS\nstage0 start\t/);
	});
});
