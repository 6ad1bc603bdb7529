import * as fs from "node:fs";
import * as path from "node:path";
import { pipeline } from "node:stream/promises";
import { fail, isErrno } from "../../../lib/errors.ts";
import { randomSuffix } from "../../../lib/files.ts";
import type { Handler } from "../command.ts";
import { findImage } from "../find-image.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt image export`: the stored archive, or one made of the layers; uncompressed. The file appears when it is complete. */
export const exportImage: Handler = async (context, { options, args }) => {
	const [word = "", name = ""] = args;
	const file = path.resolve(name);
	if (fs.existsSync(file) && !options.on("overwrite")) refuseExisting(file);
	const { openStore } = await import("../../store/store.ts");
	const store = openStore(findDataDirectory(context), await loadSyscall());
	const key = findImage(store, word);
	const temporary = `${file}.${randomSuffix()}.tmp`;
	try {
		if (store.record(key)?.layers === undefined) {
			const blob = store.openBlob(key);
			await pipeline(blob, createFile(temporary));
		} else {
			const { exportLayered } = await import("../../store/export-layered.ts");
			await exportLayered(store, key, () => createFile(temporary));
		}
		if (options.on("overwrite")) fs.renameSync(temporary, file);
		else linkNew(temporary, file);
	} finally {
		fs.rmSync(temporary, { force: true });
	}
	return 0;
};

function createFile(file: string): fs.WriteStream {
	return fs.createWriteStream(file, { flags: "wx", mode: 0o644 });
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
