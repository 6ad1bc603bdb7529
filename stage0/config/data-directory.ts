import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../../lib/errors.ts";
import type { Config } from "./config.ts";

const DEFAULT_DATA_DIRECTORY = "/var/lib/rkt";

/**
 * The data directory: `--dir` if it was given, else `data` of a paths configuration, else /var/lib/rkt.
 * Symbolic links are resolved as far as the path exists, so that mount points can be compared by name.
 */
export function dataDirectory(flag: string | undefined, config: Config): string {
	return resolveExisting(path.resolve(flag ?? config.paths.data ?? DEFAULT_DATA_DIRECTORY));
}

function resolveExisting(target: string): string {
	try {
		return fs.realpathSync(target);
	} catch (error) {
		if (!isErrno(error, "ENOENT") || target === "/") throw error;
		return path.join(resolveExisting(path.dirname(target)), path.basename(target));
	}
}
