import type { AppLimits } from "../../appc/schema/app-isolators.ts";
import { ARGUMENT_FILTER_FILES, appFilter, FILTER_FILES } from "./app-filter.ts";
import { defaultAllowedCalls } from "./call-sets.ts";

/** Calls that are allowed by default with some arguments only, and the file that looks at them. */
const RESERVED: Readonly<Record<string, string>> = {
	clone: ARGUMENT_FILTER_FILES.clone,
	personality: ARGUMENT_FILTER_FILES.personality,
	socket: ARGUMENT_FILTER_FILES.socket,
	socketcall: ARGUMENT_FILTER_FILES.socket,
};

/** True when an app with these isolators can make no system call that it could not make without them. */
export function isWithinDefaultFilter(seccomp: AppLimits["seccomp"]): boolean {
	const { files, compiled } = appFilter(seccomp);
	if (files.includes(FILTER_FILES.default)) return true;
	if (compiled?.mode !== "allow") return false;
	const allowed = new Set(defaultAllowedCalls());
	const looked = (file: string | undefined): boolean =>
		file === undefined || files.includes(file) || files.includes(ARGUMENT_FILTER_FILES.app);
	if (!compiled.calls.every((call) => looked(RESERVED[call]))) return false;
	return compiled.calls.every((call) => allowed.has(call));
}
