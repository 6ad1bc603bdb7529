import { RKT_VERSION } from "../../lib/version.ts";
import type { CommandSpec } from "./command.ts";
import { COMMANDS, GROUPS } from "./command-table.ts";
import { GLOBAL_OPTIONS } from "./globals.ts";
import { bareValue, isVisible, type OptionSpec } from "./option.ts";
import { formatTabTable } from "./output/tab-table.ts";

const PROGRAM = "rkt, the application container runner";

/** `rkt help` as rkt lays it out: every section indented, columns aligned with tabs. */
export function rootHelp(): string {
	return [
		section("NAME", indent(`rkt - ${PROGRAM}`)),
		section("USAGE", indent("rkt [command]")),
		section("VERSION", indent(RKT_VERSION)),
		section("COMMANDS", commandTable(COMMANDS)),
		section(
			"DESCRIPTION",
			indent(
				'Runs App Container images in pods, without a daemon.\n\nFor help on a command: "rkt help COMMAND".',
			),
		),
		section("OPTIONS", optionTable([...GLOBAL_OPTIONS, HELP_OPTION])),
	].join("\n");
}

export function groupHelp(group: string): string {
	const inside = COMMANDS.filter((command) => command.name.startsWith(`${group} `));
	return [
		section("NAME", indent(`${group} - ${GROUPS[group]}`)),
		section("USAGE", indent(`rkt ${group} [command]`)),
		section("COMMANDS", commandTable(inside)),
		section("GLOBAL OPTIONS", optionTable(GLOBAL_OPTIONS)),
	].join("\n");
}

export function commandHelp(command: CommandSpec): string {
	const options = [...command.options, ...command.appOptions];
	return [
		section("NAME", indent(`${command.name} - ${command.summary}`)),
		section("USAGE", indent(usageLine(command))),
		section("DESCRIPTION", indent(command.description)),
		section("OPTIONS", optionTable([...options, HELP_OPTION])),
		section("GLOBAL OPTIONS", optionTable(GLOBAL_OPTIONS)),
	].join("\n");
}

export function usageLine(command: CommandSpec): string {
	return `rkt ${command.name} ${command.usage}`.trimEnd();
}

function section(title: string, body: string): string {
	return `${title}:\n${body}`;
}

function indent(text: string): string {
	return text
		.split("\n")
		.map((line) => (line === "" ? "\n" : `\t${line}\n`))
		.join("");
}

function commandTable(commands: readonly CommandSpec[]): string {
	const visible = commands.filter((command) => !command.hidden);
	return formatTabTable(visible.map((command) => ["", command.name, command.summary]));
}

const HELP_OPTION: OptionSpec = {
	name: "help",
	kind: "bool",
	short: "h",
	usage: "help for this command",
	default: "false",
};

function optionTable(options: readonly OptionSpec[]): string {
	const unique = [...new Map(options.map((spec) => [spec.name, spec])).values()].filter(isVisible);
	const sorted = unique.sort((a, b) => (a.name < b.name ? -1 : 1));
	return formatTabTable(sorted.map((spec) => [optionName(spec), spec.usage]));
}

/** `      --name=default`, a default text in quotes, brackets around a value that may be left out. */
function optionName(spec: OptionSpec): string {
	const fallback = spec.default ?? (spec.kind === "list" ? "[]" : "");
	const value = spec.kind === "text" && spec.bare === undefined ? JSON.stringify(fallback) : fallback;
	const assignment = bareValue(spec) === undefined ? `=${value}` : `[=${value}]`;
	return `${spec.short === undefined ? "     " : `  -${spec.short},`} --${spec.name}${assignment}`;
}
