import * as fs from "node:fs";
import * as path from "node:path";
import { execa, type ResultPromise } from "execa";
import { distDirectory } from "./dist-directory.ts";

export interface RktResult {
	/** 128 + n after a death by signal n. */
	readonly status: number;
	readonly stdout: string;
	readonly stderr: string;
}

export interface RktOptions {
	readonly input?: string;
	readonly environment?: Record<string, string>;
	readonly timeoutMs?: number;
	/** The build with crash points instead of the released one. */
	readonly testBuild?: boolean;
}

/** An rkt with directories of its own, so that nothing of the machine's rkt is touched. */
export interface TestHost {
	/** Throw-away directory; on the disk, because an overlay cannot have its upper layer on an overlay. */
	readonly directory: string;
	readonly dataDirectory: string;
	readonly configDirectory: string;
	/** Runs rkt to its end. */
	rkt(args: readonly string[], options?: RktOptions): Promise<RktResult>;
	/** Starts rkt and gives the child, for commands that go on. */
	start(args: readonly string[], options?: RktOptions): ResultPromise;
	/** Stops and collects every pod and removes the directories. */
	remove(): Promise<void>;
}

export function createTestHost(name: string): TestHost {
	const directory = fs.mkdtempSync(`/var/tmp/rkt-${name}-`);
	const dataDirectory = path.join(directory, "data");
	const configDirectory = path.join(directory, "etc");
	const globals = [
		`--dir=${dataDirectory}`,
		`--local-config=${configDirectory}`,
		`--system-config=${path.join(directory, "usr")}`,
	];

	const start = (args: readonly string[], options: RktOptions = {}): ResultPromise => {
		const program = path.join(distDirectory(), options.testBuild ? "test-build/rkt" : "rkt");
		return execa(program, [...globals, ...args], {
			reject: false,
			stripFinalNewline: false,
			stdin: options.input === undefined ? "ignore" : "pipe",
			...(options.input === undefined ? {} : { input: options.input }),
			env: { ...plainEnvironment(), ...options.environment },
			extendEnv: false,
			timeout: options.timeoutMs ?? 120_000,
			killSignal: "SIGKILL",
		}) as ResultPromise;
	};
	const rkt = async (args: readonly string[], options?: RktOptions): Promise<RktResult> => {
		const result = await start(args, options);
		if (result.timedOut) throw new Error(`rkt ${args.join(" ")} did not end:\n${result.stderr}`);
		const status = result.exitCode ?? 128 + signalNumber(result.signal);
		return { status, stdout: String(result.stdout ?? ""), stderr: String(result.stderr ?? "") };
	};
	const remove = async (): Promise<void> => {
		const list = await rkt(["list", "--full", "--no-legend"]);
		const running = list.stdout.split("\n").filter((line) => /\srunning\s/.test(line));
		for (const uuid of running.map((line) => line.split(/\s/)[0] as string)) {
			await rkt(["stop", "--force", uuid]);
			await rkt(["status", "--wait=20s", uuid]);
		}
		await rkt(["gc", "--grace-period=0s", "--expire-prepared=0s"]);
		await rkt(["gc", "--grace-period=0s"]);
		fs.rmSync(directory, { recursive: true, force: true });
	};
	return { directory, dataDirectory, configDirectory, rkt, start, remove };
}

/** NODE_EXTRA_CA_CERTS of this machine costs every start 35 ms; proxies would catch the tests' own servers. */
function plainEnvironment(): Record<string, string> {
	const dropped = /^(NODE_|npm_|https?_proxy$|no_proxy$|TAP)/i;
	const kept = Object.entries(process.env).filter(([name]) => !dropped.test(name));
	return Object.fromEntries(kept) as Record<string, string>;
}

function signalNumber(signal: string | undefined): number {
	return signal === "SIGKILL" ? 9 : signal === "SIGINT" ? 2 : 15;
}
