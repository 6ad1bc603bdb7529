import type { Log } from "../../lib/log.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { RunOptions } from "../arguments.ts";
import type { Pod } from "../pod.ts";
import type { AssignedSockets } from "../sockets/assign-sockets.ts";
import type { AppStreams } from "../units/app-unit.ts";

/** What every step of the start of a pod has. */
export interface RunContext {
	readonly syscall: Syscall;
	readonly log: Log;
	readonly pod: Pod;
	readonly options: RunOptions;
	readonly environment: Readonly<Record<string, string>>;
	/** What the pod's user namespace adds to ids; 0 without one. */
	readonly shift: number;
	readonly streams: AppStreams;
	readonly sockets: AssignedSockets;
	/** Steps back to the namespaces of the caller, latest first. */
	readonly wayBack: (() => void)[];
}

/** The administrator's configuration directory. */
export function localConfig(options: Pick<RunOptions, "localConfig">): string {
	return options.localConfig ?? "/etc/rkt";
}
