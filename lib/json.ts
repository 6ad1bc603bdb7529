import { RktError } from "./errors.ts";

export interface JsonLimits {
	/** Nesting of objects and arrays. */
	readonly maxDepth?: number;
	/** Length of the document: bytes of a buffer, UTF-16 units of a string. */
	readonly maxBytes?: number;
}

const DEFAULT_MAX_DEPTH = 128;
const DEFAULT_MAX_BYTES = 32 * 1024 * 1024;

interface Cursor {
	readonly text: string;
	readonly source: string;
	readonly maxDepth: number;
	at: number;
	depth: number;
}

/**
 * Reads a JSON document (RFC 8259) without the liberties of JSON.parse: a name may stand once in an object,
 * nesting and size are bounded, text must be valid Unicode without byte order mark or lone surrogate, and a
 * member called `__proto__` is an ordinary property. Numbers become doubles.
 * Errors: `json-invalid`, naming the source, line and column.
 */
export function parseJson(document: string | Uint8Array, source: string, limits: JsonLimits = {}): unknown {
	const maxBytes = limits.maxBytes ?? DEFAULT_MAX_BYTES;
	if (document.length > maxBytes) {
		throw new RktError(
			"json-invalid",
			`${source}: ${document.length} bytes of JSON, at most ${maxBytes} are read`,
		);
	}
	const text = typeof document === "string" ? checkUnicode(document, source) : decodeUtf8(document, source);
	const cursor: Cursor = { text, source, maxDepth: limits.maxDepth ?? DEFAULT_MAX_DEPTH, at: 0, depth: 0 };
	if (text.charCodeAt(0) === 0xfeff) refuse(cursor, "starts with a byte order mark");
	skipSpace(cursor);
	const value = readValue(cursor);
	skipSpace(cursor);
	if (cursor.at < text.length) refuse(cursor, `expected the end but found ${here(cursor)}`);
	return value;
}

function checkUnicode(text: string, source: string): string {
	const lone = text.search(/\p{Surrogate}/u);
	if (lone !== -1) refuse({ text, source, maxDepth: 0, at: lone, depth: 0 }, "is not valid Unicode");
	return text;
}

function decodeUtf8(bytes: Uint8Array, source: string): string {
	try {
		return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
	} catch {
		const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
		return refuse({ text, source, maxDepth: 0, at: text.indexOf("\ufffd"), depth: 0 }, "is not valid UTF-8");
	}
}

function readValue(cursor: Cursor): unknown {
	switch (cursor.text[cursor.at]) {
		case "{":
			return nested(cursor, readObject);
		case "[":
			return nested(cursor, readArray);
		case '"':
			return readString(cursor);
		case "t":
			return readWord(cursor, "true", true);
		case "f":
			return readWord(cursor, "false", false);
		case "n":
			return readWord(cursor, "null", null);
		default:
			return readNumber(cursor);
	}
}

function nested<T>(cursor: Cursor, read: (cursor: Cursor) => T): T {
	cursor.depth++;
	if (cursor.depth > cursor.maxDepth) refuse(cursor, `is nested deeper than ${cursor.maxDepth} levels`);
	cursor.at++;
	skipSpace(cursor);
	const value = read(cursor);
	cursor.depth--;
	return value;
}

function readObject(cursor: Cursor): Record<string, unknown> {
	const object: Record<string, unknown> = {};
	if (take(cursor, "}")) return object;
	for (;;) {
		if (cursor.text[cursor.at] !== '"') refuse(cursor, `expected a member name but found ${here(cursor)}`);
		const start = cursor.at;
		const name = readString(cursor);
		if (Object.hasOwn(object, name)) {
			cursor.at = start;
			refuse(cursor, `the member ${JSON.stringify(name)} stands twice in one object`);
		}
		skipSpace(cursor);
		if (!take(cursor, ":")) refuse(cursor, `expected ":" but found ${here(cursor)}`);
		skipSpace(cursor);
		setMember(object, name, readValue(cursor));
		skipSpace(cursor);
		if (take(cursor, "}")) return object;
		if (!take(cursor, ",")) refuse(cursor, `expected "," or "}" but found ${here(cursor)}`);
		skipSpace(cursor);
	}
}

/** Assignment to `__proto__` would change the prototype instead. */
function setMember(object: Record<string, unknown>, name: string, value: unknown): void {
	if (name !== "__proto__") object[name] = value;
	else Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}

function readArray(cursor: Cursor): unknown[] {
	const array: unknown[] = [];
	if (take(cursor, "]")) return array;
	for (;;) {
		array.push(readValue(cursor));
		skipSpace(cursor);
		if (take(cursor, "]")) return array;
		if (!take(cursor, ",")) refuse(cursor, `expected "," or "]" but found ${here(cursor)}`);
		skipSpace(cursor);
	}
}

function readString(cursor: Cursor): string {
	const { text } = cursor;
	let result = "";
	let start = ++cursor.at;
	for (;;) {
		const code = text.charCodeAt(cursor.at);
		if (code === 0x22) {
			result += text.slice(start, cursor.at++);
			return result;
		}
		if (code === 0x5c) {
			result += text.slice(start, cursor.at) + readEscape(cursor);
			start = cursor.at;
		} else if (code >= 0x20) cursor.at++;
		else if (cursor.at >= text.length) refuse(cursor, "the text ends inside a string");
		else refuse(cursor, `a string holds the control character ${here(cursor)}`);
	}
}

const ESCAPES: Record<string, string> = {
	'"': '"',
	"\\": "\\",
	"/": "/",
	b: "\b",
	f: "\f",
	n: "\n",
	r: "\r",
	t: "\t",
};

function readEscape(cursor: Cursor): string {
	const letter = cursor.text[cursor.at + 1] ?? "";
	const plain = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined;
	if (plain !== undefined) {
		cursor.at += 2;
		return plain;
	}
	const unit = readUnit(cursor);
	if (unit < 0xd800 || unit > 0xdfff) return advance(cursor, 6, String.fromCharCode(unit));
	const low = cursor.text[cursor.at + 6] === "\\" ? readUnit({ ...cursor, at: cursor.at + 6 }) : 0;
	if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) refuse(cursor, "half of a surrogate pair stands alone");
	return advance(cursor, 12, String.fromCharCode(unit, low));
}

function readUnit(cursor: Cursor): number {
	const digits = cursor.text.slice(cursor.at + 2, cursor.at + 6);
	if (cursor.text[cursor.at + 1] !== "u" || !/^[0-9a-fA-F]{4}$/.test(digits)) {
		refuse(cursor, `bad escape ${JSON.stringify(cursor.text.slice(cursor.at, cursor.at + 2))} in a string`);
	}
	return Number.parseInt(digits, 16);
}

function readWord<T>(cursor: Cursor, word: string, value: T): T {
	if (!cursor.text.startsWith(word, cursor.at)) refuse(cursor, `expected a value but found ${here(cursor)}`);
	return advance(cursor, word.length, value);
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

function readNumber(cursor: Cursor): number {
	NUMBER.lastIndex = cursor.at;
	const digits = NUMBER.exec(cursor.text)?.[0];
	if (digits === undefined) return refuse(cursor, `expected a value but found ${here(cursor)}`);
	const value = Number(digits);
	if (!Number.isFinite(value)) refuse(cursor, "a number is too large");
	return advance(cursor, digits.length, value);
}

function advance<T>(cursor: Cursor, count: number, value: T): T {
	cursor.at += count;
	return value;
}

function take(cursor: Cursor, character: string): boolean {
	if (cursor.text[cursor.at] !== character) return false;
	cursor.at++;
	return true;
}

function skipSpace(cursor: Cursor): void {
	for (;;) {
		const code = cursor.text.charCodeAt(cursor.at);
		if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
		cursor.at++;
	}
}

function here(cursor: Cursor): string {
	const point = cursor.text.codePointAt(cursor.at);
	return point === undefined ? "the end of the text" : JSON.stringify(String.fromCodePoint(point));
}

function refuse(cursor: Cursor, problem: string): never {
	const before = cursor.text.slice(0, cursor.at);
	const line = before.split("\n").length;
	const column = cursor.at - before.lastIndexOf("\n");
	throw new RktError("json-invalid", `${cursor.source}: line ${line}, column ${column}: ${problem}`, {
		hint: "mend the JSON document at this place",
	});
}
