import { bareValue, type OptionSpec } from "./option.ts";
import { invalidValue, parseBool, parseDuration, parseInteger } from "./values/scalars.ts";

/** One use of a flag on the command line; `value` is undefined when it needs one and has none. */
export interface GivenOption {
	readonly spec: OptionSpec;
	readonly value: string | undefined;
}

/** The flags of one command line. Asking for a flag that is not in the table is a bug and throws. */
export interface ParsedOptions {
	/** A switch. */
	on(name: string): boolean;
	/** The last value, else the default. */
	text(name: string): string;
	/** Every value in order. */
	list(name: string): readonly string[];
	/** Undefined when it is absent and has no default. */
	integer(name: string): number | undefined;
	/** Milliseconds. */
	duration(name: string): number;
	/** True when the user wrote it. */
	given(name: string): boolean;
}

/**
 * Checks each value against the kind of its flag. Errors: `flag-value-invalid`.
 */
export function createParsedOptions(
	specs: readonly OptionSpec[],
	given: readonly { spec: OptionSpec; value: string }[],
): ParsedOptions {
	const byName = new Map(specs.map((spec) => [spec.name, spec]));
	const values = new Map<string, string[]>();
	for (const { spec, value } of given) {
		checkValue(spec, value);
		values.set(spec.name, spec.kind === "list" ? [...(values.get(spec.name) ?? []), value] : [value]);
	}
	const specOf = (name: string): OptionSpec => {
		const spec = byName.get(name);
		if (spec === undefined) throw new Error(`no flag --${name} in this table`);
		return spec;
	};
	const text = (name: string): string => values.get(specOf(name).name)?.at(-1) ?? specOf(name).default ?? "";
	return {
		on: (name) => parseBool(text(name)) === true,
		text,
		list: (name) => values.get(specOf(name).name) ?? [],
		integer: (name) => (text(name) === "" ? undefined : Number(text(name))),
		duration: (name) => parseDuration(text(name)) ?? 0,
		given: (name) => values.has(specOf(name).name),
	};
}

function checkValue(spec: OptionSpec, value: string): void {
	if (spec.choices && !spec.choices.includes(value)) {
		invalidValue(
			spec.name,
			value,
			`expected one of ${spec.choices.filter((choice) => choice !== "").join(", ")}`,
		);
	}
	if (spec.kind === "bool" && parseBool(value) === undefined) {
		invalidValue(spec.name, value, "expected true or false", hintForSwitch(spec));
	}
	if (spec.kind === "integer" && parseInteger(value, -1e15, 1e15) === undefined) {
		invalidValue(spec.name, value, "expected an integer");
	}
	if (spec.kind === "duration" && parseDuration(value) === undefined) {
		invalidValue(spec.name, value, "expected a duration such as 30m or 1h30m");
	}
	if (value.includes("\0")) invalidValue(spec.name, value, "a null byte is not allowed");
}

function hintForSwitch(spec: OptionSpec): string {
	return bareValue(spec) === undefined
		? `write --${spec.name}=true or --${spec.name}=false`
		: `write --${spec.name}, or --${spec.name}=false`;
}
