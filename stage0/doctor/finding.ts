import type { CommandOptions, CommandResult } from "../../lib/process.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";

/** `missing`: pods with the defaults do not start without it. `warning`: something works less well, or not at all. */
export type FindingStatus = "ok" | "warning" | "missing";

/** What a probe has found out about one thing. */
export interface Finding {
	readonly name: string;
	readonly status: FindingStatus;
	readonly detail: string;
	/** What to do about it; only with the other statuses than `ok`. */
	readonly remedy?: string;
}

/** The machine as probes see it; tests give a directory in place of its root, and other answers of programs. */
export interface DoctorHost {
	/** Text of a file by its absolute path; undefined when it cannot be read. */
	readonly read: (file: string) => string | undefined;
	/** Where a path of the machine really is. */
	readonly at: (file: string) => string;
	/** Runs a program to its end; undefined when it cannot be started. */
	readonly run: (
		program: string,
		args: readonly string[],
		options?: CommandOptions,
	) => CommandResult | undefined;
	readonly syscall: Syscall;
	readonly dataDirectory: string;
	readonly localConfig: string;
	/** Where the bundled stage1 images are. */
	readonly programDirectory: string;
	/** Words that start this program again. */
	readonly ownCommand: readonly string[];
}

/** Looks at one area. It changes nothing on the machine; what it throws becomes a finding. */
export type Probe = (host: DoctorHost) => Finding[] | Promise<Finding[]>;

export function ok(name: string, detail: string): Finding {
	return { name, status: "ok", detail };
}

export function warning(name: string, detail: string, remedy: string): Finding {
	return { name, status: "warning", detail, remedy };
}

export function missing(name: string, detail: string, remedy: string): Finding {
	return { name, status: "missing", detail, remedy };
}
