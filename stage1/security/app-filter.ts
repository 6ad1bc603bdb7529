import * as os from "node:os";
import type { AppLimits } from "../../appc/schema/app-isolators.ts";
import { fail } from "../../lib/errors.ts";
import { callsOfSet, defaultAllowedCalls } from "./call-sets.ts";

/** Files below /rkt/seccomp of the stage1 image, made at build time from filter-rules.ts. */
export const FILTER_FILES = {
	/** Installed by PID 1 for every process of the pod. */
	baseline: "baseline.bpf",
	/** For an app whose isolators say nothing. */
	default: "default.bpf",
} as const;

/** Those beside them that look at arguments, made from argument-filter.ts. */
export const ARGUMENT_FILTER_FILES = {
	/** Installed by PID 1. */
	baseline: "baseline-arguments.bpf",
	/** Installed by `launch` and `enter` for every process of an app. */
	process: "process.bpf",
	/** Calls that an app is only refused with some arguments: these three at once, or one of them. */
	app: "app-arguments.bpf",
	clone: "clone.bpf",
	socket: "socket.bpf",
	personality: "personality.bpf",
} as const;

/** The names of all system calls, one a line, in the same directory. */
export const KNOWN_CALLS_FILE = "calls";

/** The system calls of an app: files to install, then at most one filter compiled from names. */
export interface AppFilter {
	readonly files: readonly string[];
	readonly compiled?: {
		readonly mode: "allow" | "deny";
		/** errno value that a refused call returns; clone3(2) returns ENOSYS, after which libraries use clone(2). */
		readonly errno: number;
		readonly calls: readonly string[];
	};
}

const NO_FILTER: AppFilter = { files: [] };
const DEFAULT_FILTER: AppFilter = { files: [ARGUMENT_FILTER_FILES.app, FILTER_FILES.default] };

/**
 * What the seccomp isolators of an app come to. A refused call returns an error, EPERM unless the isolator names
 * one; rkt killed the process. An allow-list that ends up empty refuses everything. `readKnownCalls` gives the text of
 * {@link KNOWN_CALLS_FILE}; without it every name counts as that of a call. Errors: `seccomp-set-unknown`, `seccomp-call-unknown`, `seccomp-errno-unknown`.
 */
export function appFilter(seccomp: AppLimits["seccomp"], readKnownCalls?: () => string): AppFilter {
	if (seccomp === undefined) return DEFAULT_FILTER;
	const errno = errnoValue(seccomp.errno ?? "EPERM");
	const known = readKnownCalls && new Set(readKnownCalls().split("\n"));
	const onlyKnown = (calls: readonly string[]): string[] =>
		[...new Set(calls)].filter((call) => known?.has(call) ?? true);
	for (const name of seccomp.set) requireKnown(name, known);
	const all = seccomp.set.includes("@appc.io/all");
	const calls = onlyKnown(seccomp.set.flatMap(expand));
	if (seccomp.mode === "remove") {
		if (all) return { files: [], compiled: { mode: "allow", errno, calls: [] } };
		if (!seccomp.set.includes("@appc.io/empty")) {
			return { files: filesOfRemoved(calls), compiled: { mode: "deny", errno, calls } };
		}
		if (calls.length === 0 && seccomp.errno === undefined) return DEFAULT_FILTER;
		const allowed = onlyKnown(defaultAllowedCalls()).filter((call) => !calls.includes(call));
		return { files: [ARGUMENT_FILTER_FILES.app], compiled: { mode: "allow", errno, calls: allowed } };
	}
	if (all) return NO_FILTER;
	if (isDefault(seccomp.set) && seccomp.errno === undefined) return DEFAULT_FILTER;
	return { files: filesOfRetained(seccomp.set, calls), compiled: { mode: "allow", errno, calls } };
}

const DEFAULT_SETS = ["@rkt/default-whitelist", "@docker/default-whitelist"];

function isDefault(set: readonly string[]): boolean {
	return set.length > 0 && set.every((name) => DEFAULT_SETS.includes(name));
}

/** Someone who names `clone`, `socket` or `personality` himself means it without our reservations. */
function filesOfRetained(set: readonly string[], calls: readonly string[]): string[] {
	const { app, clone, socket, personality } = ARGUMENT_FILTER_FILES;
	const restricts = (call: string): boolean => calls.includes(call) && !set.includes(call);
	const files = [
		...(restricts("clone") && !set.includes("clone3") ? [clone] : []),
		...(restricts("socket") ? [socket] : []),
		...(restricts("personality") ? [personality] : []),
	];
	return files.length === 3 ? [app] : files;
}

/** What reaches into the kernel stays closed; and who may make no namespace by one call may not by the other. */
function filesOfRemoved(calls: readonly string[]): string[] {
	const { clone, socket } = ARGUMENT_FILTER_FILES;
	return [...(calls.includes("unshare") ? [clone] : []), socket];
}

function requireKnown(name: string, known: ReadonlySet<string> | undefined): void {
	if (name.startsWith("@") || (known?.has(name) ?? true)) return;
	fail("seccomp-call-unknown", `the seccomp isolator names an unknown system call ${name}`, {
		hint: "syscalls(2) lists the names",
	});
}

/** Names that nobody here knows yet are left out of sets: they are newer than this system, or of other architectures. */
function expand(name: string): string[] {
	if (!name.startsWith("@")) return [name];
	if (name === "@appc.io/all" || name === "@appc.io/empty") return [];
	return (
		callsOfSet(name) ??
		fail("seccomp-set-unknown", `the seccomp isolator names an unknown set ${name}`, {
			hint: "known are @appc.io/, @docker/, @rkt/ and @systemd/ sets of the rkt documentation",
		})
	);
}

function errnoValue(name: string): number {
	const values: Readonly<Record<string, number>> = os.constants.errno;
	const value = Object.hasOwn(values, name) ? values[name] : undefined;
	return value ?? fail("seccomp-errno-unknown", `the seccomp isolator names an unknown error ${name}`);
}
