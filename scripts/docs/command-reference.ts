import type { CommandSpec } from "../../stage0/cli/command.ts";
import { COMMANDS } from "../../stage0/cli/command-table.ts";
import { GLOBAL_OPTIONS } from "../../stage0/cli/globals.ts";
import { usageLine } from "../../stage0/cli/help-text.ts";
import { bareValue, type OptionSpec, spellings } from "../../stage0/cli/option.ts";

const HEAD = `# Commands

This page is written by \`npm run docs\` from the tables in \`stage0/cli/tables/\`, which parsing, \`rkt help\` and the
completion also read; a test fails when it is out of date. The words between flags follow these rules:

- Flags are written \`--flag=value\` or \`--flag value\`; a switch needs \`=\` for an explicit value.
- Global flags may stand in front of the command or behind it.
- \`run\` and \`prepare\` take several images. Flags behind an image belong to it, \`--\` starts the arguments of its app and
  \`---\` ends them. \`--mount\` in front of the first image holds for all.
- A UUID may be shortened to any beginning that only one pod has, an image hash to any beginning that only one image has.
- rkt's own failures end with status 254, \`rkt\` without a command with 2. \`run\`, \`run-prepared\` and \`enter\` end with the
  status of what they ran.
`;

/** The text of docs/commands.md. */
export function commandReference(): string {
	const commands = COMMANDS.filter((command) => !command.hidden);
	return [
		HEAD,
		`## Global flags\n\n${optionTable(GLOBAL_OPTIONS)}\n`,
		...commands.map((command) => commandSection(command)),
	].join("\n");
}

function commandSection(command: CommandSpec): string {
	const parts = [`## rkt ${command.name}`, `\`${usageLine(command)}\``, describe(command)];
	if (command.options.length > 0) parts.push(optionTable(command.options));
	if (command.appOptions.length > 0)
		parts.push(`Flags of one image, behind it:`, optionTable(command.appOptions));
	return `${parts.join("\n\n")}\n`;
}

function describe(command: CommandSpec): string {
	const root = command.needsRoot ? " Needs root." : "";
	return `${command.summary}.${root}\n\n${command.description}`;
}

function optionTable(options: readonly OptionSpec[]): string {
	const rows = options.map((spec) => `| ${flagText(spec)} | ${defaultText(spec)} | ${meaning(spec)} |`);
	return ["| flag | default | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

function flagText(spec: OptionSpec): string {
	return spellings(spec)
		.map((spelling) => `\`${spelling}\``)
		.join(", ");
}

function defaultText(spec: OptionSpec): string {
	const bare = spec.kind === "bool" ? undefined : bareValue(spec);
	const fallback = spec.default === undefined || spec.default === "" ? "" : `\`${spec.default}\``;
	return bare === undefined ? fallback : `${fallback}${fallback ? "; " : ""}without a value \`${bare}\``;
}

function meaning(spec: OptionSpec): string {
	const many = spec.kind === "list" ? " (may be repeated)" : "";
	const old = spec.deprecated === undefined ? "" : `. Deprecated: ${spec.deprecated}`;
	return `${spec.usage}${many}${old}`.replaceAll("|", "\\|");
}
