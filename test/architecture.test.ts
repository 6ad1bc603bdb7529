import * as fs from "node:fs";
import t from "tap";
import { readSourceFiles, type SourceFile } from "./support/source-files.ts";

/** What each top folder may import; docs/architecture.md gives the reasons. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
	lib: [],
	appc: ["lib"],
	stage1: ["lib", "appc"],
	"stage1-nspawn": ["lib", "appc", "stage1"],
	"stage1-kvm": ["lib", "appc", "stage1"],
	stage0: ["lib", "appc", "stage1"],
	scripts: ["lib", "appc", "stage0", "test"],
	test: ["lib", "appc", "stage1", "stage1-nspawn", "stage1-kvm", "stage0", "scripts"],
};

/** Packages and modules that cost a start several milliseconds; a handler that needs one imports it itself. */
const HEAVY = [
	"zod",
	"zod/mini",
	"htmlparser2",
	"tar-stream",
	"execa",
	"koffi",
	"systeminformation",
	"node:https",
];

const files = readSourceFiles();
const program = files.filter((file) => !/^(test|scripts)\//.test(file.name));
const folderOf = (name: string): string => name.split("/")[0] as string;

t.test("imports go one way: lib, appc, stage1, then stage0 and the backends, which never meet", async (t) => {
	t.ok(program.length > 20, "the sources are found");
	const wrong = files.flatMap((file) =>
		file.imports
			.filter(({ target }) => target !== undefined && !mayImport(file.name, target))
			.map(({ target }) => `${file.name} imports ${target}`),
	);
	t.strictSame(wrong, []);
});

function mayImport(from: string, to: string): boolean {
	return folderOf(from) === folderOf(to) || ALLOWED[folderOf(from)]?.includes(folderOf(to)) === true;
}

t.test("every relative import names an existing file with its extension", async (t) => {
	const missing = files.flatMap((file) =>
		file.imports
			.filter(({ target }) => target !== undefined && !fs.existsSync(target))
			.map(({ target }) => `${file.name}: ${target}`),
	);
	t.strictSame(missing, []);
});

t.test("no modules import each other in a circle", async (t) => {
	t.strictSame(findCycles(files), []);
});

/** Depth-first walk over static imports; type imports vanish at build time and may go in circles. */
function findCycles(sources: readonly SourceFile[]): string[] {
	const byName = new Map(sources.map((file) => [file.name, file]));
	const done = new Set<string>();
	const cycles: string[] = [];
	const visit = (name: string, trail: readonly string[]): void => {
		const index = trail.indexOf(name);
		if (index >= 0) cycles.push([...trail.slice(index), name].join(" -> "));
		if (index >= 0 || done.has(name)) return;
		for (const { kind, target } of byName.get(name)?.imports ?? []) {
			if (kind === "static" && target !== undefined) visit(target, [...trail, name]);
		}
		done.add(name);
	};
	for (const file of sources) visit(file.name, []);
	return cycles;
}

t.test("packages are used where they belong", async (t) => {
	const users = (specifier: string): string[] =>
		program
			.filter((file) => file.imports.some((used) => used.specifier === specifier && used.kind !== "type"))
			.map((file) => file.name);
	const outside = (specifier: string, folder: string): string[] =>
		users(specifier).filter((name) => !name.startsWith(folder));
	t.strictSame(outside("koffi", "lib/syscall/"), [], "only the syscall layer loads koffi");
	t.strictSame(users("zod"), [], "zod is imported as zod/mini, a tenth of the size");
	t.strictSame(outside("commander", "stage0/cli/"), [], "only the command line knows commander");
	const execaStatic = program.filter((file) =>
		file.imports.some((used) => used.specifier === "execa" && used.kind === "static"),
	);
	t.strictSame(
		execaStatic.map((file) => file.name),
		[],
		"execa costs 20 ms: dynamic imports only",
	);
});

t.test("zod comes as a namespace, so that unused parts are left out of the bundle", async (t) => {
	const wrong = files.filter((file) =>
		file.imports.some(({ specifier, clause }) => specifier.startsWith("zod") && !clause.startsWith("* as ")),
	);
	t.strictSame(
		wrong.map((file) => file.name),
		[],
	);
});

t.test("starting rkt loads no heavy package", async (t) => {
	const byName = new Map(files.map((file) => [file.name, file]));
	const reached = new Set(["stage0/cli/main.ts"]);
	for (const name of reached) {
		for (const { kind, target } of byName.get(name)?.imports ?? []) {
			if (kind === "static" && target !== undefined) reached.add(target);
		}
	}
	t.ok(reached.size > 1, "the entry point is found");
	const heavy = [...reached].flatMap((name) =>
		(byName.get(name)?.imports ?? [])
			.filter(({ kind, specifier }) => kind === "static" && HEAVY.includes(specifier))
			.map(({ specifier }) => `${name}: ${specifier}`),
	);
	t.strictSame(heavy, []);
});

t.test("named exports only, and no file that only re-exports", async (t) => {
	const named = files.filter((file) => /^export default\b/m.test(file.text));
	t.strictSame(
		named.map((file) => file.name),
		[],
	);
	const barrels = files.filter((file) => {
		const statements = file.text.split("\n").filter((line) => /^\S/.test(line) && !/^(\/|\*| )/.test(line));
		return (
			statements.length > 0 && statements.every((line) => /^export (type )?(\*|\{.*\}) .*from /.test(line))
		);
	});
	t.strictSame(
		barrels.map((file) => file.name),
		[],
	);
});

t.test("no unfinished business in the sources", async (t) => {
	const marks = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"].join("|")})\\b`);
	const wrong = files.filter((file) => marks.test(file.text));
	t.strictSame(
		wrong.map((file) => file.name),
		[],
	);
});

t.test("the compiler and the linter refuse what the habits of the project exclude", async (t) => {
	const compiler = JSON.parse(fs.readFileSync("tsconfig.json", "utf8"));
	t.equal(compiler.compilerOptions.strict, true);
	const { rules } = JSON.parse(fs.readFileSync("biome.json", "utf8")).linter;
	t.equal(rules.suspicious.noExplicitAny, "error");
	t.equal(rules.style.noDefaultExport, "error");
});
