import { invalidValue } from "./scalars.ts";

/**
 * A comma list of `KEY=VALUE`. Keys may be given once and must be known; a value may hold anything but a comma.
 * Nothing is decoded: a `+` or `%20` in a path stays as it is written.
 */
export function readKeyValues(
	flagName: string,
	value: string,
	fields: readonly string[],
	known: readonly string[],
): Map<string, string> {
	const result = new Map<string, string>();
	for (const field of fields) {
		const split = field.indexOf("=");
		const key = split < 0 ? field : field.slice(0, split);
		if (split < 0) invalidValue(flagName, value, `${JSON.stringify(field)} is not KEY=VALUE`);
		if (!known.includes(key)) {
			invalidValue(
				flagName,
				value,
				`unknown parameter ${JSON.stringify(key)}`,
				`choose from ${known.join(", ")}`,
			);
		}
		if (result.has(key)) invalidValue(flagName, value, `${key} is repeated`);
		result.set(key, field.slice(split + 1));
	}
	return result;
}
