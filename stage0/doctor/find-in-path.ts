import * as fs from "node:fs";
import * as path from "node:path";

/** Where programs for root are, which a caller's PATH may lack. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The program that would be started for a name; undefined when there is none. */
export function findInPath(
	name: string,
	search = `${process.env.PATH ?? ""}:${SYSTEM_PATH}`,
): string | undefined {
	const files = search
		.split(":")
		.flatMap((directory) => (directory === "" ? [] : path.join(directory, name)));
	return files.find((file) => {
		try {
			fs.accessSync(file, fs.constants.X_OK);
			return fs.statSync(file).isFile();
		} catch {
			return false;
		}
	});
}
