import * as fs from "node:fs";
import * as path from "node:path";
import { fail, isErrno } from "../../lib/errors.ts";
import { randomSuffix } from "../../lib/files.ts";

/**
 * Has a file written under another name beside it, so that it appears when it is complete; a failure leaves none.
 * Errors: `target-exists`, and those of `write`.
 */
export async function writeExport(
	name: string,
	overwrite: boolean,
	write: (createOutput: () => fs.WriteStream) => Promise<unknown>,
): Promise<void> {
	const file = path.resolve(name);
	if (fs.existsSync(file) && !overwrite) refuseExisting(file);
	const temporary = `${file}.${randomSuffix()}.tmp`;
	try {
		await write(() => fs.createWriteStream(temporary, { flags: "wx", mode: 0o644 }));
		if (overwrite) fs.renameSync(temporary, file);
		else linkNew(temporary, file);
	} finally {
		fs.rmSync(temporary, { force: true });
	}
}

/** link(2) never replaces a file, also not one that came meanwhile. */
function linkNew(temporary: string, file: string): void {
	try {
		fs.linkSync(temporary, file);
	} catch (error) {
		if (isErrno(error, "EEXIST")) refuseExisting(file);
		throw error;
	}
}

function refuseExisting(file: string): never {
	return fail("target-exists", `${file} exists`, { hint: "choose another name, or use --overwrite" });
}
