import { RktError } from "../../lib/errors.ts";
import { createLog, writeStderr, writeStdout } from "../../lib/log.ts";
import { readImageWords } from "./app-args.ts";
import { lookupIn, splitWords, type Token } from "./argv.ts";
import { type CommandSpec, type Invocation, leafName } from "./command.ts";
import { findCommand } from "./find-command.ts";
import { GLOBAL_OPTIONS, type Globals, readGlobals } from "./globals.ts";
import { reportError } from "./output/report-error.ts";
import { parseTokens } from "./parse-command.ts";
import { createParsedOptions, type ParsedOptions } from "./parsed-options.ts";

/** Every failure of our own; different from what apps usually give. */
export const EXIT_FAILURE = 254;
const EXIT_MISSING_COMMAND = 2;

/** Runs one command line, without the name of the program in front. Gives the exit status. */
export async function runProgram(
	words: readonly string[],
	environment: Readonly<Record<string, string>>,
): Promise<number> {
	let prefix = "rkt";
	try {
		const { found, tokens, rest } = findCommand(words, lookupIn(GLOBAL_OPTIONS));
		if (found.kind === "command") {
			prefix = leafName(found.command);
			return await runCommandLine(found.command, tokens, rest, environment);
		}
		const help = await import("./help-text.ts");
		const asked = tokens.some((token) => token.kind === "help");
		if (found.kind === "group") writeStdout(help.groupHelp(found.name));
		else if (!asked) writeStderr("rkt: missing command\n");
		await refuseUnknownFlags("", tokens);
		if (found.kind === "none") writeStdout(help.rootHelp());
		return asked || found.kind === "group" ? 0 : EXIT_MISSING_COMMAND;
	} catch (error) {
		reportError(prefix, error, mentionsDebug(words));
		return EXIT_FAILURE;
	}
}

async function runCommandLine(
	command: CommandSpec,
	before: readonly Token[],
	rest: readonly string[],
	environment: Readonly<Record<string, string>>,
): Promise<number> {
	const line = readWords(command, rest);
	const tokens = [...adoptTokens(command, before), ...line.tokens];
	if (tokens.some((token) => token.kind === "help")) {
		await printUsage(command);
		return 0;
	}
	const { globals, options } = await readOptions(command, tokens);
	noticeDeprecated([...tokens, ...appTokens(line)]);
	const [minimum, maximum] = command.arguments;
	if (line.args.length < minimum || line.args.length > maximum) {
		await printUsage(command);
		writeStderr(`${leafName(command)}: ${countProblem(line.args.length, minimum)}\n`);
		return EXIT_FAILURE;
	}
	if (command.needsRoot && process.geteuid?.() !== 0) {
		throw new RktError("root-required", "cannot run as unprivileged user", {
			hint: `run it as root: sudo rkt ${command.name} …`,
		});
	}
	const handler = await command.load();
	const log = createLog(leafName(command), globals.debug);
	return handler({ log, globals, environment }, { ...line, options });
}

async function printUsage(command: CommandSpec): Promise<void> {
	writeStdout((await import("./help-text.ts")).commandHelp(command));
}

interface Line extends Omit<Invocation, "options"> {
	readonly tokens: readonly Token[];
}

function readWords(command: CommandSpec, rest: readonly string[]): Line {
	const podLookup = lookupIn(command.options, GLOBAL_OPTIONS);
	if (command.grammar !== "images") {
		const { tokens, rest: args } = splitWords(rest, podLookup, command.grammar === "stop");
		return { tokens, args, apps: [], globalMounts: [] };
	}
	const { appOptions } = command;
	const read = readImageWords(rest, { podLookup, appOptions, allowArguments: appOptions.length > 1 });
	return { tokens: read.podTokens, args: [], apps: read.apps, globalMounts: read.globalMounts };
}

/** Flags in front of the command's name that the program does not know may be the command's own. */
function adoptTokens(command: CommandSpec, before: readonly Token[]): Token[] {
	const lookup = lookupIn(command.options, GLOBAL_OPTIONS);
	return before.flatMap((token) =>
		token.kind === "unknown" ? splitWords([token.text], lookup, false).tokens : [token],
	);
}

async function readOptions(
	command: CommandSpec,
	tokens: readonly Token[],
): Promise<{ globals: Globals; options: ParsedOptions }> {
	const specs = [...command.options, ...command.appOptions, ...GLOBAL_OPTIONS];
	const given = await parseTokens(command.name, specs, tokens);
	const options = createParsedOptions(specs, given);
	return { globals: readGlobals(options), options };
}

async function refuseUnknownFlags(name: string, tokens: readonly Token[]): Promise<void> {
	const given = await parseTokens(name, GLOBAL_OPTIONS, tokens);
	readGlobals(createParsedOptions(GLOBAL_OPTIONS, given));
}

function appTokens(line: Line): Token[] {
	return line.apps.flatMap((app) => app.options.map((option): Token => ({ kind: "option", option })));
}

function noticeDeprecated(tokens: readonly Token[]): void {
	for (const token of tokens) {
		const spec = token.kind === "option" ? token.option.spec : undefined;
		if (spec?.deprecated) writeStderr(`Flag --${spec.name} has been deprecated, ${spec.deprecated}\n`);
	}
}

function countProblem(count: number, minimum: number): string {
	return count < minimum ? "not enough arguments" : "too many arguments";
}

/** For failures before the flags were understood. */
function mentionsDebug(words: readonly string[]): boolean {
	const end = words.indexOf("--");
	const own = end < 0 ? words : words.slice(0, end);
	return own.some((word) => /^--debug(=(1|t|true)$|$)/i.test(word));
}
