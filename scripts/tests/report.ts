import { styleText } from "node:util";
import type { FileResult } from "./run-file.ts";

export interface Report {
	/** Prints one line for the file, and its output when something in it failed. */
	add(result: FileResult): void;
	/** Prints what was skipped and why, and the closing line. Returns the exit status. */
	close(): number;
}

export function createReport(): Report {
	const results: FileResult[] = [];
	const colours = process.stdout.isTTY === true;
	const paint = (colour: "green" | "red", text: string): string => (colours ? styleText(colour, text) : text);

	return {
		add: (result) => {
			results.push(result);
			const skipped = result.skipped.length === 0 ? "" : `, ${result.skipped.length} skipped`;
			const mark = result.failed === 0 ? paint("green", "pass") : paint("red", "FAIL");
			const count = `${result.passed} passed${skipped}, ${result.seconds.toFixed(1)} s`;
			console.log(`${mark}  ${result.name} (${count})`);
			if (result.failed > 0) console.log(indent(result.output));
		},
		close: () => {
			const sum = (count: (result: FileResult) => number): number =>
				results.reduce((total, result) => total + count(result), 0);
			const failed = sum((result) => result.failed);
			const skipped = sum((result) => result.skipped.length);
			for (const result of results) {
				for (const reason of result.skipped) console.log(`skipped  ${result.name}: ${reason}`);
				if (result.failed > 0) console.log(`failed  ${result.name}: ${result.failed}`);
			}
			const tail = skipped === 0 ? "" : `, ${skipped} skipped`;
			console.log(`${sum((result) => result.passed)} passed, ${failed} failed${tail}`);
			return failed === 0 ? 0 : 1;
		},
	};
}

function indent(text: string): string {
	return text.replace(/^/gm, "      ");
}
