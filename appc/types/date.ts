const DATE =
	/^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?(?:[Zz]|[+-]([0-9]{2}):([0-9]{2}))$/;

/** True for a date and time of RFC 3339 that exists in the calendar; a leap second is accepted. */
export function isDate(text: string): boolean {
	const parts = DATE.exec(text)?.slice(1).map(Number);
	if (parts === undefined) return false;
	const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, zoneHour = 0, zoneMinute = 0] =
		parts;
	if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return false;
	return hour < 24 && minute < 60 && second <= 60 && !(zoneHour >= 24) && !(zoneMinute >= 60);
}

function daysInMonth(year: number, month: number): number {
	if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
	return [4, 6, 9, 11].includes(month) ? 30 : 31;
}
