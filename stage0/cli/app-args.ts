import { fail } from "../../lib/errors.ts";
import { lookupIn, type OptionLookup, readToken, type Token } from "./argv.ts";
import type { OptionSpec } from "./option.ts";
import type { GivenOption } from "./parsed-options.ts";

/** One image of a command line with what was said about it. */
export interface AppArguments {
	readonly image: string;
	/** Its own flags in order. */
	readonly options: readonly GivenOption[];
	/** The arguments between `--` and `---`, unchanged, also empty ones. */
	readonly args: readonly string[];
}

export interface ImageWords {
	readonly apps: readonly AppArguments[];
	/** Flags of the pod that stood between or behind the images. */
	readonly podTokens: readonly Token[];
	/** `--mount` in front of every image: it holds for all of them. */
	readonly globalMounts: readonly string[];
}

export interface ImageGrammar {
	readonly podLookup: OptionLookup;
	readonly appOptions: readonly OptionSpec[];
	/** False for `fetch`, which knows no arguments for apps. */
	readonly allowArguments: boolean;
}

interface OpenApp {
	readonly image: string;
	readonly options: GivenOption[];
	readonly args: string[];
	argumentsSeen: boolean;
}

/** Flags in front of an image that are meant for all of them. */
const GLOBAL_FOR_ALL = "mount";
/** Flags that are refused a second time for the same image. */
const ONCE = ["signature", "exec", "name"];

interface State {
	readonly words: readonly string[];
	readonly grammar: ImageGrammar;
	readonly lookup: OptionLookup;
	readonly apps: OpenApp[];
	readonly podTokens: Token[];
	readonly globalMounts: string[];
	index: number;
	flagsEnded: boolean;
}

/**
 * The grammar `[pod flags] IMAGE [app flags] [-- ARGS [---]] IMAGE …` (cli.md section 3.2 of the reference),
 * read over all words of the command. Errors: `image-required`, `app-arguments-repeated`,
 * `app-arguments-unsupported`, `flag-repeated`.
 */
export function readImageWords(words: readonly string[], grammar: ImageGrammar): ImageWords {
	const state: State = {
		words,
		grammar,
		lookup: layeredLookup(grammar),
		apps: [],
		podTokens: [],
		globalMounts: [],
		index: 0,
		flagsEnded: false,
	};
	while (state.index < words.length) step(state);
	return state;
}

function step(state: State): void {
	const word = state.words[state.index] as string;
	if (word === "--") takeDashes(state);
	else if (word === "---" || word === "") state.index += 1;
	else takeToken(state);
}

/** As in rkt the first `--` in front of every image only ends the flags of the pod. */
function takeDashes(state: State): void {
	state.index += 1;
	if (state.apps.length === 0 && !state.flagsEnded) {
		state.flagsEnded = true;
		return;
	}
	const app = openArguments(state);
	const end = state.words.indexOf("---", state.index);
	const stop = end < 0 ? state.words.length : end;
	app.args.push(...state.words.slice(state.index, stop));
	state.index = stop + 1;
}

function takeToken(state: State): void {
	const { token, used } = readToken(state.words.slice(state.index, state.index + 2), state.lookup);
	state.index += used;
	if (token.kind === "word") {
		state.apps.push({ image: token.text, options: [], args: [], argumentsSeen: false });
	} else if (token.kind === "option" && isAppOption(state, token.option)) {
		takeAppOption(state, token.option);
	} else {
		state.podTokens.push(token);
	}
}

function isAppOption(state: State, option: GivenOption): boolean {
	return state.grammar.appOptions.includes(option.spec);
}

function takeAppOption(state: State, option: GivenOption): void {
	const app = state.apps.at(-1);
	if (app) addAppOption(app, option);
	else if (option.spec.name === GLOBAL_FOR_ALL) state.globalMounts.push(option.value ?? "");
	else {
		fail("image-required", `--${option.spec.name} must follow an image`, {
			hint: `put the image in front: rkt run IMAGE --${option.spec.name}=…`,
		});
	}
}

function layeredLookup(grammar: ImageGrammar): OptionLookup {
	const own = lookupIn(grammar.appOptions);
	return (spelling) => own(spelling) ?? grammar.podLookup(spelling);
}

function openArguments(state: State): OpenApp {
	if (!state.grammar.allowArguments) fail("app-arguments-unsupported", "app arguments unsupported");
	const app = state.apps.at(-1);
	if (app === undefined) {
		return fail("image-required", "an image is required before any app arguments", {
			hint: "put the image in front: rkt run IMAGE -- ARGUMENTS",
		});
	}
	if (app.argumentsSeen) {
		fail("app-arguments-repeated", `only one set of app arguments allowed per image: ${app.image}`, {
			hint: "end the arguments of an image with --- before the next image",
		});
	}
	app.argumentsSeen = true;
	return app;
}

function addAppOption(app: OpenApp, option: GivenOption): void {
	const { name } = option.spec;
	if (ONCE.includes(name) && app.options.some((other) => other.spec.name === name)) {
		fail("flag-repeated", `--${name} can be given once for the image ${app.image}`);
	}
	app.options.push(option);
}
