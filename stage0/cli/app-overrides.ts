import * as path from "node:path";
import type { Annotation } from "../../appc/schema/common.ts";
import type { Mount } from "../../appc/schema/pod-manifest.ts";
import { isACIdentifier } from "../../appc/types/ac-identifier.ts";
import { isACName } from "../../appc/types/ac-name.ts";
import { fail } from "../../lib/errors.ts";
import type { AppOverrides } from "../pod/app-overrides.ts";
import type { AppArguments } from "./app-args.ts";
import type { OptionSpec } from "./option.ts";
import { createParsedOptions, type ParsedOptions } from "./parsed-options.ts";
import { readVariables } from "./values/environment.ts";
import { readIsolatorFlags } from "./values/isolator-flags.ts";
import { mergeMounts, parseMount } from "./values/mount.ts";
import { invalidValue, parseBool, parseInteger, parsePair } from "./values/scalars.ts";

const LARGEST_ID = 0xfffffffe;
const STREAM_MODES: Readonly<Record<string, readonly string[]>> = {
	stdin: ["null", "stream", "tty"],
	stdout: ["log", "null", "stream", "tty"],
	stderr: ["log", "null", "stream", "tty"],
};

/** The flags of one image, each checked for its kind. Errors: `flag-value-invalid`, `flag-value-missing`. */
export function readAppFlags(app: AppArguments, specs: readonly OptionSpec[]): ParsedOptions {
	const given = app.options.map(({ spec, value }) => {
		if (value !== undefined) return { spec, value };
		return fail("flag-value-missing", `flag needs an argument: --${spec.name}`, {
			hint: `write --${spec.name}=VALUE`,
		});
	});
	return createParsedOptions(specs, given);
}

/** What the flags and arguments of one image say about its app. Errors: `flag-value-invalid`. */
export function readAppOverrides(
	app: AppArguments,
	options: ParsedOptions,
	globalMounts: readonly Mount[],
): AppOverrides {
	const given = (name: string): string | undefined => (options.given(name) ? options.text(name) : undefined);
	return {
		name: readName(given("name")),
		exec: given("exec"),
		args: app.args,
		mounts: mergeMounts(options.list("mount").map(parseMount), globalMounts),
		user: readAccount("user", given("user")),
		group: readAccount("group", given("group")),
		supplementaryGIDs: readGroups(given("supplementary-gids")),
		workingDirectory: readDirectory(given("working-dir")),
		readOnlyRootFS: options.given("readonly-rootfs") ? parseBool(options.text("readonly-rootfs")) : undefined,
		environment: readVariables("environment", options.list("environment")),
		annotations: [...readAnnotations(options), ...readStreams(options)],
		userAnnotations: readPairs("user-annotation", options),
		userLabels: readPairs("user-label", options),
		isolators: readIsolatorFlags(options),
	};
}

function readName(name: string | undefined): string | undefined {
	if (name === undefined || isACName(name)) return name;
	return invalidValue("name", name, 'use lower-case letters, digits and "-"');
}

/** A name, a number, or a path in the image; whether it exists is seen when the pod starts. */
function readAccount(flagName: string, value: string | undefined): string | undefined {
	if (value === undefined || /^[^\s\p{Cc}:]+$/u.test(value)) return value;
	return invalidValue(flagName, value, "expected a name, a number or a path in the image");
}

function readGroups(value: string | undefined): number[] | undefined {
	return value?.split(",").map((word) => {
		const id = parseInteger(word, 0, LARGEST_ID);
		return id ?? invalidValue("supplementary-gids", value, `${JSON.stringify(word)} is no group number`);
	});
}

function readDirectory(value: string | undefined): string | undefined {
	if (value === undefined || path.isAbsolute(value)) return value;
	return invalidValue("working-dir", value, "expected an absolute path");
}

function readAnnotations(options: ParsedOptions): Annotation[] {
	const seen = new Set<string>();
	return options.list("annotation").map((word) => {
		const [name, value] = parsePair("annotation", word);
		if (!isACIdentifier(name)) invalidValue("annotation", word, "the name must be an AC identifier");
		if (seen.has(name)) invalidValue("annotation", word, `${name} is set twice`);
		seen.add(name);
		return { name, value };
	});
}

function readStreams(options: ParsedOptions): Annotation[] {
	return Object.entries(STREAM_MODES).flatMap(([stream, modes]) => {
		if (!options.given(stream)) return [];
		const value = options.text(stream);
		if (!modes.includes(value)) invalidValue(stream, value, `expected one of ${modes.join(", ")}`);
		return [{ name: `coreos.com/rkt/stage2/${stream}`, value }];
	});
}

function readPairs(flagName: string, options: ParsedOptions): Record<string, string> | undefined {
	if (!options.given(flagName)) return undefined;
	const pairs = options.list(flagName).map((word) => parsePair(flagName, word));
	const twice = pairs.find(([name], index) => pairs.findIndex(([other]) => other === name) !== index);
	if (twice) invalidValue(flagName, twice.join("="), `${twice[0]} is set twice`);
	return Object.fromEntries(pairs);
}
