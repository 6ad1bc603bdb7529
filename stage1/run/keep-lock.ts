import type { RunContext } from "./run-context.ts";

/** The descriptor of the lock on the pod: the supervisor inherits it, network plugins do not. */
export function keepLock({ syscall, environment }: RunContext): number | undefined {
	const text = environment.RKT_LOCK_FD ?? "";
	if (!/^[0-9]{1,6}$/.test(text)) return undefined;
	syscall.setCloseOnExec(Number(text), true);
	return Number(text);
}
