import { fail } from "../../lib/errors.ts";
import { quote } from "./quote.ts";

/**
 * What an AC identifier may look like, for messages. The specification's grammar is
 * `^[a-z0-9]+([-._~/][a-z0-9]+)*$`; its validator, and so every image in the field, only asks for the characters
 * and for alphanumeric ends. This follows the validator, but refuses empty, `.` and `..` path components, because
 * names become directories of the keystore.
 */
export const AC_IDENTIFIER_RULE =
	'lower-case letters, digits and "-._~/", beginning and ending with a letter or digit, without empty, "." or ".." path components';

/** True for an AC identifier (appc 0.8.11, AC Identifier Type), see {@link AC_IDENTIFIER_RULE}. */
export function isACIdentifier(text: string): boolean {
	if (!/^[a-z0-9](?:[a-z0-9._~/-]*[a-z0-9])?$/.test(text)) return false;
	return !text.split("/").some((part) => part === "" || part === "." || part === "..");
}

/** The identifier itself. Errors: `name-invalid`; `what` says whose name it is. */
export function checkACIdentifier(text: string, what: string): string {
	if (isACIdentifier(text)) return text;
	return fail("name-invalid", `${what} ${quote(text)} is not an AC identifier`, {
		hint: `use ${AC_IDENTIFIER_RULE}`,
	});
}

/**
 * Makes an identifier of any text: lower-case, other characters to `_`, ends trimmed, empty path components
 * dropped. Errors: `name-invalid` when nothing is left.
 */
export function sanitizeACIdentifier(text: string): string {
	const cleaned = text
		.toLowerCase()
		.replace(/[^a-z0-9._~/-]/g, "_")
		.replace(/^[-._~/]+|[-._~/]+$/g, "")
		.replace(/\/[/.]*(?=\/)/g, "");
	return isACIdentifier(cleaned)
		? cleaned
		: fail("name-invalid", `no AC identifier can be made of ${quote(text)}`);
}
