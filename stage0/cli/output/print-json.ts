import { goJson } from "../../../appc/schema/serialize.ts";
import { writeStdout } from "../../../lib/log.ts";

/** How `--format` wants a result; the empty word is the text form. */
export type OutputFormat = "" | "json" | "json-pretty";

/** One line of JSON, or indented with tabs, with a newline at the end. */
export function printJson(value: unknown, format: OutputFormat): void {
	writeJson(goJson(value, format === "json-pretty" ? "\t" : undefined));
}

/**
 * JSON of which a stranger may have written the strings: what JSON leaves as it is but a terminal may obey, such as U+009B,
 * which begins a sequence as ESC does, or reorder the line by, is escaped.
 */
export function writeJson(text: string): void {
	const harmless = text.replace(
		/[\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
		(character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
	);
	writeStdout(`${harmless}\n`);
}
