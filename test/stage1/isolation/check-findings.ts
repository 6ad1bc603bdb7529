import type { Test } from "tap";
import { type Column, expectedFindings } from "./expected-findings.ts";
import type { Finding, Origin } from "./run-probe.ts";

/** Compares what the probe found in an app, in a hook and by `enter` with docs/security.md. */
export function checkFindings(
	t: Test,
	column: Column,
	findings: Readonly<Record<Origin, readonly Finding[]>>,
): void {
	const expected = [...expectedFindings(column)].sort();
	for (const [origin, found] of Object.entries(findings)) {
		const seen = found.map(({ check, closed }) => [check, closed] as const).sort();
		const open = found.filter(({ closed }) => !closed);
		t.strictSame(seen, expected, `${column}: ${origin}`, { open });
	}
}
