import { quote } from "../types/quote.ts";
import { refuseAci } from "./refuse.ts";

/** Longest component of a path, in bytes (linux/limits.h). */
export const NAME_MAX = 255;
/** Longest path, in bytes without its NUL. */
export const PATH_MAX = 4095;

/** A path without empty and `.` components; empty for the root of the archive. */
export function cleanPath(raw: string, what: string, source: string): string {
	const bare = raw.endsWith("/") ? raw.slice(0, -1) : raw;
	if (bare.length > NAME_MAX || UNUSUAL_PATH.test(bare)) return cleanUnusualPath(raw, what, source);
	return decodeName(bare, what, source);
}

/** A component that is empty, `.` or `..`. */
const UNUSUAL_PATH = /(?:^|\/)\.{0,2}(?:\/|$)/;

function cleanUnusualPath(raw: string, what: string, source: string): string {
	if (raw.startsWith("/")) refuseAci(source, `the ${what} ${quote(raw)} is absolute`);
	const parts = raw.split("/").filter((part) => part !== "" && part !== ".");
	for (const part of parts) {
		if (part === "..") refuseAci(source, `the ${what} ${quote(raw)} goes up with ".."`);
		if (part.length > NAME_MAX)
			refuseAci(source, `the ${what} ${quote(raw)} has a component of more than ${NAME_MAX} bytes`);
	}
	const path = parts.join("/");
	if (path.length > PATH_MAX) refuseAci(source, `the ${what} ${quote(raw)} is longer than ${PATH_MAX} bytes`);
	return decodeName(path, what, source);
}

/**
 * The UTF-8 text of a name. Other bytes are refused, because they could not be told apart in manifests,
 * white-lists and messages; so are control characters, because line-based tools and formats break at them.
 */
export function decodeName(raw: string, what: string, source: string): string {
	if (/^[ -~]*$/.test(raw)) return raw;
	const bytes = Buffer.from(raw, "latin1");
	const text = bytes.toString("utf8");
	if (!bytes.equals(Buffer.from(text))) refuseAci(source, `the ${what} ${quote(text)} is not valid UTF-8`);
	if (/\p{Cc}/u.test(text)) refuseAci(source, `the ${what} ${quote(text)} holds a control character`);
	return text;
}
