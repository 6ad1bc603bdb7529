import type { AppLimits } from "../../appc/schema/app-isolators.ts";
import { appFilter, FILTER_FILES } from "./app-filter.ts";
import { defaultAllowedCalls } from "./call-sets.ts";

/** Calls that are allowed by default with some arguments only. */
const RESERVED = ["clone", "personality", "socket", "socketcall"];

/** True when an app with these isolators can make no system call that it could not make without them. */
export function isWithinDefaultFilter(seccomp: AppLimits["seccomp"]): boolean {
	const { files, compiled } = appFilter(seccomp);
	if (files.includes(FILTER_FILES.default)) return true;
	if (compiled?.mode !== "allow") return false;
	const allowed = new Set(defaultAllowedCalls());
	const reserved = compiled.calls.some((call) => RESERVED.includes(call));
	if (reserved && !files.includes(FILTER_FILES.appArguments)) return false;
	return compiled.calls.every((call) => allowed.has(call));
}
