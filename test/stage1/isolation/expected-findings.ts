import * as fs from "node:fs";

/** A backend with its column in the table of docs/security.md. */
export type Column = "nspawn" | "nspawn with users" | "kvm";

/**
 * What the table "What holds" of docs/security.md says: for each check of the probe whether it is closed. A row names
 * its checks in backquotes, and under each backend says `closed` or `open`.
 */
export function expectedFindings(column: Column): Map<string, boolean> {
	const lines = fs.readFileSync("docs/security.md", "utf8").split("\n");
	const rows = lines.filter((line) => line.startsWith("|")).map(cells);
	const head = rows.findIndex(([first]) => first === "checks");
	const place = (rows[head] ?? []).indexOf(column);
	if (place < 0) throw new Error(`docs/security.md has no column ${column}`);
	const expected = new Map<string, boolean>();
	for (const row of rows.slice(head + 2)) {
		const word = row[place];
		if (word !== "closed" && word !== "open") break;
		for (const [, check] of (row[0] ?? "").matchAll(/`([^`]+)`/g))
			expected.set(check as string, word === "closed");
	}
	return expected;
}

function cells(line: string): string[] {
	return line
		.split("|")
		.slice(1, -1)
		.map((cell) => cell.trim());
}
