import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { commandReference } from "../scripts/docs/command-reference.ts";
import { COMMANDS } from "../stage0/cli/command-table.ts";
import { GLOBAL_OPTIONS } from "../stage0/cli/globals.ts";
import { readSourceFiles } from "./support/source-files.ts";

const program = readSourceFiles().filter((file) => !/^(test|scripts)\//.test(file.name));
const source = program.map((file) => file.text).join("\n");
const pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...list("docs")];

function list(directory: string): string[] {
	return fs.readdirSync(directory).map((name) => `${directory}/${name}`);
}

function read(file: string): string {
	return fs.readFileSync(file, "utf8");
}

t.test("every error code of the code is in docs/errors.md, and the other way round", async (t) => {
	const documented = [...read("docs/errors.md").matchAll(/^\| `?([a-z][a-z0-9-]+)`? \|/gm)].map(
		(match) => match[1] as string,
	);
	const rows = documented.filter((code) => code !== "code");
	t.strictSame(rows.length, new Set(rows).size, "no code is there twice");
	const thrown = [...source.matchAll(/\b(?:RktError|fail)\(\s*"([a-z0-9-]+)"/g)].map(
		(match) => match[1] as string,
	);
	t.ok(thrown.length > 20, "the codes are found");
	t.strictSame(
		[...new Set(thrown)].filter((code) => !rows.includes(code)),
		[],
		"in the code only",
	);
	t.strictSame(
		rows.filter((code) => !source.includes(`"${code}"`)),
		[],
		"in the table only",
	);
});

t.test("every row of docs/errors.md says what to do", async (t) => {
	const rows = read("docs/errors.md")
		.split("\n")
		.filter((line) => line.startsWith("| ") && !/^\| (---|code)/.test(line));
	const kinds = /^(usage|environment|verification|input|state|internal)$/;
	const poor = rows.filter((row) => {
		const cells = row
			.split(/(?<!\\)\|/)
			.slice(1, -1)
			.map((cell) => cell.trim());
		return cells.length !== 4 || !kinds.test(cells[1] as string) || cells.some((cell) => cell === "");
	});
	t.strictSame(poor, []);
});

t.test("docs/commands.md is what the command tables say", async (t) => {
	t.equal(read("docs/commands.md"), commandReference(), "write it again with npm run docs");
	for (const command of COMMANDS.filter((one) => !one.hidden)) {
		t.ok(read("docs/commands.md").includes(`\n## rkt ${command.name}\n`), command.name);
	}
});

t.test("every environment variable that is read is documented", async (t) => {
	const used = [...source.matchAll(/\benv(?:ironment)?(?:\.|\[")([A-Z][A-Z0-9_]{3,})\b/g)].map(
		(match) => match[1] as string,
	);
	t.ok(used.length > 3, "they are found");
	const text = read("docs/environment.md");
	const internal = ["RKT_CRASH_AT"];
	t.strictSame(
		[...new Set(used)].filter((name) => !internal.includes(name) && !text.includes(`\`${name}\``)),
		[],
	);
});

t.test("every link between the pages leads somewhere", async (t) => {
	const dead = pages.flatMap((page) =>
		[...read(page).matchAll(/\]\(([^)\s]+)\)/g)]
			.map((match) => match[1] as string)
			.filter((link) => !/^(https?:|#)/.test(link))
			.filter((link) => !fs.existsSync(path.join(path.dirname(page), link.replace(/#.*/, ""))))
			.map((link) => `${page}: ${link}`),
	);
	t.strictSame(dead, []);
});

t.test("files that the pages name exist", async (t) => {
	const missing = pages.flatMap((page) =>
		[
			...read(page).matchAll(
				/`((?:lib|appc|stage0|stage1|stage1-nspawn|scripts|test|docs)\/[\w./-]*\.(?:ts|md|c|sh|mjs|cjs))`/g,
			),
		]
			.map((match) => match[1] as string)
			.filter((file) => !fs.existsSync(file))
			.map((file) => `${page}: ${file}`),
	);
	t.strictSame(missing, []);
});

t.test("commands in the pages have flags that exist", async (t) => {
	const known = new Set(
		[...COMMANDS.flatMap((one) => [...one.options, ...one.appOptions]), ...GLOBAL_OPTIONS].map(
			(spec) => spec.name,
		),
	);
	const unknown = pages.flatMap((page) =>
		[...read(page).matchAll(/^(?:\$ |# |)(?:sudo )?rkt [^\n]*/gm)]
			.map((match) => match[0].split(/ -- /)[0] as string)
			.flatMap((line) => [...line.matchAll(/\s--([a-z][a-z0-9-]+)/g)].map((match) => match[1] as string))
			.filter((name) => name !== "help" && !known.has(name))
			.map((name) => `${page}: --${name}`),
	);
	t.strictSame(unknown, []);
});

t.test("docs/README.md lists every page", async (t) => {
	const index = read("docs/README.md");
	const missing = list("docs").filter(
		(page) => page !== "docs/README.md" && !index.includes(`(${path.basename(page)})`),
	);
	t.strictSame(missing, []);
});
