/** The end of a phase of a run. */
export interface Mark {
	readonly phase: string;
	/** Microseconds since 1970. */
	readonly at: number;
}

/** Undefined unless somebody asked for a trace: a mark then costs one comparison. */
let marks: Mark[] | undefined;

/** From now on {@link mark} takes notes. Gives when this process started. */
export function startTrace(): Mark {
	const began = { phase: "began", at: Math.round(performance.timeOrigin * 1000) };
	marks = [];
	return began;
}

/** A phase ends here. */
export function mark(phase: string): void {
	marks?.push({ phase, at: Math.round((performance.timeOrigin + performance.now()) * 1000) });
}

/** The marks so far, which are forgotten here; undefined when nobody asked. */
export function takeMarks(): Mark[] | undefined {
	const taken = marks;
	if (marks !== undefined) marks = [];
	return taken;
}
