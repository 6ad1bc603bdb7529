import { isatty } from "node:tty";
import { writeStderr } from "../../lib/log.ts";

/** Shows how far a download is. */
export interface Progress {
	/** Bytes that are there so far. */
	update(bytes: number): void;
	/** Draws the last state and ends the line. */
	finish(): void;
}

const REDRAW_MS = 1000;
const LINE_COLUMNS = 80;

const SILENT: Progress = { update: () => {}, finish: () => {} };

/** A line on standard error, redrawn once a second; nothing when that is not a terminal. */
export function createProgress(
	label: string,
	total: number | undefined,
	isTerminal: boolean = isatty(2),
	write: (text: string) => void = writeStderr,
): Progress {
	if (!isTerminal) return SILENT;
	let bytes = 0;
	let drawnAt = 0;
	const draw = () => {
		drawnAt = Date.now();
		write(`\r${progressLine(label, bytes, total)}`);
	};
	return {
		update: (now) => {
			bytes = now;
			if (Date.now() - drawnAt >= REDRAW_MS) draw();
		},
		finish: () => {
			draw();
			write("\n");
		},
	};
}

/** `Downloading LABEL: [====>   ] 12.3 MiB/45.6 MiB`, 80 columns wide. */
export function progressLine(label: string, bytes: number, total: number | undefined): string {
	const head = `Downloading ${label}: `;
	if (total === undefined)
		return `${head}${formatBytes(bytes)} of an unknown total size`.padEnd(LINE_COLUMNS - 1);
	const sizes = ` ${formatBytes(bytes)}/${formatBytes(total)}`;
	const width = Math.max(5, LINE_COLUMNS - 3 - head.length - sizes.length);
	const filled = total === 0 ? width : Math.min(width, Math.floor((bytes / total) * width));
	const bar = filled === width ? "=".repeat(width) : `${"=".repeat(filled)}>`.padEnd(width);
	return `${head}[${bar}]${sizes}`;
}

/** IEC units with at most three digits before the point: `7.6 MiB`. */
export function formatBytes(bytes: number): string {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let value = bytes;
	let unit = 0;
	while (value >= 1024 && unit < units.length - 1) {
		value /= 1024;
		unit++;
	}
	return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
