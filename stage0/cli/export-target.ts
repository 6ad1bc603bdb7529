import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { lstatIfExists } from "../../lib/files.ts";

/**
 * Makes room for a new directory: it must not exist, or is removed with --overwrite.
 * Errors: `target-exists`, `target-invalid`.
 */
export function makeTargetDirectory(word: string, overwrite: boolean): string {
	const target = path.resolve(word);
	if (target === "/") fail("target-invalid", "the root directory cannot be the target");
	if (lstatIfExists(target) !== undefined) {
		if (!overwrite) {
			fail("target-exists", `${target} exists`, { hint: "choose another directory, or use --overwrite" });
		}
		fs.rmSync(target, { recursive: true });
	}
	fs.mkdirSync(target, { mode: 0o755 });
	return target;
}
