const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
const MONTH = 30 * DAY;
const YEAR = 12 * MONTH;

/** Below `limit` the time is said as a fixed text, or counted in `unit`. */
const STEPS: readonly (readonly [limit: number, text: string, unit: number])[] = [
	[SECOND, "now", 0],
	[2 * SECOND, "1 second", 0],
	[MINUTE, "seconds", SECOND],
	[2 * MINUTE, "1 minute", 0],
	[HOUR, "minutes", MINUTE],
	[2 * HOUR, "1 hour", 0],
	[DAY, "hours", HOUR],
	[2 * DAY, "1 day", 0],
	[WEEK, "days", DAY],
	[2 * WEEK, "1 week", 0],
	[MONTH, "weeks", WEEK],
	[2 * MONTH, "1 month", 0],
	[YEAR, "months", MONTH],
	[18 * MONTH, "1 year", 0],
	[2 * YEAR, "2 years", 0],
	[37 * YEAR, "years", YEAR],
	[Number.POSITIVE_INFINITY, "a long while", 0],
];

/** How long ago, in the words of rkt: `2 minutes ago`, `now`, `3 hours from now`. */
export function relativeTime(then: Date, now: Date): string {
	const difference = now.getTime() - then.getTime();
	const distance = Math.abs(difference);
	const step = STEPS.find(([limit]) => distance < limit) ?? STEPS.at(-1);
	const [, text, unit] = step as (typeof STEPS)[number];
	if (text === "now") return text;
	const amount = unit === 0 ? text : `${Math.floor(distance / unit)} ${text}`;
	return `${amount} ${difference >= 0 ? "ago" : "from now"}`;
}

/** Bytes with a binary unit: `7.6MiB`, one decimal below ten. */
export function binarySize(bytes: number): string {
	if (bytes < 10) return `${bytes}B`;
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
	const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
	const value = Math.floor((bytes / 1024 ** power) * 10 + 0.5) / 10;
	return `${value.toFixed(value < 10 ? 1 : 0)}${units[power]}`;
}

/** Local time in rkt's layout, `2006-01-02 15:04:05.999 -0700 MST`: no trailing zeros in the fraction. */
export function fullTime(time: Date): string {
	const pad = (value: number, width = 2): string => String(value).padStart(width, "0");
	const date = `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}`;
	const clock = `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`;
	const fraction =
		time.getMilliseconds() === 0 ? "" : `.${pad(time.getMilliseconds(), 3).replace(/0+$/, "")}`;
	const offset = -time.getTimezoneOffset();
	const hours = pad(Math.floor(Math.abs(offset) / 60));
	const minutes = pad(Math.abs(offset) % 60);
	const sign = offset < 0 ? "-" : "+";
	const zone = `${sign}${hours}${minutes}`;
	return `${date} ${clock}${fraction} ${zone} ${zoneName(time, zone)}`;
}

/** The abbreviation where the runtime knows one; else the offset, as the time zone database has it. */
function zoneName(time: Date, offset: string): string {
	if (offset === "+0000") return "UTC";
	const name = new Intl.DateTimeFormat("en-US", { timeZoneName: "short" }).formatToParts(time);
	const short = name.find((part) => part.type === "timeZoneName")?.value ?? "";
	return /^[A-Z]{3,5}$/.test(short) ? short : offset.replace(/00$/, "");
}
