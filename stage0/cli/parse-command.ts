import { RktError } from "../../lib/errors.ts";
import { type Token, toCanonicalWords } from "./argv.ts";
import type { OptionSpec } from "./option.ts";

/** Flags in the order they were given, each with its text. */
export type GivenValues = { spec: OptionSpec; value: string }[];

/**
 * The flags of the chosen command. When the tokens hold anything that is not a known flag with a value, commander
 * reads the line: it says what is wrong with it and what was probably meant. A correct line does without, which
 * saves the 2 ms of loading it. Errors: `flag-unknown`, `flag-value-missing`.
 */
export async function parseTokens(
	commandName: string,
	specs: readonly OptionSpec[],
	tokens: readonly Token[],
): Promise<GivenValues> {
	const complete = readComplete(tokens);
	return complete ?? parseWithCommander(commandName, specs, toCanonicalWords(tokens));
}

/** Undefined when a flag is unknown or lacks its value. */
function readComplete(tokens: readonly Token[]): GivenValues | undefined {
	const given: GivenValues = [];
	for (const token of tokens) {
		if (token.kind === "unknown") return undefined;
		if (token.kind !== "option") continue;
		const { spec, value } = token.option;
		if (value === undefined) return undefined;
		given.push({ spec, value });
	}
	return given;
}

async function parseWithCommander(
	commandName: string,
	specs: readonly OptionSpec[],
	words: readonly string[],
): Promise<GivenValues> {
	const { Command, CommanderError, Option } = await import("commander");
	const given: GivenValues = [];
	const parser = new Command(commandName).exitOverride().helpOption(false).allowExcessArguments(true);
	parser.configureOutput({ writeErr: () => {}, writeOut: () => {} });
	for (const spec of specs) {
		const option = new Option(`--${spec.name} <value>`).argParser((value: string) => {
			given.push({ spec, value });
			return value;
		});
		if (spec.hidden || spec.deprecated) option.hideHelp();
		parser.addOption(option);
	}
	try {
		parser.parse(words, { from: "user" });
	} catch (error) {
		if (error instanceof CommanderError) throw explain(error, commandName);
		throw error;
	}
	return given;
}

function explain(error: { code: string; message: string }, commandName: string): RktError {
	const flag = /'(-[^' =]*)/.exec(error.message)?.[1] ?? error.message;
	if (error.code === "commander.optionMissingArgument") {
		return new RktError("flag-value-missing", `flag needs an argument: ${flag}`, {
			hint: `write ${flag}=VALUE`,
		});
	}
	if (error.code !== "commander.unknownOption") throw error;
	const unknown = flag.startsWith("--") ? `unknown flag: ${flag}` : `unknown shorthand flag: ${flag}`;
	const meant = /Did you mean (?:one of )?(.*)\?\)/.exec(error.message)?.[1];
	return new RktError("flag-unknown", unknown, {
		hint: meant === undefined ? `see rkt help ${commandName}` : `did you mean ${meant}?`,
	});
}
