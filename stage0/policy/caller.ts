import { fail } from "../../lib/errors.ts";
import { readTextIfExists } from "../../lib/files.ts";
import { runCommand } from "../../lib/process.ts";
import type { Caller } from "./policy.ts";

/** What /proc/PID/loginuid says of a process that no login started, 2³²−1. */
const NO_LOGIN = 4294967295;

/** Where the user of this process comes from; tests give others. */
export interface CallerSources {
	/** Text of /proc/self/loginuid. */
	readonly loginUid: string | undefined;
	readonly realUid: number;
	readonly sudoUid: string | undefined;
}

export function callerSources(environment: Readonly<Record<string, string>>): CallerSources {
	return {
		loginUid: readTextIfExists("/proc/self/loginuid"),
		realUid: process.getuid?.() ?? 0,
		sudoUid: environment.SUDO_UID,
	};
}

/**
 * The user ids that a pod is asked for by. The kernel keeps the one of the login through sudo and su; without a login,
 * as in a service, it is the process's own. SUDO_UID is a mere variable: as it only ever adds one, the caller gains
 * nothing from it, and where the kernel keeps no login it is all that tells the users of sudo apart.
 */
export function callerUids({ loginUid, realUid, sudoUid }: CallerSources): number[] {
	const login = parseUid(loginUid);
	const own = login === undefined || login === NO_LOGIN ? realUid : login;
	return [...new Set([own, parseUid(sudoUid) ?? own])];
}

function parseUid(value: string | undefined): number | undefined {
	const digits = value?.trim() ?? "";
	return /^\d{1,10}$/.test(digits) ? Number(digits) : undefined;
}

/**
 * The names of a user and its groups; a number without an account is only that.
 * Errors: `program-missing`, `user-unknown` for a name without one.
 */
export function describeCaller(user: string): Caller {
	// By its full path, and with nothing of the caller's environment.
	const result = runCommand("/usr/bin/id", ["--", user], { environment: { LC_ALL: "C" } });
	if (result.status === 0) return parseId(result.stdout);
	if (/^\d+$/.test(user)) return { names: [`user:${user}`] };
	return fail("user-unknown", `there is no user ${JSON.stringify(user)}`, {
		hint: "give a name or a number",
	});
}

/** `uid=1000(alice) gid=1000(alice) groups=1000(alice),27(sudo)`, as id(1) prints it. */
export function parseId(output: string): Caller {
	const [user = "", groups = ""] = output.trim().split(/ gid=.* groups=/);
	const named = (kind: string, text: string): string[] =>
		[...text.matchAll(/(\d+)(?:\(([^)]*)\))?(?:,|$)/g)].flatMap(([, id, name]) =>
			name ? [`${kind}:${id}`, `${kind}:${name}`] : [`${kind}:${id}`],
		);
	return { names: [...named("user", user.replace(/^uid=/, "")), ...named("group", groups)] };
}
