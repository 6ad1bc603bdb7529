import { RktError } from "../../lib/errors.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { RKT_VERSION } from "../../lib/version.ts";
import { buildEnterArguments, type EnterOptions } from "../../stage1/arguments.ts";
import { loadStage1Module } from "./load-module.ts";
import { entrypointPath, type Stage1OfPod } from "./stage1-of-pod.ts";

export interface EnterHandOff {
	/** Absolute path of the pod directory. */
	readonly pod: string;
	readonly stage1: Stage1OfPod;
	readonly options: EnterOptions;
	readonly environment: Readonly<Record<string, string>>;
}

/**
 * Gives this process to the `enter` entry point, from the tree store: the pod could have changed its own copy.
 * Comes back only when that fails. Errors: `stage1-entrypoint-missing`, `stage1-not-started`.
 */
export async function enterStage1(syscall: Syscall, handOff: EnterHandOff): Promise<number> {
	const { pod, stage1 } = handOff;
	const program = entrypointPath(stage1, "enter");
	const argv = buildEnterArguments(handOff.options);
	const environment = { ...handOff.environment };
	process.chdir(pod);
	const module = loadStage1Module(stage1);
	const shared = { version: RKT_VERSION, syscall };
	if (module) return module.main("enter", argv, { podDirectory: pod, environment, shared });
	try {
		return syscall.execve(program, [program, ...argv], environment, []);
	} catch (error) {
		throw new RktError("stage1-not-started", `cannot start ${program}`, { cause: error });
	}
}
