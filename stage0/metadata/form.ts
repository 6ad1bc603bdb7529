/** The fields of a form as bytes. */
export type Form = ReadonlyMap<string, Buffer>;

/**
 * Reads `application/x-www-form-urlencoded`. Values stay bytes: decoding them as UTF-8 would make different
 * contents the same, and a signature for one would be good for the other. undefined for a broken escape, or a
 * field that stands twice, which two readers could understand differently.
 */
export function parseForm(body: Buffer): Form | undefined {
	const fields = new Map<string, Buffer>();
	for (const pair of body.toString("latin1").split("&")) {
		if (pair === "") continue;
		const at = pair.indexOf("=");
		const name = decode(at < 0 ? pair : pair.slice(0, at));
		const value = decode(at < 0 ? "" : pair.slice(at + 1));
		if (name === undefined || value === undefined || fields.has(name.toString("latin1"))) return undefined;
		fields.set(name.toString("latin1"), value);
	}
	return fields;
}

function decode(text: string): Buffer | undefined {
	if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
	const plain = text
		.replaceAll("+", " ")
		.replace(/%(..)/g, (_all, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
	return Buffer.from(plain, "latin1");
}
