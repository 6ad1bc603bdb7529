import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { Test } from "tap";
import { readExitStatuses } from "../../../stage1/pod-record.ts";
import { collect } from "../../support/fake-machine.ts";
import type { MiniPod, MiniStage0 } from "../../support/mini-stage0.ts";
import { type Fixtures, shellApp } from "./cases.ts";

/* What every backend does with signals beside the data of cases.ts. */

const FORWARDED = ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "WINCH"] as const;

/** Each signal to `enter` beside an app of another user is one to the command, and `enter` ends by what ends the command. */
export async function checkEnterSignals(t: Test, stage0: MiniStage0, fixtures: Fixtures): Promise<void> {
	const stranger = { user: "1000", group: "1000" };
	const pod = stage0.prepare([shellApp(fixtures, "while :; do sleep 1; done", stranger)]);
	const ended = stage0.run(pod);
	await stage0.containerPid(pod);
	await Promise.all(
		FORWARDED.map(async (name) => {
			const script = `trap 'echo got ${name}; exit 9' ${name}; echo set; while :; do sleep 0.05; done`;
			const entered = startEnter(stage0, pod, script);
			entered.stdout?.once("data", () => entered.kill(`SIG${name}`));
			const { status, stdout } = await collect(entered);
			t.match({ status, stdout: stdout.toString() }, { status: 9, stdout: `got ${name}` }, name);
		}),
	);
	const untrapped = startEnter(stage0, pod, "echo set; while :; do sleep 0.05; done");
	untrapped.stdout?.once("data", () => untrapped.kill("SIGTERM"));
	t.equal((await collect(untrapped)).signal, "SIGTERM", "a shell has 128+15 for it");
	stage0.call(pod, "stop", ["--force"]);
	await ended;
	stage0.remove(pod);
}

/** An app that ignores SIGTERM is killed when systemd's time for it is up, and that is its status on record. */
export async function checkStubbornApp(t: Test, stage0: MiniStage0, fixtures: Fixtures): Promise<void> {
	const pod = stage0.prepare([
		shellApp(fixtures, "trap 'echo told' TERM; echo up; while :; do sleep 0.1; done"),
	]);
	const unit = path.join(pod.directory, "overlay/tree/upper/etc/systemd/system/app.service.d");
	fs.mkdirSync(unit, { recursive: true });
	fs.writeFileSync(path.join(unit, "stop.conf"), "[Service]\nTimeoutStopSec=2\n");
	const child = stage0.start(pod);
	const ended = collect(child);
	await new Promise<void>((resolve) => {
		child.stdout?.on("data", (chunk: Buffer) => chunk.includes("up") && resolve());
	});
	t.equal(stage0.call(pod, "stop").status, 0);
	const { status, stdout } = await ended;
	t.match(stdout.toString(), /told/);
	t.equal(status, 9);
	t.strictSame(readExitStatuses(pod.directory, ["app"]), new Map([["app", 9]]));
	stage0.remove(pod);
}

/** What the image wants to be stopped with reaches its first process and no other. */
export async function checkStopSignal(t: Test, stage0: MiniStage0, fixtures: Fixtures): Promise<void> {
	const script =
		"trap 'echo term' TERM; trap 'echo quit; exit 5' QUIT; (trap 'echo child' QUIT; sleep 20 & wait) & echo up; while :; do sleep 0.1; done";
	const pod = stage0.prepare([
		shellApp(fixtures, script, { annotations: [{ name: "rkt.io/oci/stopsignal", value: "SIGQUIT" }] }),
	]);
	const child = stage0.start(pod);
	const ended = collect(child);
	await new Promise<void>((resolve) => {
		child.stdout?.on("data", (chunk: Buffer) => chunk.includes("up") && resolve());
	});
	const stopped = Date.now();
	t.equal(stage0.call(pod, "stop").status, 0);
	const { status, stdout } = await ended;
	t.match(stdout.toString(), /quit/);
	t.notMatch(stdout.toString(), /term|child/);
	t.equal(status, 5);
	t.ok(Date.now() - stopped < 15_000, "what is left is not waited for");
	stage0.remove(pod);
}

function startEnter(stage0: MiniStage0, pod: MiniPod, script: string): ChildProcess {
	const [program = "", ...words] = stage0.enterCommand(pod, "app", ["/bin/sh", "-c", script]);
	return spawn(program, words, { cwd: pod.directory, stdio: ["ignore", "pipe", "pipe"] });
}
