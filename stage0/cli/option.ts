/** How the text of a flag is read. `list` keeps every occurrence, the others the last one. */
export type OptionKind = "bool" | "text" | "integer" | "duration" | "list";

/** One flag of a command, as data: parsing, help, completion and the check of the documentation read this. */
export interface OptionSpec {
	readonly name: string;
	readonly kind: OptionKind;
	/** One letter for `-f`; rkt 1.30 had none, so only commands of ours have them. */
	readonly short?: string;
	/** One line for the help. */
	readonly usage: string;
	/** Text of the value when the flag is absent. */
	readonly default?: string;
	/** The value of the flag when it is given without one, as in `--net`; a switch always has one. */
	readonly bare?: string;
	/** The switch must be written with a value, as in `--readonly-rootfs=true`. */
	readonly valueRequired?: true;
	/** The only words that are accepted. */
	readonly choices?: readonly string[];
	/** Left out of help and completion. */
	readonly hidden?: true;
	/** What to use instead; printed when the flag is used, and the flag is hidden. */
	readonly deprecated?: string;
}

export function flag(name: string, usage: string, more: Partial<OptionSpec> = {}): OptionSpec {
	return { name, kind: "bool", usage, default: "false", ...more };
}

export function text(name: string, usage: string, more: Partial<OptionSpec> = {}): OptionSpec {
	return { name, kind: "text", usage, default: "", ...more };
}

export function list(name: string, usage: string, more: Partial<OptionSpec> = {}): OptionSpec {
	return { name, kind: "list", usage, ...more };
}

export function integer(name: string, usage: string, more: Partial<OptionSpec> = {}): OptionSpec {
	return { name, kind: "integer", usage, ...more };
}

export function duration(name: string, usage: string, more: Partial<OptionSpec> = {}): OptionSpec {
	return { name, kind: "duration", usage, ...more };
}

/** The value of a flag that is given without one; undefined when the next word is its value. */
export function bareValue(spec: OptionSpec): string | undefined {
	if (spec.kind === "bool") return spec.valueRequired ? undefined : "true";
	return spec.bare;
}

/** How the flag is written: `--follow`, and `-f` where it has a short form. */
export function spellings(spec: OptionSpec): string[] {
	return [...(spec.short === undefined ? [] : [`-${spec.short}`]), `--${spec.name}`];
}

/** True for a flag that help and completion show. */
export function isVisible(spec: OptionSpec): boolean {
	return spec.hidden === undefined && spec.deprecated === undefined;
}
