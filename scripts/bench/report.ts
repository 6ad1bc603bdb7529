import { median, type Result } from "./measure.ts";

export type Row = readonly string[];

/** A table of GitHub's Markdown. */
export function markdownTable(header: Row, rows: readonly Row[]): string {
	const line = (cells: Row): string => `| ${cells.join(" | ")} |`;
	return [
		line(header),
		line(header.map((_, index) => (index === 0 ? "---" : "---:"))),
		...rows.map(line),
	].join("\n");
}

/** Median times and memory of some cases, with the spread of the middle half. */
export function timesTable(results: readonly Result[]): string {
	const header = ["command", "first output, ms", "total, ms", "middle half, ms", "peak memory, MiB"];
	const rows = results.map(({ name, samples }) => {
		const totals = samples.map((sample) => sample.total).sort((a, b) => a - b);
		const quarter = (share: number): number => totals[Math.floor((totals.length - 1) * share)] ?? Number.NaN;
		const first = samples.flatMap((sample) => sample.firstOutput ?? []);
		return [
			name,
			first.length === 0 ? "–" : median(first).toFixed(1),
			median(totals).toFixed(1),
			`${quarter(0.25).toFixed(1)}–${quarter(0.75).toFixed(1)}`,
			median(samples.map((sample) => sample.peakMemory)).toFixed(0),
		];
	});
	return markdownTable(header, rows);
}

/** Times of cases that all get an image of so many bytes, with what they write to the disk. */
export function diskTable(results: readonly Result[], bytes: number): string {
	const rows = results.map(({ name, samples }) => {
		const seconds = median(samples.map((sample) => sample.total)) / 1000;
		const memory = median(samples.map((sample) => sample.peakMemory));
		const written = median(samples.map((sample) => sample.written));
		return [
			name,
			seconds.toFixed(2),
			(bytes / 1e6 / seconds).toFixed(0),
			memory.toFixed(0),
			written.toFixed(0),
		];
	});
	const header = ["command", "s", "MB/s of the unpacked image", "peak memory, MiB", "written, MB"];
	return markdownTable(header, rows);
}

/** Megabytes a second of cases that all worked through the same number of bytes. */
export function throughputTable(results: readonly Result[], bytes: number): string {
	const rows = results.map(({ name, samples }) => {
		const seconds = median(samples.map((sample) => sample.total)) / 1000;
		const memory = median(samples.map((sample) => sample.peakMemory));
		return [name, seconds.toFixed(2), (bytes / 1e6 / seconds).toFixed(0), memory.toFixed(0)];
	});
	return markdownTable(["command", "s", "MB/s of the unpacked image", "peak memory, MiB"], rows);
}
