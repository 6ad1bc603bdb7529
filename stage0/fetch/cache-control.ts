/** Seconds that a response may be reused without asking; later directives win, 0 when nothing is promised. */
export function maxAgeOf(header: string | undefined): number {
	let seconds = 0;
	for (const directive of (header ?? "").split(",").map((part) => part.trim().toLowerCase())) {
		if (directive === "no-store" || directive === "no-cache") seconds = 0;
		const age = /^max-age=(0|[1-9]\d{0,9})$/.exec(directive)?.[1];
		if (age !== undefined) seconds = Number(age);
	}
	return seconds;
}

/** True while the server's promise of {@link maxAgeOf} holds; a clock that was set back ends it. */
export function isFresh(record: { downloadTime: number; maxAge: number }, now: number): boolean {
	const age = Math.floor((now - record.downloadTime) / 1000);
	return age >= 0 && age < record.maxAge;
}
