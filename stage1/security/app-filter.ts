import * as os from "node:os";
import type { AppLimits } from "../../appc/schema/app-isolators.ts";
import { fail } from "../../lib/errors.ts";
import { callsOfSet, defaultAllowedCalls } from "./call-sets.ts";

/** Files below /rkt/seccomp of the stage1 image, made at build time from filter-rules.ts. */
export const FILTER_FILES = {
	/** Installed by the PID-1 shim for every process of the pod. */
	baseline: "baseline.bpf",
	baselineArguments: "baseline-arguments.bpf",
	/** For an app whose isolators say nothing. */
	default: "default.bpf",
	/** Calls that are only refused with some arguments. */
	appArguments: "app-arguments.bpf",
} as const;

/** The system calls of an app: files to install, then at most one filter compiled from names. */
export interface AppFilter {
	readonly files: readonly string[];
	readonly compiled?: {
		readonly mode: "allow" | "deny";
		/** errno value that a refused call returns. */
		readonly errno: number;
		readonly calls: readonly string[];
	};
}

const NO_FILTER: AppFilter = { files: [] };
const DEFAULT_FILTER: AppFilter = { files: [FILTER_FILES.appArguments, FILTER_FILES.default] };

/**
 * What the seccomp isolators of an app come to. A refused call returns an error, EPERM unless the isolator names
 * one; rkt killed the process. An allow-list that ends up empty refuses everything.
 * Errors: `seccomp-set-unknown`, `seccomp-errno-unknown`.
 */
export function appFilter(seccomp: AppLimits["seccomp"]): AppFilter {
	if (seccomp === undefined) return DEFAULT_FILTER;
	const errno = errnoValue(seccomp.errno ?? "EPERM");
	const all = seccomp.set.includes("@appc.io/all");
	const empty = seccomp.set.includes("@appc.io/empty");
	const calls = [...new Set(seccomp.set.flatMap(expand))];
	if (seccomp.mode === "remove") {
		if (all) return { files: [], compiled: { mode: "allow", errno, calls: [] } };
		if (!empty) return { files: [], compiled: { mode: "deny", errno, calls } };
		const allowed = defaultAllowedCalls().filter((call) => !calls.includes(call));
		if (calls.length === 0 && seccomp.errno === undefined) return DEFAULT_FILTER;
		return { files: [FILTER_FILES.appArguments], compiled: { mode: "allow", errno, calls: allowed } };
	}
	if (all) return NO_FILTER;
	if (isDefault(seccomp.set) && seccomp.errno === undefined) return DEFAULT_FILTER;
	return { files: argumentFilesFor(seccomp.set), compiled: { mode: "allow", errno, calls } };
}

const DEFAULT_SETS = ["@rkt/default-whitelist", "@docker/default-whitelist"];

function isDefault(set: readonly string[]): boolean {
	return set.length > 0 && set.every((name) => DEFAULT_SETS.includes(name));
}

/** Someone who names `clone` or `socket` himself means them without our reservations. */
function argumentFilesFor(set: readonly string[]): string[] {
	const named = ["clone", "socket", "personality"].some((call) => set.includes(call));
	return !named && set.some((name) => DEFAULT_SETS.includes(name)) ? [FILTER_FILES.appArguments] : [];
}

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
