const TAB_WIDTH = 8;

/**
 * Lines whose cells are separated by tabs, aligned with tabs as Go's text/tabwriter does with tab width 8,
 * padding 1 and TAB as the padding: a column is a run of neighbouring lines that have a cell there, and the
 * last cell of a line belongs to no column. rkt's tables are read by scripts, so the bytes are the same.
 */
export function formatTabTable(lines: readonly (readonly string[])[]): string {
	const output = lines.map(() => "");
	alignBlock(lines, output, 0, lines.length, 0);
	return output.map((line) => `${line}\n`).join("");
}

/** Writes column `column` and everything right of it for the lines from `first` up to `end`. */
function alignBlock(
	lines: readonly (readonly string[])[],
	output: string[],
	first: number,
	end: number,
	column: number,
): void {
	let line = first;
	while (line < end) {
		if (!isTerminated(lines[line], column)) {
			output[line] += lines[line]?.[column] ?? "";
			line += 1;
			continue;
		}
		let blockEnd = line;
		while (blockEnd < end && isTerminated(lines[blockEnd], column)) blockEnd += 1;
		writeColumn(lines, output, line, blockEnd, column);
		alignBlock(lines, output, line, blockEnd, column + 1);
		line = blockEnd;
	}
}

function isTerminated(line: readonly string[] | undefined, column: number): boolean {
	return line !== undefined && column < line.length - 1;
}

function writeColumn(
	lines: readonly (readonly string[])[],
	output: string[],
	first: number,
	end: number,
	column: number,
): void {
	let widest = 0;
	for (let line = first; line < end; line += 1) {
		widest = Math.max(widest, visibleLength(lines[line]?.[column] ?? ""));
	}
	const width = Math.ceil((widest + 1) / TAB_WIDTH) * TAB_WIDTH;
	for (let line = first; line < end; line += 1) {
		const cell = lines[line]?.[column] ?? "";
		output[line] += cell + "\t".repeat(Math.ceil((width - visibleLength(cell)) / TAB_WIDTH));
	}
}

/** Counted in code points, as Go counts runes. */
function visibleLength(cell: string): number {
	return /^[\x20-\x7e]*$/.test(cell) ? cell.length : [...cell].length;
}
