import { spawn } from "node:child_process";
import { Parser } from "tap-parser";

export interface FileResult {
	readonly name: string;
	readonly seconds: number;
	/** Innermost tests. */
	readonly passed: number;
	readonly failed: number;
	/** One text for each skipped test: its name and the reason. */
	readonly skipped: readonly string[];
	/** Everything the program printed; shown when something failed. */
	readonly output: string;
}

interface ProgramResult {
	readonly ok: boolean;
	readonly seconds: number;
	readonly output: string;
}

/** Runs a check that is no test file, such as the type checker, as one test. */
export async function runTool(name: string, program: string, args: readonly string[]): Promise<FileResult> {
	const result = await runProgram(program, args, 300_000);
	return { name, ...result, passed: result.ok ? 1 : 0, failed: result.ok ? 0 : 1, skipped: [] };
}

/** Runs the built form of test/NAME.test.ts. A file that tests nothing, crashes or hangs has failed. */
export async function runTestFile(file: string, timeoutMs: number): Promise<FileResult> {
	const program = `dist/${file.replace(/\.ts$/, ".cjs")}`;
	const result = await runProgram(process.execPath, [program], timeoutMs);
	const tests = readTap(result.output);
	const broken = !result.ok || tests.passed + tests.failed + tests.skipped.length === 0;
	const failed = broken && tests.failed === 0 ? 1 : tests.failed;
	return { name: file, seconds: result.seconds, output: result.output, ...tests, failed };
}

type Tests = Pick<FileResult, "passed" | "failed" | "skipped">;

/** Counts the innermost tests of a file; a test without tests inside counts once, however much it asserts. */
function readTap(output: string): Tests {
	const counts = { passed: 0, failed: 0, skipped: [] as string[] };
	const parser = new Parser({ passes: true });
	countTests(parser, counts, true);
	parser.end(output);
	return counts;
}

function countTests(
	parser: Parser,
	counts: { passed: number; failed: number; skipped: string[] },
	top: boolean,
): void {
	let inner: { failedBefore: number; hasTests: boolean } | undefined;
	parser.on("child", (child: Parser) => {
		const seen = { failedBefore: counts.failed, hasTests: false };
		child.on("child", () => {
			seen.hasTests = true;
		});
		countTests(child, counts, false);
		inner = seen;
	});
	parser.on("assert", (test) => {
		const own = inner;
		inner = undefined;
		if (test.skip) counts.skipped.push(`${test.name}: ${test.skip === true ? "no reason given" : test.skip}`);
		else if (own?.hasTests || (own === undefined && !top)) {
			// A test around others fails by itself only when none of them did; plain assertions count with their test.
			if (!test.ok && own !== undefined && counts.failed === own.failedBefore) counts.failed += 1;
		} else if (test.ok || test.todo) counts.passed += 1;
		else counts.failed += 1;
	});
}

function runProgram(program: string, args: readonly string[], timeoutMs: number): Promise<ProgramResult> {
	// NODE_EXTRA_CA_CERTS costs every start of Node 20 some 35 ms.
	const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;
	const started = performance.now();
	return new Promise((resolve, reject) => {
		const child = spawn(program, args, {
			stdio: ["ignore", "pipe", "pipe"],
			detached: true,
			// The time limit is ours; tap would end each test after 30 seconds, also on a busy machine.
			env: { ...environment, TAP_TIMEOUT: "0" },
		});
		const chunks: Buffer[] = [];
		child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
		child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
		child.on("error", reject);
		const timer = setTimeout(() => {
			chunks.push(Buffer.from(`\n# stopped after ${timeoutMs / 1000} s\n`));
			if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
		}, timeoutMs);
		// "exit" and not "close": a daemon that a test left behind may hold the pipe open.
		child.on("exit", (code) => {
			clearTimeout(timer);
			setTimeout(() => {
				const seconds = (performance.now() - started) / 1000;
				resolve({ ok: code === 0, seconds, output: Buffer.concat(chunks).toString() });
			}, 20);
		});
	});
}
