import { fail } from "../../../lib/errors.ts";

const TRUE_WORDS = ["1", "t", "T", "true", "TRUE", "True"];
const FALSE_WORDS = ["0", "f", "F", "false", "FALSE", "False"];

/** The words that Go's strconv.ParseBool knows; undefined for any other. */
export function parseBool(word: string): boolean | undefined {
	if (TRUE_WORDS.includes(word)) return true;
	return FALSE_WORDS.includes(word) ? false : undefined;
}

const UNIT_MS: Readonly<Record<string, number>> = {
	ns: 1e-6,
	us: 1e-3,
	µs: 1e-3,
	ms: 1,
	s: 1000,
	m: 60_000,
	h: 3_600_000,
};

/** A duration as Go writes it, such as `1h30m` or `-1s`, in milliseconds; undefined when it is none. */
export function parseDuration(word: string): number | undefined {
	if (/^[+-]?0$/.test(word)) return 0;
	const match = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+)$/.exec(word);
	if (!match) return undefined;
	let total = 0;
	for (const part of (match[2] as string).matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
		total += Number(part[1]) * (UNIT_MS[part[2] as string] as number);
	}
	return match[1] === "-" ? -total : total;
}

/** Milliseconds in the form of Go's Duration.String for whole seconds: `30m0s`. */
export function formatDuration(milliseconds: number): string {
	const seconds = Math.round(milliseconds / 1000);
	const hours = Math.floor(seconds / 3600);
	const minutes = Math.floor((seconds % 3600) / 60);
	if (hours > 0) return `${hours}h${minutes}m${seconds % 60}s`;
	return minutes > 0 ? `${minutes}m${seconds % 60}s` : `${seconds}s`;
}

/** A decimal integer with an optional sign within the range; undefined when it is none. */
export function parseInteger(word: string, minimum: number, maximum: number): number | undefined {
	if (!/^[+-]?\d{1,15}$/.test(word)) return undefined;
	const value = Number(word);
	return value >= minimum && value <= maximum ? value : undefined;
}

/**
 * `NAME=VALUE`. Errors: `flag-value-invalid` without `=` or with an empty name.
 * The value may hold anything but a null byte, also further `=`.
 */
export function parsePair(flagName: string, word: string): [name: string, value: string] {
	const split = word.indexOf("=");
	if (split > 0 && !word.includes("\0")) return [word.slice(0, split), word.slice(split + 1)];
	return invalidValue(flagName, word, "expected NAME=VALUE");
}

/** Refuses the value of a flag in the words of rkt's flag library. */
export function invalidValue(flagName: string, value: string, reason: string, hint?: string): never {
	const message = `invalid argument ${JSON.stringify(value)} for --${flagName}: ${reason}`;
	return fail("flag-value-invalid", message, hint === undefined ? {} : { hint });
}
