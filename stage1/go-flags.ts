import { fail } from "../lib/errors.ts";

/** The flags that one entry point knows, by name. */
export type FlagKinds = Readonly<Record<string, "boolean" | "string">>;

export interface ParsedFlags {
	readonly flags: Readonly<Record<string, string | boolean>>;
	/** What follows the flags. */
	readonly rest: string[];
}

const TRUE_WORDS = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE_WORDS = new Set(["0", "f", "F", "false", "FALSE", "False"]);

/**
 * Reads arguments as Go's flag package does: `-x` and `--x` are the same, a value follows `=` or is the next
 * word, a switch takes a value only after `=`, and flags end at `--` or at the first other word.
 * Errors: `stage1-arguments-invalid`; a program answers it with exit status 2.
 */
export function parseGoFlags(argv: readonly string[], kinds: FlagKinds): ParsedFlags {
	const flags: Record<string, string | boolean> = {};
	let index = 0;
	while (index < argv.length) {
		const word = argv[index] as string;
		if (word === "--") return { flags, rest: argv.slice(index + 1) };
		const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(word);
		if (!match) break;
		const name = match[1] as string;
		const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
		if (kind === undefined) fail("stage1-arguments-invalid", `flag provided but not defined: -${name}`);
		index += 1;
		if (kind === "boolean") flags[name] = readSwitch(name, match[2]);
		else if (match[2] !== undefined) flags[name] = match[2];
		else {
			if (index >= argv.length) fail("stage1-arguments-invalid", `flag needs an argument: -${name}`);
			flags[name] = argv[index] as string;
			index += 1;
		}
	}
	return { flags, rest: argv.slice(index) };
}

function readSwitch(name: string, value: string | undefined): boolean {
	if (value === undefined || TRUE_WORDS.has(value)) return true;
	if (FALSE_WORDS.has(value)) return false;
	return fail("stage1-arguments-invalid", `invalid boolean value "${value}" for -${name}`);
}
