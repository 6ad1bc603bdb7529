import * as fs from "node:fs";
import { fail } from "../../lib/errors.ts";

/** The first of the paths that can be executed. Errors: `hypervisor-missing`. */
export function findProgram(name: string, candidates: readonly string[], hint: string): string {
	const found = candidates.find((candidate) => {
		try {
			fs.accessSync(candidate, fs.constants.X_OK);
			return true;
		} catch {
			return false;
		}
	});
	return found ?? fail("hypervisor-missing", `${name} is not installed`, { hint });
}
