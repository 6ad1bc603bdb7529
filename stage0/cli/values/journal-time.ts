import { invalidValue, parseDuration } from "./scalars.ts";

const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;
/** Forms that mean the same to journalctl, systemd.time(7). */
const PASSED_ON =
	/^(now|today|yesterday|@\d{1,12}(\.\d{1,6})?|\d{4}-\d{2}-\d{2}( \d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?)$/;

/**
 * A time for journalctl: a duration such as `10m` is that long ago, RFC 3339 is understood too. Errors:
 * `flag-value-invalid`.
 */
export function readJournalTime(flagName: string, value: string): string {
	const ago = parseDuration(value);
	if (ago !== undefined && ago >= 0) return `@${((Date.now() - ago) / 1000).toFixed(3)}`;
	const time = RFC_3339.test(value) ? Date.parse(value) : Number.NaN;
	if (!Number.isNaN(time)) return `@${(time / 1000).toFixed(3)}`;
	if (PASSED_ON.test(value)) return value;
	return invalidValue(
		flagName,
		value,
		"expected a duration such as 10m, or a time",
		'write for example 2026-01-31, "2026-01-31 18:00" or 2026-01-31T18:00:00Z',
	);
}
