/**
 * Runs the type check, the linter and every test file, and closes with the line `N passed, N failed`.
 * tap's own runner is not used: it loads a TypeScript plugin that needs the API of TypeScript 6 and costs a
 * second a file; a tap file is a program of its own and prints TAP, which tap-parser reads.
 *
 * usage: node dist/scripts/run-tests.cjs [PART-OF-A-FILE-NAME…]
 */
import * as fs from "node:fs";
import { messageOf } from "../lib/errors.ts";
import { createReport } from "./tests/report.ts";
import { type FileResult, runTestFile, runTool } from "./tests/run-file.ts";

const MINUTE = 60_000;
const BIN = "node_modules/.bin";

async function main(patterns: readonly string[]): Promise<number> {
	const files = testFiles(patterns);
	const report = createReport();
	if (patterns.length === 0) {
		report.add(await runTool("type check", `${BIN}/tsc`, ["--noEmit"]));
		report.add(await runTool("lint", `${BIN}/biome`, ["check", "--error-on-warnings"]));
	}
	// Functional tests start pods and watch what is left on the machine: one at a time, after the others. Virtual
	// machines are emulated here, which takes a processor each.
	const functional = files.filter((file) =>
		/^test\/(functional|packaging|stage1-kvm|systemd-host|escapes\/vm-|fuzz\/unit-)/.test(file),
	);
	const unit = files.filter((file) => !functional.includes(file));
	await runAll(unit, 2, 5 * MINUTE, report.add);
	await runAll(functional, 1, 10 * MINUTE, report.add);
	return report.close();
}

function testFiles(patterns: readonly string[]): string[] {
	const names = fs.readdirSync("test", { recursive: true, encoding: "utf8" });
	const files = names.filter((name) => name.endsWith(".test.ts")).map((name) => `test/${name}`);
	if (patterns.length === 0) return files.sort();
	return files.filter((file) => patterns.some((pattern) => file.includes(pattern))).sort();
}

async function runAll(
	files: readonly string[],
	jobs: number,
	timeoutMs: number,
	add: (result: FileResult) => void,
): Promise<void> {
	const queue = [...files];
	const worker = async (): Promise<void> => {
		for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
			add(await runTestFile(file, timeoutMs));
		}
	};
	await Promise.all(Array.from({ length: jobs }, worker));
}

main(process.argv.slice(2)).then(
	(status) => {
		process.exitCode = status;
	},
	(error) => {
		console.error(`run-tests: ${messageOf(error)}`);
		process.exitCode = 1;
	},
);
