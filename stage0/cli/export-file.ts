import * as fs from "node:fs";
import * as path from "node:path";
import { fail, isErrno } from "../../lib/errors.ts";
import { randomSuffix } from "../../lib/files.ts";

/** The file under its other name. */
export interface ExportOutput {
	readonly create: () => fs.WriteStream;
	/** What was written. */
	readonly read: () => fs.ReadStream;
}

/**
 * Has a file written under another name beside it, so that it appears when it is complete; a failure leaves none.
 * Errors: `target-exists`, `disk-full`, and those of `write`.
 */
export async function writeExport(
	name: string,
	overwrite: boolean,
	write: (output: ExportOutput) => Promise<unknown>,
): Promise<void> {
	const file = path.resolve(name);
	if (fs.existsSync(file) && !overwrite) refuseExisting(file);
	const temporary = `${file}.${randomSuffix()}.tmp`;
	try {
		await write({
			// Opened at once: a stream that fails before it has opened its file would make it after it was removed.
			create: () => fs.createWriteStream("", { fd: fs.openSync(temporary, "w", 0o644) }),
			read: () => fs.createReadStream(temporary, { highWaterMark: 1024 * 1024 }),
		});
		if (overwrite) fs.renameSync(temporary, file);
		else linkNew(temporary, file);
	} catch (error) {
		if (!isErrno(error, "ENOSPC", "EDQUOT", "EFBIG")) throw error;
		fail("disk-full", `no space left to write ${file}`, {
			hint: "make room on its file system, or choose another place",
			cause: error,
		});
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
