import { bareValue, type OptionSpec, spellings } from "./option.ts";
import type { GivenOption } from "./parsed-options.ts";

/** One piece of a command line once it is known which flags take a value. */
export type Token =
	| { readonly kind: "option"; readonly option: GivenOption }
	| { readonly kind: "unknown"; readonly text: string }
	| { readonly kind: "help" }
	| { readonly kind: "word"; readonly text: string };

/** By spelling, with its dashes. */
export type OptionLookup = (spelling: string) => OptionSpec | undefined;

/** Table look-up over several tables; the first table with the name wins. */
export function lookupIn(...tables: readonly (readonly OptionSpec[])[]): OptionLookup {
	const bySpelling = new Map(
		tables
			.flat()
			.toReversed()
			.flatMap((spec) => spellings(spec).map((spelling) => [spelling, spec])),
	);
	return (spelling) => bySpelling.get(spelling);
}

/**
 * Reads the flag or word at the front of `words` in the syntax of rkt's flag library (long flags; `--flag
 * value` and `--flag=value`; a switch and a flag with a bare value take one only after `=`; `-f value`, `-fvalue`
 * where the table has a short form), and tells how many words it took.
 */
export function readToken(words: readonly string[], lookup: OptionLookup): { token: Token; used: number } {
	const word = words[0] as string;
	if (!word.startsWith("-") || word === "-") return { token: { kind: "word", text: word }, used: 1 };
	if (word === "-h" || word === "--help" || word === "--help=true")
		return { token: { kind: "help" }, used: 1 };
	const [spelling, attached] = splitFlag(word);
	const spec = spelling === undefined ? undefined : lookup(spelling);
	if (spec === undefined) return { token: { kind: "unknown", text: word }, used: 1 };
	const option = (value: string | undefined): Token => ({ kind: "option", option: { spec, value } });
	if (attached !== undefined) return { token: option(attached), used: 1 };
	const bare = bareValue(spec);
	if (bare !== undefined) return { token: option(bare), used: 1 };
	return { token: option(words[1]), used: words.length > 1 ? 2 : 1 };
}

function splitFlag(word: string): [spelling: string | undefined, value: string | undefined] {
	const match = /^(--[^=]+)(?:=([\s\S]*))?$/.exec(word) ?? /^(-[A-Za-z])(?:=?([\s\S]+))?$/.exec(word);
	return [match?.[1], match?.[2]];
}

export interface SplitWords {
	readonly tokens: readonly Token[];
	/** The arguments; with `stopAtWord` everything from the first argument on, unread. */
	readonly rest: readonly string[];
}

/** Separates flags from arguments; `--` ends the flags. */
export function splitWords(words: readonly string[], lookup: OptionLookup, stopAtWord: boolean): SplitWords {
	const tokens: Token[] = [];
	const rest: string[] = [];
	for (let index = 0; index < words.length; ) {
		if (words[index] === "--") return { tokens, rest: [...rest, ...words.slice(index + 1)] };
		const { token, used } = readToken(words.slice(index, index + 2), lookup);
		if (token.kind !== "word") tokens.push(token);
		else if (stopAtWord) return { tokens, rest: words.slice(index) };
		else rest.push(token.text);
		index += used;
	}
	return { tokens, rest };
}

/** The flags as commander reads them: one word each, `--name=value`. */
export function toCanonicalWords(tokens: readonly Token[]): string[] {
	return tokens.flatMap((token) => {
		if (token.kind === "unknown") return [token.text];
		if (token.kind !== "option") return [];
		const { spec, value } = token.option;
		return [value === undefined ? `--${spec.name}` : `--${spec.name}=${value}`];
	});
}
