import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import type { Test } from "tap";
import { readContainerPid, readExitStatuses, readRecordedProcess } from "../../../stage1/pod-record.ts";
import type { MiniApp, MiniPod, MiniResult, MiniStage0 } from "../../support/mini-stage0.ts";
import { waitFor } from "../../support/wait-for.ts";
import { type Fixtures, shellApp } from "./cases.ts";
import { appLines } from "./run-case.ts";

/* What every backend does with a pod that runs, beside the data of cases.ts. */

/** The entry points and records that a stage0 works with while a pod runs, in one life of a pod. */
export async function checkEnterAndStop(t: Test, stage0: MiniStage0, fixtures: Fixtures): Promise<void> {
	const { pod, ended, printed } = await startWaiting(stage0, fixtures);
	const capabilities = printed().find((line) => line.startsWith("CapEff:"));
	const script = [
		"id -u; pwd; hostname; grep CapEff /proc/self/status; head -n 1 /etc/passwd",
		"ls /proc/self/fd | tr '\\n' ' '; echo; ps | grep -c \"trap 'ech[o] told\"; env | sort; exit 5",
	];
	const shown = stage0.enter(pod, "app", ["/bin/sh", "-c", script.join("\n")]);
	t.equal(shown.status, 5, shown.stderr);
	const [uid, directory, host, capability, user, descriptors, processes, ...environment] =
		shown.stdout.split("\n");
	t.strictSame([uid, directory, host, capability], ["0", "/", `rkt-${pod.uuid}`, capabilities]);
	t.equal(user, "root:x:0:0::/root:/bin/sh", "the root file system is the app's");
	t.equal(descriptors, "0 1 2 3 ");
	t.equal(processes, "1", "the app is seen");
	t.match(environment.join("\n"), /^AC_APP_NAME=app\nHOME=\/root\n[\s\S]*^mark=[\s\S]*^x=1$/m);
	const bytes = Buffer.alloc(60_000, "every byte arrives \0\xff\x03\x11\x13\r\n", "latin1");
	const [program = "", ...words] = stage0.enterCommand(pod, "app", ["/bin/cat"]);
	const copied = spawnSync(program, words, { cwd: pod.directory, input: bytes, timeout: 60_000 });
	t.ok(copied.stdout.equals(bytes), "bytes arrive in both directions");
	t.match(stage0.enter(pod, "nobody", ["/bin/sh"]), { status: 254 }, "an app that is not there");
	t.strictSame(readExitStatuses(pod.directory, ["app"]), new Map(), "no status yet");
	t.equal(stage0.call(pod, "stop").status, 0);
	await checkOrderlyEnd(t, stage0, { pod, ended });
}

/** SIGTERM to the process that `run` became. */
export async function checkTermination(t: Test, stage0: MiniStage0, fixtures: Fixtures): Promise<void> {
	const { pod, child, ended } = await startWaiting(stage0, fixtures);
	child.kill("SIGTERM");
	await checkOrderlyEnd(t, stage0, { pod, ended });
}

async function checkOrderlyEnd(
	t: Test,
	stage0: MiniStage0,
	{ pod, ended }: Pick<Waiting, "pod" | "ended">,
): Promise<void> {
	const result = await ended;
	t.equal(result.status, 4, "the status of the app is that of the pod", result);
	t.match(result.stdout, /told/);
	t.strictSame(readExitStatuses(pod.directory, ["app"]), new Map([["app", 4]]));
	t.not(stage0.call(pod, "stop").status, 0, "a pod that has ended cannot be stopped");
	stage0.remove(pod);
}

/** `stop --force` waits for nothing, and `gc` can be called twice. */
export async function checkForcedStop(t: Test, stage0: MiniStage0, fixtures: Fixtures): Promise<void> {
	const { pod, mark, ended } = await startWaiting(stage0, fixtures);
	t.equal(stage0.call(pod, "stop", ["--force"]).status, 0);
	t.not((await ended).status, 0);
	t.notMatch((await ended).stdout, /told/);
	await waitFor("the end of the pod", () => processesWith(pod.uuid, mark).length === 0);
	t.equal(stage0.call(pod, "gc").status, 0);
	stage0.remove(pod);
}

/** After SIGKILL of the recorded process, `gc` leaves nothing of the pod. */
export async function checkKilledSupervisor(t: Test, stage0: MiniStage0, fixtures: Fixtures): Promise<void> {
	const { pod, mark, ended } = await startWaiting(stage0, fixtures);
	t.not(processesWith(pod.uuid, mark).length, 0);
	process.kill(readRecordedProcess(pod.directory)?.pid as number, "SIGKILL");
	await ended;
	t.equal(stage0.call(pod, "gc").status, 0);
	await waitFor("the end of the pod", () => processesWith(pod.uuid, mark).length === 0);
	t.strictSame(readExitStatuses(pod.directory, ["app"]), new Map(), "nobody made up a status");
	stage0.remove(pod);
}

interface Waiting {
	readonly pod: MiniPod;
	/** In the command line of the app. */
	readonly mark: string;
	readonly child: ReturnType<MiniStage0["start"]>;
	readonly ended: Promise<MiniResult>;
	/** The lines that the app has printed. */
	readonly printed: () => string[];
}

/** A pod whose app answers SIGTERM with status 4, once it is ready. */
async function startWaiting(stage0: MiniStage0, fixtures: Fixtures): Promise<Waiting> {
	const mark = randomUUID();
	const script = `trap 'echo told; exit 4' TERM; grep CapEff /proc/self/status; echo started; while :; do sleep 0.1; done # ${mark}`;
	const environment = [
		{ name: "mark", value: mark },
		{ name: "x", value: "1" },
	];
	const app: MiniApp = shellApp(fixtures, script, { environment });
	const pod = stage0.prepare([app]);
	const child = stage0.start(pod);
	const ended = stage0.collect(child);
	let output = "";
	child.stdout?.on("data", (chunk: Buffer) => {
		output += chunk;
	});
	await stage0.containerPid(pod);
	await waitFor("the app", () => output.includes("started"));
	if (readContainerPid(pod.directory) === undefined) throw new Error("no first process is on record");
	return { pod, mark, child, ended, printed: () => appLines(output) };
}

/** Processes of the host in whose command line one of the words is. */
function processesWith(...words: readonly string[]): string[] {
	const pids = fs.readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
	return pids
		.filter((pid) => Number(pid) !== process.pid)
		.flatMap((pid) => {
			try {
				const text = fs.readFileSync(`/proc/${pid}/cmdline`, "latin1");
				return words.some((word) => text.includes(word)) ? [text.replaceAll("\0", " ")] : [];
			} catch {
				return [];
			}
		});
}
