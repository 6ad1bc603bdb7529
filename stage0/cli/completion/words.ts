import type { CommandSpec } from "../command.ts";
import { COMMANDS } from "../command-table.ts";
import { GLOBAL_OPTIONS } from "../globals.ts";
import { isVisible, type OptionSpec } from "../option.ts";

/** The shells that a completion is made for. */
export const SHELLS = ["bash", "fish", "zsh"] as const;

export const VISIBLE_COMMANDS: readonly CommandSpec[] = COMMANDS.filter((command) => !command.hidden);

/** Every flag that completion offers for a command, sorted, each once; without a command the global ones. */
export function offeredOptions(command?: CommandSpec): OptionSpec[] {
	const own = command === undefined ? [] : [...command.options, ...command.appOptions];
	const unique = new Map([...own, ...GLOBAL_OPTIONS].filter(isVisible).map((spec) => [spec.name, spec]));
	return [...unique.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The commands of a group without its name. */
export function commandsBelow(group: string): { readonly word: string; readonly summary: string }[] {
	const inside = VISIBLE_COMMANDS.filter((command) => command.name.startsWith(`${group} `));
	return inside.map(({ name, summary }) => ({ word: name.slice(group.length + 1), summary }));
}

/** The words that a flag knows, without the empty one. */
export function knownWords(spec: OptionSpec): string[] {
	return (spec.choices ?? []).filter((word) => word !== "");
}
