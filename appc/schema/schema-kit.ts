import * as z from "zod/mini";
import { AC_IDENTIFIER_RULE, isACIdentifier } from "../types/ac-identifier.ts";
import { AC_NAME_RULE, isACName } from "../types/ac-name.ts";
import { isACVersion } from "../types/version.ts";

// One parse for each process does not pay for the compilation of a parser.
z.config({ jitless: true });

/** Puts off the making of a schema to its first use: a command that reads no manifest pays nothing. */
export function once<T>(make: () => T): () => T {
	let made: { readonly value: T } | undefined;
	return () => {
		made ??= { value: make() };
		return made.value;
	};
}

/** A string for which `test` holds, without NUL, which the kernel would cut there; `rule` completes "NAME VALUE …". */
export function text(test: (value: string) => boolean, rule: string): z.ZodMiniString {
	return z.string().check(z.refine((value) => !value.includes("\0") && test(value), { error: rule }));
}

// Schemas without parameters are made once and used in many places: making one costs as much as hundreds of checks.

export const plainText: () => z.ZodMiniString = once(() => text(() => true, "may not hold a NUL character"));

export const filledText: () => z.ZodMiniString = once(() =>
	text((value) => value !== "", "may not be empty"),
);

export const absolutePath: () => z.ZodMiniString = once(() =>
	text((value) => value.startsWith("/"), "must be an absolute path"),
);

export const acIdentifier: () => z.ZodMiniString = once(() =>
	text(isACIdentifier, `must be an AC identifier: ${AC_IDENTIFIER_RULE}`),
);

export const acName: () => z.ZodMiniString = once(() =>
	text(isACName, `must be an AC name: ${AC_NAME_RULE}`),
);

export const acVersion: () => z.ZodMiniString = once(() =>
	text(isACVersion, "must be a semantic version other than 0.0.0"),
);

/** A hash of the specification: only SHA-512 is known. Cut short as a user may write it, see image-id.ts. */
export const hash = once(() =>
	z.pipe(
		text(
			(value) => /^sha512-[0-9a-fA-F]{2,128}$/.test(value),
			'must be "sha512-" and 2 to 128 hexadecimal digits',
		),
		z.transform((value: string) => value.toLowerCase()),
	),
);

export function integer(from: number, to: number) {
	return z.int().check(
		z.refine((value) => value >= from && value <= to, {
			error: `must be a whole number from ${from} to ${to}`,
		}),
	);
}

/** A user or group number; 2³²−1 means "none" to the kernel. */
export const numericID = once(() => integer(0, 0xfffffffe));

/** A list that is empty when absent. */
export function list<T extends z.ZodMiniType>(element: T) {
	return z._default(z.array(element), []);
}

/** A list whose elements differ in `key`; `what` names the elements. */
export function uniqueList<K extends string, T extends z.ZodMiniType<{ readonly [key in K]: string }>>(
	element: T,
	key: K,
	what: string,
) {
	return z._default(
		z.array(element).check(
			z.check(({ value, issues }) => {
				const seen = new Set<string>();
				for (const [index, item] of value.entries()) {
					const name = item[key];
					if (seen.has(name)) issues.push(customIssue(name, [index, key], `is the ${key} of two ${what}`));
					seen.add(name);
				}
			}),
		),
		[],
	);
}

/** {string: string}, empty when absent. */
export const stringMap = once(() => z._default(z.record(z.string(), plainText()), {}));

/** An issue of a check that looks at several members. */
export function customIssue(input: unknown, path: PropertyKey[], message: string): z.core.$ZodRawIssue {
	return { code: "custom", input, path, message };
}
