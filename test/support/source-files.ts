import * as fs from "node:fs";
import * as path from "node:path";

export interface SourceImport {
	/** As written: a package, a `node:` module or a relative path. */
	readonly specifier: string;
	/** What stands between `import` and `from`, empty for dynamic imports. */
	readonly clause: string;
	readonly kind: "static" | "type" | "dynamic";
	/** Path from the root of the project of a relative import. */
	readonly target: string | undefined;
}

export interface SourceFile {
	/** Path from the root of the project. */
	readonly name: string;
	readonly text: string;
	readonly imports: readonly SourceImport[];
}

const SOURCE_FOLDERS = ["lib", "appc", "stage1", "stage1-nspawn", "stage1-kvm", "stage0", "scripts", "test"];

/** Every TypeScript file of the project with its imports. Runs from the root of the project. */
export function readSourceFiles(): SourceFile[] {
	return SOURCE_FOLDERS.filter((folder) => fs.existsSync(folder))
		.flatMap((folder) =>
			fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`),
		)
		.filter((name) => name.endsWith(".ts"))
		.sort()
		.map((name) => {
			const text = fs.readFileSync(name, "utf8");
			return { name, text, imports: findImports(name, text) };
		});
}

function findImports(file: string, text: string): SourceImport[] {
	const target = (specifier: string): string | undefined =>
		specifier.startsWith(".") ? path.normalize(path.join(path.dirname(file), specifier)) : undefined;
	const statements = text.matchAll(/^(?:import|export)\s+(type\s)?([^;"]*?)\s*from\s+"([^"]+)"/gm);
	const bare = text.matchAll(/^import\s+"([^"]+)"/gm);
	const dynamic = text.matchAll(/(typeof )?\bimport\(\s*"([^"]+)"/g);
	return [
		...[...statements].map(([, type, clause = "", specifier = ""]) => ({
			specifier,
			clause,
			kind: type === undefined ? ("static" as const) : ("type" as const),
			target: target(specifier),
		})),
		...[...bare].map(([, specifier = ""]) => ({
			specifier,
			clause: "",
			kind: "static" as const,
			target: target(specifier),
		})),
		...[...dynamic].map(([, type, specifier = ""]) => ({
			specifier,
			clause: "",
			kind: type === undefined ? ("dynamic" as const) : ("type" as const),
			target: target(specifier),
		})),
	];
}
