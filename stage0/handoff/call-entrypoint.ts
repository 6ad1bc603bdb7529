import { RktError } from "../../lib/errors.ts";
import { workingDirectory } from "../../lib/files.ts";
import type { EntrypointName } from "../../stage1/entrypoints.ts";
import { loadStage1Module } from "./load-module.ts";
import { entrypointPath, type Stage1OfPod } from "./stage1-of-pod.ts";

export interface EntrypointCall {
	/** Absolute path of the pod directory, the working directory of the call. */
	readonly pod: string;
	readonly stage1: Stage1OfPod;
	readonly argv: readonly string[];
	readonly environment: Readonly<Record<string, string>>;
}

/**
 * Runs `gc` or `stop` of stage1 to its end: as a module in this process, or as a child with our standard error and, for
 * `stop`, our standard output; that of `gc` is not read by anybody. Gives the exit status; a death by signal is 128 and more.
 * Errors: `stage1-entrypoint-missing`, `stage1-not-started`.
 */
export async function callEntrypoint(
	name: Extract<EntrypointName, "gc" | "stop">,
	call: EntrypointCall,
): Promise<number> {
	const program = entrypointPath(call.stage1, name);
	const environment = { ...call.environment };
	const module = loadStage1Module(call.stage1);
	if (module)
		return callModule(
			() => module.main(name, [...call.argv], { podDirectory: call.pod, environment }),
			call.pod,
		);
	const { spawnSync } = await import("node:child_process");
	const result = spawnSync(program, call.argv, {
		cwd: call.pod,
		env: environment,
		stdio: ["ignore", name === "gc" ? "ignore" : "inherit", "inherit"],
	});
	if (result.error) {
		throw new RktError("stage1-not-started", `cannot start ${program}`, { cause: result.error });
	}
	return result.status ?? 128 + (result.signal === "SIGKILL" ? 9 : 15);
}

/** The pod directory may be gone afterwards, and other pods follow: the working directory is put back. */
async function callModule(main: () => Promise<number>, pod: string): Promise<number> {
	const before = workingDirectory();
	process.chdir(pod);
	try {
		return await main();
	} finally {
		process.chdir(before);
	}
}
