import type { EnvironmentVariable } from "../../../appc/schema/app.ts";
import { ENVIRONMENT_NAME_RULE, isEnvironmentName } from "../../../appc/types/environment.ts";
import { fail, messageOf } from "../../../lib/errors.ts";
import { readTextUpTo } from "../../../lib/files.ts";
import type { ParsedOptions } from "../parsed-options.ts";
import { invalidValue, parsePair } from "./scalars.ts";

const MAX_FILE_BYTES = 4 * 1024 * 1024;

/** Variables for all apps of the pod, each source apart so that they can be laid over each other in order. */
export interface PodEnvironment {
	readonly inherited: ReadonlyMap<string, string>;
	readonly files: ReadonlyMap<string, string>;
	readonly set: ReadonlyMap<string, string>;
}

/** Reads --inherit-env, --set-env-file and --set-env. Errors: `flag-value-invalid`, `environment-file-invalid`. */
export function readPodEnvironment(
	options: ParsedOptions,
	caller: Readonly<Record<string, string>>,
): PodEnvironment {
	return {
		inherited: options.on("inherit-env") ? inheritable(caller) : new Map(),
		files: readFiles(options.list("set-env-file")),
		set: readVariables("set-env", options.list("set-env")),
	};
}

/**
 * The environment of an app, lowest precedence first: caller, image, --set-env-file, --set-env, --environment.
 */
export function mergeEnvironment(
	image: readonly EnvironmentVariable[],
	pod: PodEnvironment,
	own: ReadonlyMap<string, string>,
): EnvironmentVariable[] {
	const imageEntries = image.map((variable): [string, string] => [variable.name, variable.value]);
	const merged = new Map([...pod.inherited, ...imageEntries, ...pod.files, ...pod.set, ...own]);
	return [...merged].map(([name, value]) => ({ name, value }));
}

/** Repeatable `NAME=VALUE` flags; the same name twice is an error. */
export function readVariables(flagName: string, values: readonly string[]): Map<string, string> {
	const result = new Map<string, string>();
	for (const word of values) {
		const [name, value] = parsePair(flagName, word);
		if (!isEnvironmentName(name)) invalidValue(flagName, word, `the name must be ${ENVIRONMENT_NAME_RULE}`);
		if (result.has(name)) invalidValue(flagName, word, `${name} is set twice`);
		result.set(name, value);
	}
	return result;
}

/** Shell functions and other names that no manifest may hold stay outside. */
function inheritable(caller: Readonly<Record<string, string>>): Map<string, string> {
	return new Map(Object.entries(caller).filter(([name]) => isEnvironmentName(name)));
}

function readFiles(files: readonly string[]): Map<string, string> {
	const result = new Map<string, string>();
	for (const file of files) {
		for (const [index, line] of readLines(file).entries()) {
			if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
			const split = line.indexOf("=");
			const name = line.slice(0, Math.max(split, 0));
			const refuse = (reason: string): never =>
				fail("environment-file-invalid", `${file}: line ${index + 1}: ${reason}`, {
					hint: "write one NAME=VALUE a line; lines with # or ; in front are comments",
				});
			if (split < 1) refuse("expected NAME=VALUE");
			if (!isEnvironmentName(name)) refuse(`the name must be ${ENVIRONMENT_NAME_RULE}`);
			if (line.includes("\0")) refuse("a null byte is not allowed");
			if (result.has(name)) refuse(`${name} is set twice`);
			result.set(name, line.slice(split + 1));
		}
	}
	return result;
}

function readLines(file: string): string[] {
	let text: string | undefined;
	try {
		text = readTextUpTo(file, MAX_FILE_BYTES);
	} catch (error) {
		return fail("environment-file-invalid", `cannot read ${file}: ${messageOf(error)}`, { cause: error });
	}
	return text?.split(/\r?\n/) ?? fail("environment-file-invalid", `${file} is larger than 4 MiB`);
}
