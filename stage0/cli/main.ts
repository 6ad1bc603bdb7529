import { runProgram } from "./program.ts";

/** The program `rkt`. Output is written synchronously, so nothing is lost by leaving at once. */
async function main(): Promise<void> {
	process.exit(await runProgram(process.argv.slice(2), process.env as Record<string, string>));
}

void main();
