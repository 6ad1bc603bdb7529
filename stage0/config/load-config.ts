import type { Config, ConfigDirectories } from "./config.ts";

/** Reads auth.d, paths.d and stage1.d of each directory. Every error has the code `config-invalid`. */
export function loadConfig(directories: ConfigDirectories): Config {
	throw new Error(`${directories.local}`);
}
