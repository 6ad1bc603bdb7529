import type { EnvironmentVariable } from "../schema/app.ts";
import { isEnvironmentName } from "../types/environment.ts";

/** The environment of an image: what appc has a place for, and variables whose names only the kernel allows. */
export interface DockerEnvironment {
	readonly environment: readonly EnvironmentVariable[];
	/** `NAME=VALUE`, in order. */
	readonly others: readonly string[];
}

/**
 * Reads the list `Env`. As in docker, a name that comes again has its last value, and one without `=` takes the variable
 * away. `refuse` is called with an entry without a name.
 */
export function dockerEnvironment(
	entries: readonly string[],
	refuse: (entry: string) => never,
): DockerEnvironment {
	const values = new Map<string, string>();
	for (const entry of entries) {
		const at = entry.indexOf("=");
		if (at === 0 || entry === "") refuse(entry);
		if (at < 0) values.delete(entry);
		else values.set(entry.slice(0, at), entry.slice(at + 1));
	}
	const all = [...values].map(([name, value]) => ({ name, value }));
	return {
		environment: all.filter(({ name }) => isEnvironmentName(name)),
		others: all.filter(({ name }) => !isEnvironmentName(name)).map(({ name, value }) => `${name}=${value}`),
	};
}
