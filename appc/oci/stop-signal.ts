import * as os from "node:os";

/** Real-time signals as C libraries and systemd number them. */
const REALTIME_FIRST = 34;
const REALTIME_LAST = 64;

/**
 * The number of a signal as images name it: `SIGQUIT`, `quit`, `3`, `SIGRTMIN+3`, `RTMAX-1` (OCI image specification,
 * Image Configuration, StopSignal). Undefined for anything else.
 */
export function signalNumber(text: string): number | undefined {
	if (/^[0-9]{1,2}$/.test(text)) return inRange(Number(text), 1, REALTIME_LAST);
	const name = text.toUpperCase().replace(/^SIG/, "");
	const realtime = /^RT(MIN|MAX)(?:([+-])([0-9]{1,2}))?$/.exec(name);
	if (realtime) return realtimeNumber(realtime[1] as string, realtime[2] ?? "+", Number(realtime[3] ?? 0));
	const numbers: Readonly<Record<string, number>> = os.constants.signals;
	return Object.hasOwn(numbers, `SIG${name}`) ? numbers[`SIG${name}`] : undefined;
}

function realtimeNumber(end: string, sign: string, distance: number): number | undefined {
	const start = end === "MIN" ? REALTIME_FIRST : REALTIME_LAST;
	return inRange(start + (sign === "+" ? distance : -distance), REALTIME_FIRST, REALTIME_LAST);
}

function inRange(value: number, from: number, to: number): number | undefined {
	return value >= from && value <= to ? value : undefined;
}
