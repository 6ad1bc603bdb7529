import { goJson } from "../../../appc/schema/serialize.ts";
import { writeStdout } from "../../../lib/log.ts";

/** How `--format` wants a result; the empty word is the text form. */
export type OutputFormat = "" | "json" | "json-pretty";

/** One line of JSON, or indented with tabs, with a newline at the end. */
export function printJson(value: unknown, format: OutputFormat): void {
	writeStdout(`${goJson(value, format === "json-pretty" ? "\t" : undefined)}\n`);
}
