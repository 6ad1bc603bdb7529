import { createHash } from "node:crypto";
import { readTextIfExists } from "../../lib/files.ts";

/** A text with its SHA-256 as last line, so that a damaged one is never taken for another. */
export function encodeChecked(text: string): string {
	return `${text}\n${digest(text)}\n`;
}

/** Undefined when there is no such file, null when it is not what was written. */
export function readChecked(file: string): string | null | undefined {
	const stored = readTextIfExists(file);
	if (stored === undefined) return undefined;
	const end = stored.lastIndexOf("\n", stored.length - 2);
	const text = stored.slice(0, Math.max(0, end));
	return encodeChecked(text) === stored ? text : null;
}

function digest(text: string): string {
	return createHash("sha256").update(text).digest("hex");
}
