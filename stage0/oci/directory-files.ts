import * as fs from "node:fs";
import * as path from "node:path";
import { fail, isErrno } from "../../lib/errors.ts";
import type { ImageFiles } from "./image-files.ts";
import { missingFile } from "./read-file.ts";

const READ_BYTES = 256 * 1024;

/** The files of a directory. Only names that were checked may be asked for. Errors: `file-not-found`. */
export function directoryFiles(directory: string): ImageFiles {
	if (!fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
		fail("file-not-found", `${directory} is not a directory`, { hint: "an OCI layout is a directory" });
	}
	const at = (name: string) => path.join(directory, name);
	const files: ImageFiles = {
		source: directory,
		size: (name) => {
			const stats = fs.statSync(at(name), { throwIfNoEntry: false });
			return stats?.isFile() ? stats.size : undefined;
		},
		open: (name) => readRegularFile(at(name), () => missingFile(files, name)),
		close: async () => {},
	};
	return files;
}

async function* readRegularFile(file: string, missing: () => Error): AsyncGenerator<Buffer> {
	// Without O_NONBLOCK, opening a FIFO would wait for a writer.
	const fd = openIfExists(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
	if (fd === undefined) throw missing();
	if (!fs.fstatSync(fd).isFile()) {
		fs.closeSync(fd);
		throw missing();
	}
	yield* fs.createReadStream(file, { fd, highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>;
}

function openIfExists(file: string, flags: number): number | undefined {
	try {
		return fs.openSync(file, flags);
	} catch (error) {
		if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
		return fail("file-not-found", `cannot read ${file}`, { cause: error });
	}
}
