/** What went wrong, in a word that scripts and tests can rely on; the table is docs/errors.md. */
export type ErrorKind = "usage" | "environment" | "verification" | "input" | "state" | "internal";

export interface ErrorDetails {
	/** What the user can type or change next; one sentence. */
	readonly hint?: string;
	readonly cause?: unknown;
}

/**
 * Every failure that a user can meet. The message names the offending file, name or value; `hint` says what
 * to do next. Anything that is not an RktError is a bug and is shown with its stack.
 */
export class RktError extends Error {
	readonly code: string;
	readonly hint: string | undefined;

	constructor(code: string, message: string, details: ErrorDetails = {}) {
		super(message, details.cause === undefined ? undefined : { cause: details.cause });
		this.name = "RktError";
		this.code = code;
		this.hint = details.hint;
	}
}

/** Throws an {@link RktError}; an expression, so that it fits behind `??`. */
export function fail(code: string, message: string, details?: ErrorDetails): never {
	throw new RktError(code, message, details);
}

/** True for errors of Node or of our syscall layer that carry one of these errno names. */
export function isErrno(error: unknown, ...names: string[]): boolean {
	return error instanceof Error && "code" in error && names.includes(String(error.code));
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}
