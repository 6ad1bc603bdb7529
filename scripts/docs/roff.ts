/** Pieces of manual pages: the requests of the man macros and text that is safe in them (groff_man(7)). */

/** A section with its heading; the body is roff. */
export function section(title: string, body: string): string {
	return `.SH "${title}"\n${body}`;
}

/** Paragraphs are separated by empty lines; one whose lines are indented is an example. */
export function paragraphs(text: string): string {
	return text
		.split("\n\n")
		.map((paragraph) => {
			const lines = paragraph.split("\n");
			if (!lines.every((line) => line.startsWith("    "))) return `.PP\n${lines.map(roffText).join("\n")}`;
			return `.PP\n.RS 4\n.nf\n${lines.map((line) => roffText(line.slice(4))).join("\n")}\n.fi\n.RE`;
		})
		.join("\n");
}

/** A term and, indented below it, its meaning; both plain text. */
export function definition(term: string, text: string): string {
	return `.TP\n\\fB${roffText(term)}\\fR\n${roffText(text)}`;
}

/** Text in which roff sees neither requests nor escapes, and with dashes that can be copied. */
export function roffText(text: string): string {
	return text
		.replaceAll("\\", "\\e")
		.replaceAll("-", "\\-")
		.replaceAll('"', "\\(dq")
		.replace(/^([.'])/gm, "\\&$1")
		.replaceAll("…", "...");
}
