import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";

/**
 * Copies modules of an installed kernel and those that they need, and writes `order`: their file names in the order in which
 * they are loaded. `base` is the directory of the release with its modules.dep, modules.dep(5), of uncompressed modules.
 * Errors: `build-failed`.
 */
export function copyModules(base: string, names: readonly string[], directory: string): void {
	const needs = readNeeds(path.join(base, "modules.dep"));
	const files = new Set(names.flatMap((name) => filesOf(needs, name)));
	fs.mkdirSync(directory, { recursive: true });
	for (const file of files) fs.copyFileSync(path.join(base, file), path.join(directory, path.basename(file)));
	const order = [...files].map((file) => `${path.basename(file)}\n`);
	fs.writeFileSync(path.join(directory, "order"), order.join(""));
}

/** What each module needs, itself first and what needs nothing last. */
function readNeeds(file: string): readonly (readonly string[])[] {
	const lines = fs.readFileSync(file, "utf8").split("\n");
	return lines
		.filter((line) => line !== "")
		.map((line) => line.split(/:? /).map((word) => word.replace(/:$/, "")));
}

function filesOf(needs: readonly (readonly string[])[], name: string): readonly string[] {
	const found = needs.find(([file = ""]) => path.basename(file) === `${name}.ko`);
	return found ? [...found].reverse() : fail("build-failed", `the kernel has no module ${name}.ko`);
}
