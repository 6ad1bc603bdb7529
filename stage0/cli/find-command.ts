import { fail } from "../../lib/errors.ts";
import { type OptionLookup, readToken, type Token } from "./argv.ts";
import type { CommandSpec } from "./command.ts";
import { COMMANDS, GROUPS } from "./command-table.ts";

/** Where a command line leads. */
export type FoundCommand =
	| { readonly kind: "command"; readonly command: CommandSpec }
	| { readonly kind: "group"; readonly name: string }
	| { readonly kind: "none" };

export interface CommandWords {
	readonly found: FoundCommand;
	/** Flags that stood in front of or inside the command's name. */
	readonly tokens: readonly Token[];
	/** Everything behind the command's name. */
	readonly rest: readonly string[];
}

/**
 * Takes the name of the command from the front of the command line; flags of the program may stand between its
 * words, and each word may be any unique beginning. Errors: `command-unknown`.
 */
export function findCommand(words: readonly string[], globals: OptionLookup): CommandWords {
	const tokens: Token[] = [];
	let prefix = "";
	let index = 0;
	while (index < words.length) {
		const { token, used } = readToken(words.slice(index, index + 2), globals);
		index += used;
		if (token.kind !== "word") {
			tokens.push(token);
			continue;
		}
		const name = expandWord(prefix, token.text);
		const command = COMMANDS.find((candidate) => candidate.name === name);
		if (command) return { found: { kind: "command", command }, tokens, rest: words.slice(index) };
		prefix = name;
	}
	const found: FoundCommand = prefix === "" ? { kind: "none" } : { kind: "group", name: prefix };
	return { found, tokens, rest: [] };
}

/** The full name of a command or group for one more word of it. Errors: `command-unknown`. */
function expandWord(prefix: string, word: string): string {
	const names = namesBelow(prefix);
	const full = (name: string): string => (prefix === "" ? name : `${prefix} ${name}`);
	if (names.includes(word)) return full(word);
	const matches = names.filter((name) => word !== "" && name.startsWith(word));
	if (matches.length === 1) return full(matches[0] as string);
	const where = prefix === "" ? "rkt" : `rkt ${prefix}`;
	return fail("command-unknown", `unknown command ${JSON.stringify(word)} for "${where}"`, {
		hint: suggestion(word, matches.length > 0 ? matches : nearest(word, names), where),
	});
}

function namesBelow(prefix: string): string[] {
	if (prefix !== "") {
		const inside = COMMANDS.filter((command) => command.name.startsWith(`${prefix} `));
		return inside.map((command) => command.name.slice(prefix.length + 1));
	}
	const top = COMMANDS.filter((command) => !command.name.includes(" "));
	return [...top.map((command) => command.name), ...Object.keys(GROUPS)];
}

function suggestion(word: string, names: readonly string[], where: string): string {
	if (names.length === 0) return `see ${where} help`.replace(/rkt (.+) help/, "rkt help $1");
	const commands = names.map((name) => `${where} ${name}`).join(", ");
	return names.some((name) => name.startsWith(word)) ? `it may be: ${commands}` : `did you mean ${commands}?`;
}

function nearest(word: string, names: readonly string[]): string[] {
	const limit = Math.max(1, Math.floor(word.length / 3));
	return names.filter((name) => editDistance(word, name) <= limit);
}

/** Levenshtein distance. */
function editDistance(from: string, to: string): number {
	let row = Array.from({ length: to.length + 1 }, (_, index) => index);
	for (let i = 1; i <= from.length; i += 1) {
		const next = [i];
		for (let j = 1; j <= to.length; j += 1) {
			const substitute = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
			next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
		}
		row = next;
	}
	return row[to.length] ?? 0;
}
