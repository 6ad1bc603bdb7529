import type { SpawnSyncOptions } from "node:child_process";
import { createRequire } from "node:module";
import { isErrno, RktError } from "./errors.ts";

export interface CommandResult {
	readonly status: number;
	readonly stdout: string;
	readonly stderr: string;
	/** Why the program was killed before its end. */
	readonly killed?: "timeout" | "output-limit";
}

export interface CommandOptions {
	readonly input?: string | Uint8Array;
	readonly environment?: Record<string, string>;
	readonly cwd?: string;
	/** Extra descriptors for the child from number 3 on. */
	readonly descriptors?: readonly number[];
	/** Pass the child's standard error on instead of collecting it. */
	readonly inheritStderr?: boolean;
	readonly timeoutMs?: number;
	/** The program is killed when it writes more; 64 MiB when not given. */
	readonly maxOutputBytes?: number;
}

const DEFAULT_MAX_OUTPUT = 64 * 1024 * 1024;

/**
 * Runs a program to its end and collects its output. Synchronous on purpose: it also runs after unshare(2),
 * when only the main thread is in the new namespace, and it costs no import.
 * A signal death is status 128 + n. Errors: `program-missing` when it cannot be started.
 */
export function runCommand(
	file: string,
	args: readonly string[],
	options: CommandOptions = {},
): CommandResult {
	const spawnOptions: SpawnSyncOptions = {
		stdio: ["pipe", "pipe", options.inheritStderr ? "inherit" : "pipe", ...(options.descriptors ?? [])],
		maxBuffer: options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT,
		// A program that catches SIGTERM could not be stopped by it.
		killSignal: "SIGKILL",
		...(options.input === undefined ? {} : { input: options.input }),
		...(options.environment === undefined ? {} : { env: options.environment }),
		...(options.cwd === undefined ? {} : { cwd: options.cwd }),
		...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
	};
	// Not imported above: it takes 6 ms, which a pod without networks can do without.
	const { spawnSync } = createRequire(__filename)(
		"node:child_process",
	) as typeof import("node:child_process");
	const result = spawnSync(file, args, spawnOptions);
	if (result.error && result.status === null && result.signal === null) {
		throw new RktError("program-missing", `cannot start ${file}: ${result.error.message}`, {
			hint: `install the program ${file} or put it on PATH`,
			cause: result.error,
		});
	}
	const killed = killReason(result.error);
	return {
		status: result.status ?? 128 + (result.signal === "SIGKILL" ? 9 : 15),
		stdout: result.stdout?.toString() ?? "",
		stderr: result.stderr?.toString() ?? "",
		...(killed === undefined ? {} : { killed }),
	};
}

function killReason(error: Error | undefined): CommandResult["killed"] {
	if (isErrno(error, "ETIMEDOUT")) return "timeout";
	return isErrno(error, "ENOBUFS") ? "output-limit" : undefined;
}
