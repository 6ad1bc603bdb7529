import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { createBusyboxHost } from "../support/busybox-host.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

/** Takes a moment to end in order, with status 5. */
const GRACEFUL = "trap 'echo got TERM; sleep 0.2; exit 5' TERM; echo up; while :; do sleep 0.1; done";
const STUBBORN = "trap 'echo got TERM' TERM; echo up; while :; do sleep 0.1; done";
const INTERRUPT = "\u0003";

t.test("signals to the process in the foreground", async (t) => {
	const host = await createBusyboxHost("signals");
	t.teardown(() => host.remove());
	const uuidFile = path.join(host.directory, "uuid");
	const globals = [`--dir=${host.dataDirectory}`, `--local-config=${host.configDirectory}`];
	const words = (script: string, ...flags: string[]): string[] => [
		...[path.join(distDirectory(), "rkt"), ...globals, "run"],
		...host.shellWords(script, { pod: [`--uuid-file-save=${uuidFile}`, ...flags] }),
	];
	const status = async (): Promise<string> =>
		(await host.rkt(["status", fs.readFileSync(uuidFile, "utf8")])).stdout;

	for (const signal of ["SIGTERM", "SIGINT"] as const) {
		t.test(`${signal} lets the app end in order, and its status is that of rkt run`, async (t) => {
			const pod = start(words(GRACEFUL));
			await waitFor("the app", () => pod.output().includes("up"));
			pod.child.kill(signal);
			t.equal(await pod.end, 5);
			t.match(pod.output(), "got TERM");
			t.match(await status(), /^app-busybox=5$/m);
		});
	}

	t.test("SIGHUP is not for the supervisor: it and the pod end at once", async (t) => {
		const pod = start(words(GRACEFUL));
		await waitFor("the app", () => pod.output().includes("up"));
		pod.child.kill("SIGHUP");
		t.equal(await pod.end, "SIGHUP");
		t.match(await status(), /^state=exited$/m);
		t.notMatch(await status(), /^app-busybox/m);
	});

	t.test("Ctrl-C once ends the pod in order, twice ends it at once", async (t) => {
		const gentle = startOnTerminal(words(GRACEFUL));
		await waitFor("the app", () => gentle.output().includes("up"));
		gentle.child.stdin?.write(INTERRUPT);
		t.equal(await gentle.end, 5);
		t.match(gentle.output(), "got TERM");

		const stubborn = startOnTerminal(words(STUBBORN));
		await waitFor("the app", () => stubborn.output().includes("up"));
		stubborn.child.stdin?.write(INTERRUPT);
		await waitFor("the first signal", () => stubborn.output().includes("got TERM"));
		stubborn.child.stdin?.write(INTERRUPT);
		t.equal(await stubborn.end, 1);
		t.match(await status(), /^state=exited$/m);
	});

	t.test("with --interactive Ctrl-C is for the app", async (t) => {
		const script = `trap 'echo got INT; exit 6' INT; ${STUBBORN}`;
		const pod = startOnTerminal(words(script, "--interactive"));
		await waitFor("the app", () => pod.output().includes("up"));
		pod.child.stdin?.write(INTERRUPT);
		t.equal(await pod.end, 6);
		t.match(pod.output(), "got INT");
	});
});

interface Running {
	readonly child: ChildProcess;
	output(): string;
	/** Exit status, or the name of the signal. */
	readonly end: Promise<number | string | null>;
}

function start([program = "", ...args]: readonly string[]): Running {
	const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
	const child = spawn(program, args, { stdio: "pipe", env });
	let text = "";
	const collect = (chunk: Buffer): void => {
		text += chunk;
	};
	child.stdout.on("data", collect);
	child.stderr.on("data", collect);
	const end = new Promise<number | string | null>((resolve) =>
		child.on("close", (status, signal) => resolve(status ?? signal)),
	);
	return { child, output: () => text, end };
}

/** What is written to its standard input is typed. */
function startOnTerminal(words: readonly string[]): Running {
	const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
	return start(["script", "-qec", `exec ${quoted}`, "/dev/null"]);
}
