import { fail } from "../../lib/errors.ts";
import { quote } from "./quote.ts";

export const AC_NAME_RULE = 'lower-case letters, digits and "-", beginning and ending with a letter or digit';

/**
 * True for an AC name (appc 0.8.11, AC Name Type). As in the specification's validator, and unlike its grammar,
 * several `-` may follow each other.
 */
export function isACName(text: string): boolean {
	return /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(text);
}

/** The name itself. Errors: `name-invalid`; `what` says whose name it is. */
export function checkACName(text: string, what: string): string {
	return isACName(text)
		? text
		: fail("name-invalid", `${what} ${quote(text)} is not an AC name`, { hint: `use ${AC_NAME_RULE}` });
}

/** Makes a name of any text: lower-case, other characters to `-`, ends trimmed. Errors: `name-invalid` when nothing is left. */
export function sanitizeACName(text: string): string {
	const cleaned = text
		.toLowerCase()
		.replace(/[^a-z0-9-]/g, "-")
		.replace(/^-+|-+$/g, "");
	return cleaned === "" ? fail("name-invalid", `no AC name can be made of ${quote(text)}`) : cleaned;
}

/** The default name of an app: the last component of its image's name, made an AC name. */
export function appNameOfImage(imageName: string): string {
	return sanitizeACName(imageName.slice(imageName.lastIndexOf("/") + 1));
}
