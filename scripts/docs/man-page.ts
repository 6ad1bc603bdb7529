import { RKT_VERSION } from "../../lib/version.ts";
import type { CommandSpec } from "../../stage0/cli/command.ts";
import { COMMANDS, GROUPS } from "../../stage0/cli/command-table.ts";
import { GLOBAL_OPTIONS } from "../../stage0/cli/globals.ts";
import { usageLine } from "../../stage0/cli/help-text.ts";
import { bareValue, isVisible, type OptionSpec, spellings } from "../../stage0/cli/option.ts";
import { definition, paragraphs, roffText, section } from "./roff.ts";

/** File name and text of every manual page, all of section 1: rkt(1) and one for each visible command. */
export function manPages(): ReadonlyMap<string, string> {
	const commands = COMMANDS.filter((command) => !command.hidden);
	return new Map([
		["rkt.1", rootPage(commands)],
		...commands.map((command): [string, string] => [`${pageName(command)}.1`, commandPage(command)]),
	]);
}

function pageName(command: CommandSpec): string {
	return `rkt-${command.name.replaceAll(" ", "-")}`;
}

function rootPage(commands: readonly CommandSpec[]): string {
	const list = commands.map((command) =>
		item(`rkt ${command.name}`, `${command.summary}.`, pageName(command)),
	);
	return [
		head("rkt", "runs App Container images in pods"),
		section("SYNOPSIS", synopsis("rkt [FLAG]... COMMAND [ARGUMENT]...")),
		section("DESCRIPTION", paragraphs(DESCRIPTION)),
		section("COMMANDS", list.join("\n")),
		section("OPTIONS", optionList(GLOBAL_OPTIONS)),
		section("EXIT STATUS", EXIT_STATUS),
		section("FILES", FILES),
		section("SEE ALSO", seeAlso([...commands.map(pageName), "systemd-nspawn", "machinectl", "journalctl"])),
		"",
	].join("\n");
}

function commandPage(command: CommandSpec): string {
	const root = command.needsRoot ? "\n\nOnly root can run it." : "";
	const parts = [
		head(pageName(command), command.summary),
		section("SYNOPSIS", synopsis(usageLine(command))),
		section("DESCRIPTION", paragraphs(command.description + root)),
	];
	if (command.options.some(isVisible)) parts.push(section("OPTIONS", optionList(command.options)));
	if (command.appOptions.some(isVisible)) {
		parts.push(
			section(
				"OPTIONS OF AN IMAGE",
				`Behind the image that they belong to.\n${optionList(command.appOptions)}`,
			),
		);
	}
	parts.push(section("GLOBAL OPTIONS", optionList(GLOBAL_OPTIONS)), section("EXIT STATUS", EXIT_STATUS));
	return [...parts, section("SEE ALSO", seeAlso(["rkt", ...siblings(command)])), ""].join("\n");
}

/** The pages of the commands in the same group. */
function siblings(command: CommandSpec): string[] {
	const group = Object.keys(GROUPS).find((name) => command.name.startsWith(`${name} `));
	if (group === undefined) return [];
	const others = COMMANDS.filter(
		(other) => other !== command && !other.hidden && other.name.startsWith(`${group} `),
	);
	return others.map(pageName);
}

const DESCRIPTION = `rkt runs groups of applications, called pods, from App Container images that are fetched by name and whose signatures are verified. There is no daemon: the command becomes the supervisor of the pod, so a pod is started, watched and stopped like any other program, for example as a systemd unit.

For help on a command: rkt help COMMAND, or its manual page.`;

const EXIT_STATUS = [
	definition("0", "Success."),
	definition("2", "rkt was called without a command."),
	definition("254", "rkt itself failed; the reason is on standard error."),
	definition("other", "What rkt run, rkt run-prepared and rkt enter ran ended with it."),
].join("\n");

const FILES = [
	definition("/var/lib/rkt", "Images and pods."),
	definition("/etc/rkt", "Configuration and trusted keys of the administrator."),
	definition("/usr/lib/rkt", "Configuration of the vendor."),
].join("\n");

function head(name: string, summary: string): string {
	const title = name.toUpperCase();
	return `.TH "${roffText(title)}" "1" "" "rkt ${RKT_VERSION}" "rkt"\n.nh\n.ad l\n.SH NAME\n${roffText(name)} \\- ${roffText(summary)}`;
}

/** The first word, the program, in bold. */
function synopsis(line: string): string {
	const [program = "", ...rest] = line.split(" ");
	return `.B ${roffText(program)}\n${roffText(rest.join(" "))}`;
}

function item(term: string, text: string, page: string): string {
	return `${definition(term, text)}\n.br\nSee \\fB${roffText(page)}\\fR(1).`;
}

function optionList(options: readonly OptionSpec[]): string {
	const unique = [...new Map(options.map((spec) => [spec.name, spec])).values()].filter(isVisible);
	const sorted = unique.sort((a, b) => (a.name < b.name ? -1 : 1));
	return sorted.map((spec) => `.TP\n${optionTerm(spec)}\n${roffText(optionText(spec))}`).join("\n");
}

function optionTerm(spec: OptionSpec): string {
	const name = spellings(spec)
		.map((spelling) => `\\fB${roffText(spelling)}\\fR`)
		.join(", ");
	if (bareValue(spec) === undefined) return `${name}=\\fI${spec.kind === "integer" ? "NUMBER" : "VALUE"}\\fR`;
	return spec.kind === "bool" ? name : `${name}[=\\fIVALUE\\fR]`;
}

function optionText(spec: OptionSpec): string {
	const usage = `${spec.usage.slice(0, 1).toUpperCase()}${spec.usage.slice(1)}.`;
	const repeated = spec.kind === "list" ? " May be given several times." : "";
	const shown = spec.default !== undefined && spec.default !== "" && spec.default !== "false";
	const bare = spec.kind !== "bool" && spec.bare !== undefined ? ` Without a value: ${spec.bare}.` : "";
	return `${usage}${repeated}${shown ? ` Default: ${spec.default}.` : ""}${bare}`;
}

function seeAlso(pages: readonly string[]): string {
	return pages.map((page) => `.BR ${roffText(page)} (1)`).join(",\n");
}
