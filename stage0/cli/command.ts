import type { Log } from "../../lib/log.ts";
import type { AppArguments } from "./app-args.ts";
import type { Globals } from "./globals.ts";
import type { OptionSpec } from "./option.ts";
import type { ParsedOptions } from "./parsed-options.ts";

/** What every handler gets beside its own flags and arguments. */
export interface CommandContext {
	/** Prefixed with the leaf name of the command. */
	readonly log: Log;
	readonly globals: Globals;
	/** The caller's environment. */
	readonly environment: Readonly<Record<string, string>>;
}

export interface Invocation {
	readonly options: ParsedOptions;
	/** The words that are no flags. */
	readonly args: readonly string[];
	/** For commands with the image grammar: the images with their own flags. */
	readonly apps: readonly AppArguments[];
	/** `--mount` in front of every image. */
	readonly globalMounts: readonly string[];
}

/** Does the work and gives the exit status. */
export type Handler = (context: CommandContext, invocation: Invocation) => Promise<number>;

/**
 * How the words after the flags are read. `free`: flags may follow arguments. `stop`: the first argument ends
 * the flags. `images`: the grammar of `run`, with flags, `--` and `---` for each image.
 */
export type Grammar = "free" | "stop" | "images";

/** A command as data. */
export interface CommandSpec {
	/** Full name, such as `image list`; the last word is the prefix of its messages. */
	readonly name: string;
	/** One line for the list of commands. */
	readonly summary: string;
	/** What follows the name in the usage line. */
	readonly usage: string;
	readonly description: string;
	readonly options: readonly OptionSpec[];
	/** Flags that belong to the preceding image; only with the grammar `images`. */
	readonly appOptions: readonly OptionSpec[];
	readonly grammar: Grammar;
	/** Number of arguments: at least, at most. */
	readonly arguments: readonly [minimum: number, maximum: number];
	/** Refuses to run for anyone but root. */
	readonly needsRoot: boolean;
	readonly hidden: boolean;
	/** What completion offers for its arguments. */
	readonly completes: "pods" | "images" | "files" | "commands" | "shells" | "nothing";
	/** Loads the handler: nothing of a command is loaded before it is chosen. */
	readonly load: () => Promise<Handler>;
}

type Defaults = "options" | "appOptions" | "grammar" | "arguments" | "needsRoot" | "hidden" | "completes";

export type CommandDefinition = Omit<CommandSpec, Defaults> & Partial<Pick<CommandSpec, Defaults>>;

/** Fills in what most commands have in common. */
export function defineCommand(definition: CommandDefinition): CommandSpec {
	return {
		options: [],
		appOptions: [],
		grammar: "free",
		arguments: [0, 0],
		needsRoot: false,
		hidden: false,
		completes: "nothing",
		...definition,
	};
}

/** The last word of a command's name. */
export function leafName(command: CommandSpec): string {
	return command.name.split(" ").at(-1) as string;
}
