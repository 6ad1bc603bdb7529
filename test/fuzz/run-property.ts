import fc, { type IAsyncProperty, type IProperty } from "fast-check";
import type { Test } from "tap";
import { RktError } from "../../lib/errors.ts";

/** Seconds for each property; set by `npm run fuzz`. Each run then tries something else. */
const SECONDS_VARIABLE = "RKT_FUZZ_SECONDS";
const SECONDS = 1;
/** What the test suite tries is the same each time. */
const SEED = 20150101;

/** Values as a property would get them, for what is tried with all of them at once. */
export function sample<T>(values: fc.Arbitrary<T>, hundreds: number): T[] {
	const given = process.env[SECONDS_VARIABLE];
	const numRuns = 100 * (given === undefined ? hundreds : Number(given));
	return fc.sample(values, { numRuns, ...(given === undefined ? { seed: SEED } : {}) });
}

/** Tries a property until the time is over. A counterexample is made small and printed with the seed that gives it. */
export async function checkProperty<T>(t: Test, property: IProperty<T> | IAsyncProperty<T>): Promise<void> {
	const given = process.env[SECONDS_VARIABLE];
	const seconds = given === undefined ? SECONDS : Number(given);
	t.setTimeout((seconds + 60) * 1000);
	const result = await fc.check(property as IAsyncProperty<T>, {
		...(given === undefined ? { seed: SEED } : {}),
		numRuns: Number.MAX_SAFE_INTEGER,
		interruptAfterTimeLimit: seconds * 1000,
	});
	t.comment(`${result.numRuns} tries, seed ${result.seed}`);
	t.ok(result.numRuns > 10, "it was tried");
	t.notOk(result.failed && !result.interrupted, fc.defaultReportMessage(result) ?? "no counterexample");
}

/** Gives what `parse` gives, or undefined when it refuses with an error for users. Everything else is a bug. */
export function parsed<T>(parse: () => T, codes: readonly string[]): T | undefined {
	try {
		return parse();
	} catch (error) {
		requireUserError(error, codes);
		return undefined;
	}
}

/** Throws what is no error for users with one of these codes. */
export function requireUserError(error: unknown, codes: readonly string[]): void {
	if (!(error instanceof RktError)) throw error;
	if (!codes.includes(error.code)) throw new Error(`an unexpected error ${error.code}`, { cause: error });
}

/** Any text: ASCII, whole characters, and UTF-16 that means nothing. */
export const anyText = fc.oneof(
	fc.string(),
	fc.string({ unit: "grapheme" }),
	fc.string({ unit: "binary" }),
	fc.array(fc.constantFrom(..."-.,:=/@%+ \n\t\0aZ0é\ud800")).map((characters) => characters.join("")),
);
