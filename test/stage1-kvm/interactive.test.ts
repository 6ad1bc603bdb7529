import { type ChildProcess, spawn } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { readExitStatuses, readRecordedProcess } from "../../stage1/pod-record.ts";
import { makeFixtures } from "../stage1/conformance/run-case.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { collect, type Ending } from "../support/fake-machine.ts";
import { createMiniStage0, type MiniApp, type MiniPod, type MiniStage0 } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-kvm-interactive-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
const { busybox } = makeFixtures(directory);
const shell = (script: string): MiniApp => ({
	name: "app",
	rootfs: busybox,
	app: { exec: ["/bin/sh", "-c", script] },
});

for (const flavor of ["kvm-uml", "kvm"]) {
	const place = path.join(directory, flavor);
	fs.mkdirSync(place);
	const stage0 = createMiniStage0(place, path.join(distDirectory(), `stage1-${flavor}.aci`));

	t.test(`${flavor}: bytes go through pipes as they are, to the last one`, async (t) => {
		const bytes = crypto.randomBytes(300_001);
		const { ending, pod } = await runWith(stage0, shell("cat; printf error >&2; exit 5"), bytes);
		t.equal(ending.status, 5, "the status of the app", { stderr: ending.stderr });
		t.ok(ending.stdout.equals(bytes), `${ending.stdout.length} bytes came back`);
		t.match(ending.stderr, /error$/);
		t.strictSame(readExitStatuses(pod.directory, ["app"]), new Map([["app", 5]]));
		stage0.remove(pod);
	});

	t.test(`${flavor}: /dev/null as standard input is at its end, and nothing else is printed`, async (t) => {
		const { ending, pod } = await runWith(stage0, shell("cat; tty; cat /dev/stdin; printf end"), undefined);
		t.equal(ending.status, 0, ending.stderr);
		t.equal(ending.stdout.toString(), "not a tty\nend");
		stage0.remove(pod);
	});

	t.test(`${flavor}: who writes to nobody gets SIGPIPE`, async (t) => {
		const pod = stage0.prepare([shell("while :; do echo line; done")]);
		const child = startInteractive(stage0, pod, "ignore");
		child.stdout?.once("data", () => child.stdout?.destroy());
		const status = await new Promise((resolve) => child.once("exit", resolve));
		t.equal(status, 13);
		stage0.remove(pod);
	});

	t.test(`${flavor}: a terminal with its size, Ctrl-C, and its modes afterwards`, async (t) => {
		const script = `trap 'echo changed $(stty size)' WINCH; trap 'echo interrupted; exit 6' INT
tty; stty size; echo TERM=$TERM; read line; echo "got:$line"; while :; do sleep 0.1; done`;
		const pod = stage0.prepare([shell(script)]);
		const terminal = onTerminal(stage0, pod, place);
		await waitFor("the app", () => /TERM=.*\r\n/.test(terminal.output()));
		t.match(terminal.output(), /\/dev\/console\r\n33 77\r\nTERM=xterm\r\n/);
		terminal.child.stdin?.write("typed\r");
		await waitFor("the line", () => terminal.output().includes("got:typed"));
		fs.writeFileSync(path.join(place, "resize"), "");
		await waitFor("the new size", () => terminal.output().includes("changed 44 111"));
		terminal.child.stdin?.write("\u0003");
		const ending = await terminal.ended;
		t.match(ending.stdout.toString(), /interrupted\r\nstatus 6\r\nrestored/);
		stage0.remove(pod);
	});

	t.test(`${flavor}: the terminal is restored when the pod is killed`, async (t) => {
		const pod = stage0.prepare([shell("echo TERM=; while :; do sleep 0.1; done")]);
		const terminal = onTerminal(stage0, pod, place);
		await waitFor("the app", () => terminal.output().includes("TERM="));
		process.kill(readRecordedProcess(pod.directory)?.pid as number, "SIGKILL");
		t.match((await terminal.ended).stdout.toString(), /status 137\s+restored/);
		stage0.remove(pod);
	});

	t.test(`${flavor}: Ctrl-] three times ends the pod`, async (t) => {
		const pod = stage0.prepare([shell("echo TERM=; while :; do sleep 0.1; done")]);
		const terminal = onTerminal(stage0, pod, place);
		await waitFor("the app", () => terminal.output().includes("TERM="));
		terminal.child.stdin?.write("\u001d\u001d\u001d");
		t.match((await terminal.ended).stdout.toString(), /Ctrl-\](.|\s)*status 254\r\nrestored/);
		stage0.remove(pod);
	});

	t.test(`${flavor}: stop ends an interactive app in order`, async (t) => {
		const pod = stage0.prepare([
			shell("trap 'printf told; exit 4' TERM; printf 'up '; while :; do sleep 0.1; done"),
		]);
		const child = startInteractive(stage0, pod, "ignore");
		const ended = collect(child);
		await new Promise((resolve) => child.stdout?.once("data", resolve));
		t.equal(stage0.call(pod, "stop").status, 0);
		const ending = await ended;
		t.match({ ...ending, stdout: ending.stdout.toString() }, { status: 4, stdout: "up told" });
		stage0.remove(pod);
	});
}

function startInteractive(stage0: MiniStage0, pod: MiniPod, stdin: "pipe" | "ignore"): ChildProcess {
	const [program = "", ...words] = stage0.startCommand(pod, ["--interactive"]);
	return spawn(program, words, { stdio: [stdin, "pipe", "pipe"] });
}

/** No input means /dev/null. */
async function runWith(
	stage0: MiniStage0,
	app: MiniApp,
	input: Buffer | undefined,
): Promise<{ ending: Ending; pod: MiniPod }> {
	const pod = stage0.prepare([app]);
	const child = startInteractive(stage0, pod, input ? "pipe" : "ignore");
	const ended = collect(child);
	child.stdin?.end(input);
	return { ending: await ended, pod };
}

/** What is written to its standard input is typed; a file `resize` in `place` changes its size. */
function onTerminal(
	stage0: MiniStage0,
	pod: MiniPod,
	place: string,
): { child: ChildProcess; output(): string; ended: Promise<Ending> } {
	const words = stage0
		.startCommand(pod, ["--interactive"])
		.map((word) => `'${word.replaceAll("'", "'\\''")}'`);
	const resize = path.join(place, "resize");
	const script = path.join(place, "terminal.sh");
	fs.rmSync(resize, { force: true });
	fs.writeFileSync(
		script,
		`stty rows 33 cols 77; before=$(stty -g)
(for i in $(seq 300); do [ -e ${resize} ] && stty rows 44 cols 111 </dev/tty && exit; sleep 0.1; done) &
(exec ${words.join(" ")})
echo "status $?"
for i in $(seq 30); do [ "$before" = "$(stty -g)" ] && echo restored && break; sleep 0.1; done
kill $! 2>/dev/null
`,
	);
	const child = spawn("script", ["-qec", `sh ${script}`, "/dev/null"], {
		stdio: "pipe",
		env: { ...process.env, TERM: "xterm" },
	});
	let text = "";
	child.stdout.on("data", (chunk) => {
		text += chunk;
	});
	return { child, output: () => text, ended: collect(child) };
}
