import { fail } from "../../lib/errors.ts";

/** A JSON object of a configuration file; every reader names the file and the member in its error. */
export interface ConfigObject {
	readonly file: string;
	readonly members: Readonly<Record<string, unknown>>;
}

/** Throws `config-invalid` for one file. */
export function failConfig(file: string, problem: string): never {
	fail("config-invalid", `configuration file ${file}: ${problem}`, {
		hint: "mend or remove the file; docs/configuration.md has the form of each kind",
	});
}

export function toObject(value: unknown, file: string, what: string): ConfigObject {
	if (typeof value !== "object" || value === null || Array.isArray(value)) {
		failConfig(file, `${what} is not a JSON object`);
	}
	return { file, members: value as Record<string, unknown> };
}

/** A string member; absent, null and empty are all "". */
export function optionalString(object: ConfigObject, member: string): string {
	const value = object.members[member] ?? "";
	if (typeof value !== "string") failConfig(object.file, `"${member}" is not a string`);
	return value;
}

export function requireString(object: ConfigObject, member: string): string {
	return optionalString(object, member) || failConfig(object.file, `"${member}" is missing or empty`);
}

/** A list of at least one non-empty string. */
export function requireStrings(object: ConfigObject, member: string): string[] {
	const value = object.members[member];
	const valid =
		Array.isArray(value) && value.length > 0 && value.every((item) => item && typeof item === "string");
	if (!valid) failConfig(object.file, `"${member}" is not a list of at least one non-empty string`);
	return value as string[];
}

export function requireObject(object: ConfigObject, member: string): ConfigObject {
	return toObject(object.members[member], object.file, `"${member}"`);
}
