import type * as z from "zod/mini";
import { RktError } from "../../lib/errors.ts";
import { parseJson } from "../../lib/json.ts";
import { quote } from "../types/quote.ts";

const MANIFEST_LIMIT = 4 * 1024 * 1024;
const SHOWN_PROBLEMS = 3;

export interface Problem {
	/** `app.ports[0].name`; empty for the whole document. */
	readonly path: string;
	readonly message: string;
}

/** How a document that breaks its schema is refused. */
export interface SchemaRefusal {
	readonly code: string;
	readonly hint: string;
}

const APPC_REFUSAL: SchemaRefusal = {
	code: "manifest-invalid",
	hint: "correct the manifest; the App Container specification 0.8.11 says what it may hold",
};

/**
 * Reads JSON text against a schema with the liberties of Go's decoder: member names in any case, `null` as
 * absent, unknown members ignored. Errors: `json-invalid`, `manifest-invalid`.
 */
export function readSchema<T>(text: string | Uint8Array, source: string, schema: z.ZodMiniType<T>): T {
	return checkSchema(parseJson(text, source, { maxBytes: MANIFEST_LIMIT }), source, schema);
}

/** {@link readSchema} for a document that is parsed already. `at` is where it stands in its source. */
export function checkSchema<T>(
	document: unknown,
	source: string,
	schema: z.ZodMiniType<T>,
	at = "",
	refusal = APPC_REFUSAL,
): T {
	const problems: Problem[] = [];
	const value = canonicalMembers(schema, document, at, problems);
	if (problems.length > 0) refuse(source, problems, refusal);
	const result = schema.safeParse(value, { reportInput: true });
	if (result.success) return result.data;
	return refuse(
		source,
		result.error.issues.map((issue) => describe(issue, at)),
		refusal,
	);
}

function refuse(source: string, problems: readonly Problem[], { code, hint }: SchemaRefusal): never {
	const shown = problems
		.slice(0, SHOWN_PROBLEMS)
		.map(({ path, message }) => `${path || "the document"} ${message}`);
	const more = problems.length > shown.length ? `; and ${problems.length - shown.length} more` : "";
	throw new RktError(code, `${source}: ${shown.join("; ")}${more}`, { hint });
}

function describe(issue: z.core.$ZodIssue, at: string): Problem {
	const path = issue.path.reduce<string>(memberPath, at);
	if (issue.input === undefined) return { path, message: "is missing" };
	return { path, message: `${quote(issue.input)} ${rule(issue)}` };
}

function rule(issue: z.core.$ZodIssue): string {
	switch (issue.code) {
		case "custom":
			return issue.message;
		case "invalid_value":
			return `must be ${issue.values.map(quote).join(" or ")}`;
		case "invalid_type":
			return `must be ${TYPES[issue.expected] ?? issue.expected}`;
		default:
			return issue.message;
	}
}

const TYPES: Record<string, string> = {
	string: "a string",
	number: "a number",
	int: "a whole number",
	boolean: "true or false",
	object: "an object",
	record: "an object",
	array: "a list",
	undefined: "absent",
};

/** `path` one member deeper. */
export function memberPath(path: string, key: PropertyKey): string {
	if (typeof key === "number") return `${path}[${key}]`;
	const name = String(key);
	if (!/^[A-Za-z0-9_]+$/.test(name)) return `${path}[${quote(name)}]`;
	return path === "" ? name : `${path}.${name}`;
}

interface SchemaParts {
	readonly type: string;
	readonly shape?: Record<string, z.ZodMiniType>;
	readonly element?: z.ZodMiniType;
	readonly innerType?: z.ZodMiniType;
	readonly in?: z.ZodMiniType;
}

/** The document with every member under the name that the schema gives it, and without members that are null. */
export function canonicalMembers(
	schema: z.ZodMiniType,
	value: unknown,
	path: string,
	problems: Problem[],
): unknown {
	const parts = schema._zod.def as unknown as SchemaParts;
	const inner = parts.innerType ?? parts.in;
	if (inner) return canonicalMembers(inner, value, path, problems);
	if (parts.element && Array.isArray(value)) {
		const { element } = parts;
		return value.map((item, index) => canonicalMembers(element, item, memberPath(path, index), problems));
	}
	if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
	if (parts.shape) return canonicalObject(parts.shape, value, path, problems);
	return parts.type === "record" ? Object.fromEntries(Object.entries(value).filter(hasValue)) : value;
}

function hasValue([, value]: [string, unknown]): boolean {
	return value !== null;
}

function canonicalObject(
	shape: Record<string, z.ZodMiniType>,
	value: object,
	path: string,
	problems: Problem[],
): object {
	const names = new Map(Object.keys(shape).map((name) => [name.toLowerCase(), name]));
	const result: Record<string, unknown> = {};
	const seen = new Set<string>();
	for (const [key, member] of Object.entries(value)) {
		const name = names.get(key.toLowerCase());
		const memberSchema = name === undefined ? undefined : shape[name];
		if (name === undefined || memberSchema === undefined) continue;
		if (seen.has(name))
			problems.push({ path: memberPath(path, name), message: "stands twice, in different spellings" });
		seen.add(name);
		if (member !== null)
			result[name] = canonicalMembers(memberSchema, member, memberPath(path, name), problems);
	}
	return result;
}
