import { spawn } from "node:child_process";
import * as fs from "node:fs";

/** One way to do a thing, compared with others in the same round. */
export interface Case {
	readonly name: string;
	readonly command: readonly string[];
	/** Not measured; before and after each run. */
	readonly before?: () => void;
	readonly after?: () => void;
}

export interface Sample {
	/** From spawn to exit, in milliseconds. */
	readonly total: number;
	/** From spawn to the first bytes on standard output; undefined when there were none. */
	readonly firstOutput: number | undefined;
	/** Largest resident set of the process, in MiB; what it exec'ed counts, its children do not. */
	readonly peakMemory: number;
	/** What it and its children wrote to the disk, in MB. */
	readonly written: number;
}

export interface Result {
	readonly name: string;
	readonly samples: readonly Sample[];
}

/**
 * Measures the cases in turn, round by round, so that a slow moment of the machine hits all of them. The
 * first round warms the caches and is thrown away. Throws when a command fails.
 */
export async function measure(cases: readonly Case[], rounds: number): Promise<Result[]> {
	const samples = cases.map((): Sample[] => []);
	for (let round = 0; round <= rounds; round += 1) {
		for (const [index, one] of cases.entries()) {
			one.before?.();
			const sample = await runOnce(one);
			one.after?.();
			if (round > 0) samples[index]?.push(sample);
		}
		process.stderr.write(".");
	}
	process.stderr.write("\n");
	return cases.map((one, index) => ({ name: one.name, samples: samples[index] as Sample[] }));
}

/** The unit of the kernel's count, getrusage(2). */
const BLOCK = 512;
const MEMORY_FILE = `/tmp/rkt-bench-${process.pid}`;

/** GNU time reports the peak memory; it costs about 1 ms, which all cases pay. */
function runOnce(one: Case): Promise<Sample> {
	const started = performance.now();
	return new Promise((resolve, reject) => {
		const child = spawn("/usr/bin/time", ["--format=%M %O", `--output=${MEMORY_FILE}`, ...one.command], {
			stdio: ["ignore", "pipe", "pipe"],
			env: benchEnvironment(),
		});
		let firstOutput: number | undefined;
		let text = "";
		child.stdout.on("data", (chunk) => {
			firstOutput ??= performance.now() - started;
			text += chunk;
		});
		child.stderr.on("data", (chunk) => {
			text += chunk;
		});
		child.on("error", reject);
		child.on("close", (code) => {
			const total = performance.now() - started;
			if (code !== 0) return reject(new Error(`${one.name} ended with ${code}:\n${text}`));
			const figures = fs.readFileSync(MEMORY_FILE, "utf8").trim().split("\n").at(-1);
			const [kilobytes = 0, blocks = 0] = (figures ?? "").split(" ").map(Number);
			fs.rmSync(MEMORY_FILE);
			resolve({ total, firstOutput, peakMemory: kilobytes / 1024, written: (blocks * BLOCK) / 1e6 });
		});
	});
}

/** Node 20 reads NODE_EXTRA_CA_CERTS at every start, for 35 ms. */
export function benchEnvironment(): Record<string, string> {
	const entries = Object.entries(process.env).filter(([name]) => !/^(NODE_|npm_)/.test(name));
	return Object.fromEntries(entries) as Record<string, string>;
}

export function median(values: readonly number[]): number {
	const sorted = [...values].sort((a, b) => a - b);
	const middle = Math.floor(sorted.length / 2);
	const upper = sorted[middle] ?? Number.NaN;
	return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}
