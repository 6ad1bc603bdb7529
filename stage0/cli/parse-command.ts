import { RktError } from "../../lib/errors.ts";
import { type Token, toCanonicalWords } from "./argv.ts";
import type { OptionSpec } from "./option.ts";

/** Flags in the order they were given, each with its text. */
export type GivenValues = { spec: OptionSpec; value: string }[];

/**
 * Lets commander read the flags of the chosen command: it knows unknown flags, missing values and what was
 * probably meant. It is not loaded for a command line without flags. Errors: `flag-unknown`,
 * `flag-value-missing`.
 */
export async function parseTokens(
	commandName: string,
	specs: readonly OptionSpec[],
	tokens: readonly Token[],
): Promise<GivenValues> {
	const words = toCanonicalWords(tokens);
	if (words.length === 0) return [];
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
