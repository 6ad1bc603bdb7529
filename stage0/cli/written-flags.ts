import * as path from "node:path";
import type { OptionSpec } from "./option.ts";
import type { GivenOption, ParsedOptions } from "./parsed-options.ts";

/** Flags whose value is a path that may be relative to the current directory. */
const PATH_FLAGS = [
	...["dir", "local-config", "system-config", "user-config", "set-env-file", "pod-manifest"],
	...["signature", "stage1-path", "uuid-file-save"],
];

/** The flags of these tables that the user gave, as words that mean the same in any directory. */
export function writtenFlags(options: ParsedOptions, specs: readonly OptionSpec[]): string[] {
	return specs
		.filter((spec) => options.given(spec.name))
		.flatMap((spec) => {
			const values = spec.kind === "list" ? options.list(spec.name) : [options.text(spec.name)];
			return values.map((value) => writtenFlag({ spec, value }));
		});
}

export function writtenFlag({ spec, value = "" }: GivenOption): string {
	return `--${spec.name}=${PATH_FLAGS.includes(spec.name) ? path.resolve(value) : value}`;
}
