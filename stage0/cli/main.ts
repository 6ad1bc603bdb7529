import { writeStderr } from "../../lib/log.ts";
import { runProgram } from "./program.ts";

/** The program `rkt`. Output is written synchronously, so nothing is lost by leaving at once. */
async function main(): Promise<void> {
	keepStderrBlocking();
	process.exit(await runProgram(process.argv.slice(2), process.env as Record<string, string>));
}

/**
 * Node looks at process.stderr whenever a socket closes, which makes a stream of the descriptor and the caller's pipe
 * non-blocking for good: for the pod, which inherits it, and for every other program that writes to it.
 */
function keepStderrBlocking(): void {
	const inert = { isTTY: false, write: (text: string) => writeStderr(text) };
	Object.defineProperty(process, "stderr", { value: inert, configurable: true });
}

void main();
