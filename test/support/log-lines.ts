import type { Log } from "../../lib/log.ts";

/** A log that keeps its lines. */
export function createLogLines(): { readonly log: Log; readonly lines: string[] } {
	const lines: string[] = [];
	const log: Log = {
		info: (line) => void lines.push(line),
		debug: () => {},
		debugging: false,
		withPrefix: () => log,
	};
	return { log, lines };
}
