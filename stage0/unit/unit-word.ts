/** Names of control characters in C's form, systemd.syntax(7). */
const ESCAPES: Readonly<Record<string, string>> = {
	"\n": "\\n",
	"\r": "\\r",
	"\t": "\\t",
	'"': '\\"',
	"\\": "\\\\",
};

/**
 * One word of ExecStart= that systemd hands on exactly as it is: in quotes where needed, and with `%` and `$` doubled,
 * which would begin a specifier or a variable.
 */
export function quoteUnitWord(word: string): string {
	const literal = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
	if (/^[\w%$@/:.,=+~^-]+$/.test(literal)) return literal;
	const escaped = literal.replace(
		/["\\\p{Cc}]/gu,
		(character) => ESCAPES[character] ?? hexadecimal(character),
	);
	return `"${escaped}"`;
}

/** Of each byte in UTF-8. */
function hexadecimal(character: string): string {
	return [...Buffer.from(character)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}
