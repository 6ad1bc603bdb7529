import t from "tap";
import { RktError } from "../../lib/errors.ts";
import { parseJson } from "../../lib/json.ts";
import { cpuTime } from "../support/cpu-time.ts";

const VALID = [
	"{}",
	"[]",
	"null",
	"true",
	" \t\r\n-0.5e+3 ",
	"1E2",
	'"a\\u00e9\\n\\/\\"\\\\\\b\\f\\r\\t"',
	'"\\ud83d\\ude00"',
	'{"a":[1,2,{"b":null}],"":""}',
	'"\u2028 é 😀"',
	"[[[[[[]]]]]]",
	'{"constructor":1,"toString":2,"hasOwnProperty":3}',
	"[0,-0,10,1.0,1e5,0.1e-7]",
];

t.test("what JSON.parse reads is read the same", (t) => {
	for (const text of VALID) {
		t.strictSame(parseJson(text, "x"), JSON.parse(text));
		t.strictSame(parseJson(Buffer.from(text), "x"), JSON.parse(text));
	}
	t.end();
});

const INVALID: [string | Buffer, string][] = [
	["", "line 1, column 1: expected a value but found the end of the text"],
	["{", "line 1, column 2: expected a member name but found the end of the text"],
	['{"a" 1}', 'line 1, column 6: expected ":" but found "1"'],
	['{"a":1 "b":2}', 'line 1, column 8: expected "," or "}" but found "\\""'],
	["{\n  'a': 1}", 'line 2, column 3: expected a member name but found "\'"'],
	['{"a":1,}', 'line 1, column 8: expected a member name but found "}"'],
	["[1,]", 'line 1, column 4: expected a value but found "]"'],
	["[1 2]", 'line 1, column 4: expected "," or "]" but found "2"'],
	["[1]]", 'line 1, column 4: expected the end but found "]"'],
	["01", 'line 1, column 2: expected the end but found "1"'],
	["1.", 'expected the end but found "."'],
	["+1", "expected a value"],
	[".5", "expected a value"],
	["NaN", "expected a value"],
	["-", "expected a value"],
	["1e999", "a number is too large"],
	["tru", "expected a value"],
	["undefined", "expected a value"],
	['"a', "ends inside a string"],
	['"\n"', 'control character "\\n"'],
	['"\\x"', "bad escape"],
	['"\\u12g4"', "bad escape"],
	['"\\u{1}"', "bad escape"],
	['"\\ud800"', "half of a surrogate pair"],
	['"\\udc00"', "half of a surrogate pair"],
	['"\\ud800\\u0041"', "half of a surrogate pair"],
	['"\ud800"', "line 1, column 2: is not valid Unicode"],
	["\ufeff{}", "byte order mark"],
	[Buffer.from("\ufeff{}"), "byte order mark"],
	[Buffer.from([0x22, 0xc3, 0x28, 0x22]), "line 1, column 2: is not valid UTF-8"],
	[Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), "is not valid UTF-8"],
	[Buffer.from([0x22, 0xc0, 0xaf, 0x22]), "is not valid UTF-8"],
	[Buffer.from("{}", "utf16le"), "expected a member name"],
	['{"a":1,\n"a":2}', 'line 2, column 1: the member "a" stands twice'],
	['{"a":1,"\\u0061":2}', 'the member "a" stands twice'],
	['{"__proto__":1,"__proto__":2}', 'the member "__proto__" stands twice'],
	["// x\n1", "expected a value"],
	["\u00a01", "expected a value"],
	["[".repeat(200), "deeper than 128 levels"],
	["[".repeat(1_000_000), "deeper than 128 levels"],
	['{"a":'.repeat(200), "deeper than 128 levels"],
];

t.test("what is wrong is refused at its place", (t) => {
	for (const [text, message] of INVALID) {
		const name = JSON.stringify(text.toString().slice(0, 30));
		t.throws(() => parseJson(text, "file.json"), { code: "json-invalid" }, name);
		try {
			parseJson(text, "file.json");
		} catch (error) {
			t.ok(error instanceof RktError && error.message.startsWith("file.json: "));
			t.match((error as Error).message, message, name);
		}
	}
	t.end();
});

t.test("a member called __proto__ changes no prototype", (t) => {
	const value = parseJson('{"__proto__":{"polluted":true},"a":1}', "x") as Record<string, unknown>;
	t.equal(Object.getPrototypeOf(value), Object.prototype);
	t.equal(value.polluted, undefined);
	t.strictSame(Object.keys(value), ["__proto__", "a"]);
	t.equal(({} as Record<string, unknown>).polluted, undefined);
	t.end();
});

t.test("limits", (t) => {
	t.throws(() => parseJson("[[1]]", "x", { maxDepth: 1 }), { code: "json-invalid" });
	t.strictSame(parseJson("[1]", "x", { maxDepth: 1 }), [1]);
	t.throws(() => parseJson("[1234567]", "x", { maxBytes: 8 }), { code: "json-invalid" });
	t.throws(() => parseJson(Buffer.alloc(100, " "), "x", { maxBytes: 50 }), { code: "json-invalid" });
	t.end();
});

t.test("ten megabytes of every shape take little time", (t) => {
	const shapes = {
		"one string": JSON.stringify("x".repeat(10_000_000)),
		escapes: `"${"\\u0041".repeat(1_600_000)}"`,
		numbers: `[${"123456.5,".repeat(1_000_000)}0]`,
		members: `{${Array.from({ length: 400_000 }, (_, i) => `"member${i}":${i}`).join(",")}}`,
		"white space": `${" ".repeat(10_000_000)}1`,
		objects: `[${'{"a":1,"b":[]},'.repeat(600_000)}1]`,
	};
	for (const [name, text] of Object.entries(shapes)) {
		const start = cpuTime();
		t.strictSame(JSON.stringify(parseJson(text, "x")), JSON.stringify(JSON.parse(text)), name);
		t.ok(cpuTime() - start < 8000, name);
	}
	t.end();
});
