import { crashPoint } from "../../lib/crash-point.ts";
import { RktError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { RKT_VERSION } from "../../lib/version.ts";
import { buildRunArguments, type RunOptions } from "../../stage1/arguments.ts";
import type { ReadManifests } from "../../stage1/entrypoints.ts";
import { inStage1 } from "../../stage1/pod-paths.ts";
import { passedDescriptors } from "../../stage1/sockets/passed-sockets.ts";
import { recordInsecureOptions } from "../pod/insecure-record.ts";
import type { LockedPod } from "../pod/pod-lock.ts";
import { loadStage1Module } from "./load-module.ts";
import type { Stage1OfPod } from "./stage1-of-pod.ts";

export interface RunHandOff {
	/** In `run`, with its root mounted. */
	readonly pod: LockedPod;
	readonly stage1: Stage1OfPod;
	readonly options: RunOptions;
	/** What the manifests of a pod that was just prepared say. */
	readonly manifests: ReadManifests | undefined;
	/** The caller's environment. */
	readonly environment: Readonly<Record<string, string>>;
}

/**
 * Gives this process to the `run` entry point of stage1 (stage1.md section 12 of the reference): same process
 * id, the pod directory as working directory, its lock and the sockets that systemd passed kept open. Comes
 * back only when that fails, with the exit status of stage1.
 * Errors: `stage1-not-started`.
 */
export async function runStage1(syscall: Syscall, log: Log, handOff: RunHandOff): Promise<number> {
	const { pod, stage1 } = handOff;
	const { argv, warnings } = buildRunArguments(handOff.options, stage1.entrypoints.interfaceVersion);
	for (const warning of warnings) log.info(`warning: ${warning}`);
	const environment = {
		...handOff.environment,
		RKT_LOCK_FD: String(pod.lock.fd),
		RKT_SELINUX_CONTEXT: "",
		RKT_SELINUX_MOUNT_CONTEXT: "",
	};
	recordInsecureOptions(pod.directory, handOff.options);
	process.chdir(pod.directory);
	const keep = [pod.lock.fd, ...passedDescriptors(handOff.environment, process.pid)];
	for (const fd of keep) syscall.setCloseOnExec(fd, false);
	crashPoint("run-handed-over");
	const module = loadStage1Module(stage1);
	const shared = { version: RKT_VERSION, syscall, manifests: handOff.manifests };
	if (module) return module.main("run", argv, { podDirectory: pod.directory, environment, shared });
	// The pod has not run yet, so its copy of stage1 is still the image's; programs find their files beside it.
	const program = inStage1(pod.directory, stage1.entrypoints.run);
	try {
		return syscall.execve(program, [program, ...argv], environment, keep);
	} catch (error) {
		throw new RktError("stage1-not-started", `cannot start ${stage1.entrypoints.run} of ${stage1.name}`, {
			hint: "the stage1 image may be damaged: rkt image verify checks it",
			cause: error,
		});
	}
}
