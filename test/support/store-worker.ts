import { type ChildProcess, type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import * as path from "node:path";
import { buildSync } from "esbuild";

/** Processes that work with a store: `run` waits for one, `start` does not; both may be killed at a crash point. */
export interface StoreWorker {
	start(args: readonly string[]): ChildProcess;
	run(args: readonly string[], options?: WorkerOptions): SpawnSyncReturns<string>;
}

export interface WorkerOptions {
	/** Name of a crash point. */
	readonly crashAt?: string;
	readonly uid?: number;
	readonly gid?: number;
}

/** Builds the program, with crash points, into a directory. */
export function buildStoreWorker(directory: string): StoreWorker {
	const program = path.join(directory, "worker.cjs");
	buildSync({
		entryPoints: ["test/stage0/store/store-worker.ts"],
		outfile: program,
		bundle: true,
		platform: "node",
		format: "cjs",
		packages: "external",
		define: { __CRASH_POINTS__: "true" },
		logLevel: "error",
	});
	const environment = { ...process.env, NODE_PATH: path.resolve("node_modules") };
	return {
		start: (args) =>
			spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"], env: environment }),
		run: (args, { crashAt, ...ids } = {}) =>
			spawnSync(process.execPath, [program, ...args], {
				env: { ...environment, ...(crashAt && { RKT_CRASH_AT: crashAt }) },
				encoding: "utf8",
				...ids,
			}),
	};
}

/** How a process that was started ended. */
export function outcome(
	child: ChildProcess,
): Promise<{ status: number | null; stdout: string; stderr: string }> {
	const text = { stdout: "", stderr: "" };
	child.stdout?.on("data", (chunk) => (text.stdout += chunk));
	child.stderr?.on("data", (chunk) => (text.stderr += chunk));
	return new Promise((resolve) => child.once("close", (status) => resolve({ status, ...text })));
}
