import { styleText } from "node:util";

/** Tells what the demo does and keeps the list of what it proved. */
export interface Narrator {
	step(title: string): void;
	/** A command line as the user would type it. */
	command(line: string): void;
	/** What a program printed. */
	output(text: string): void;
	note(text: string): void;
	/** Records a fact as proved, or throws with the detail when it does not hold. */
	prove(fact: string, holds: boolean, detail?: string): void;
	summary(): void;
}

export function createNarrator(): Narrator {
	const colours = process.stdout.isTTY === true;
	const paint = (style: "bold" | "dim" | "green", text: string): string =>
		colours ? styleText(style, text) : text;
	const proved = new Set<string>();
	const started = performance.now();
	let steps = 0;
	return {
		step: (title) => {
			steps += 1;
			console.log(`\n${paint("bold", `${steps}. ${title}`)}`);
		},
		command: (line) => console.log(`   ${paint("bold", `$ ${line}`)}`),
		output: (text) => {
			for (const line of text.split("\n").filter((one) => one !== ""))
				console.log(`     ${paint("dim", line)}`);
		},
		note: (text) => console.log(`   ${text}`),
		prove: (fact, holds, detail) => {
			if (!holds) throw new Error(`not so: ${fact}${detail === undefined ? "" : `\n${detail}`}`);
			proved.add(fact);
			console.log(`   ${paint("green", "ok")} ${fact}`);
		},
		summary: () => {
			const seconds = ((performance.now() - started) / 1000).toFixed(0);
			console.log(`\n${paint("bold", `The demo proved, in ${seconds} s:`)}`);
			for (const fact of proved) console.log(`   ${paint("green", "ok")} ${fact}`);
		},
	};
}
