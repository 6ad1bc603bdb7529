import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { lstatIfExists } from "../../lib/files.ts";

/**
 * Makes a new directory and has it filled; it must not exist, or is removed with --overwrite. A failure leaves none.
 * Errors: `target-exists`, `target-invalid`, and those of `write`.
 */
export async function writeTargetDirectory(
	word: string,
	overwrite: boolean,
	write: (target: string) => Promise<void>,
): Promise<void> {
	const target = makeTargetDirectory(word, overwrite);
	try {
		await write(target);
	} catch (error) {
		fs.rmSync(target, { recursive: true, force: true });
		throw error;
	}
}

function makeTargetDirectory(word: string, overwrite: boolean): string {
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
