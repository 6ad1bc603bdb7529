import type { RktError } from "../../../lib/errors.ts";
import { writeStderr } from "../../../lib/log.ts";

/**
 * Writes a failure to standard error as `PREFIX: MESSAGE: CAUSE` and the hint on a line of its own. With
 * `debug` the whole chain of causes is shown as a tree with the error code. Whatever is neither an RktError nor
 * a refusal of the system is a bug of ours and is shown with its stack.
 */
export function reportError(prefix: string, error: unknown, debug: boolean): void {
	if (!isExpected(error)) {
		writeStderr(`${prefix}: internal error, please report it: ${stackOf(error)}\n`);
		return;
	}
	writeStderr(debug ? errorTree(prefix, error) : `${prefix}: ${errorLine(error)}\n`);
	const hint = innermostHint(error);
	if (hint !== undefined) writeStderr(`hint: ${hint}\n`);
}

function isExpected(error: unknown): error is Error {
	return isRktError(error) || isSystemError(error);
}

/** By its members: the module of a stage1 image throws errors of its own copy of the class. */
function isRktError(error: unknown): error is RktError {
	return error instanceof Error && error.name === "RktError" && "code" in error;
}

/** Failed system calls carry an errno name; Node's own complaints (`ERR_…`) are bugs. */
function isSystemError(error: unknown): error is Error & { code: string } {
	if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return false;
	return typeof error.code === "string" && /^E(?!RR_)[A-Z0-9]+$/.test(error.code);
}

/** Only the innermost cause is shown, and not when the message already says it. */
function errorLine(error: Error): string {
	const chain = causeChain(error);
	const innermost = chain.at(-1) as Error;
	const repeated = innermost === error || error.message.includes(innermost.message);
	return repeated ? error.message : `${error.message}: ${innermost.message}`;
}

function errorTree(prefix: string, error: Error): string {
	const lines = causeChain(error).map((part, depth) => {
		const code = isRktError(part) ? ` [${part.code}]` : "";
		return `${"  ".repeat(depth)}└─${part.message}${code}\n`;
	});
	return `${prefix}: \n${lines.join("")}`;
}

function causeChain(error: Error): Error[] {
	const chain: Error[] = [];
	let current: unknown = error;
	while (current instanceof Error && !chain.includes(current)) {
		chain.push(current);
		current = current.cause;
	}
	return chain;
}

function innermostHint(error: Error): string | undefined {
	for (const part of causeChain(error)) {
		if (isRktError(part) && part.hint !== undefined) return part.hint;
	}
	return isSystemError(error) ? SYSTEM_HINTS[error.code] : undefined;
}

/** For refusals of the system that no part of the program expected at this place. */
const SYSTEM_HINTS: Readonly<Record<string, string>> = {
	EACCES: "run rkt as root or as a member of the group rkt",
	EPERM: "run rkt as root",
	ENOTDIR: "check the directories given with --dir and the configuration",
	EROFS: "make the file system writable, or choose another directory with --dir",
	ENOSPC: "make room on the file system, for example with rkt gc and rkt image gc",
	EDQUOT: "make room, for example with rkt gc and rkt image gc",
	EMFILE: "raise the limit of open files: ulimit -n",
	ENFILE: "the machine has too many open files",
	EIO: "the disk or file system is damaged; see dmesg",
};

function stackOf(error: unknown): string {
	return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
