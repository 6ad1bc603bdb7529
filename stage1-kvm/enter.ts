import * as path from "node:path";
import { fail } from "../lib/errors.ts";
import { parseEnterArguments } from "../stage1/arguments.ts";
import type { Stage1Context } from "../stage1/entrypoints.ts";
import { readRecordedProcess } from "../stage1/pod-record.ts";
import { ownDirectory } from "../stage1/run/own-files.ts";
import { requireSpec } from "../stage1/run/spec-path.ts";
import { syscallOf } from "../stage1/shared-state.ts";

/** An emulated guest on a busy machine may still be starting; one that is silent for longer is lost. */
const WAIT_SECONDS = 120;

/**
 * The entry point `enter`: becomes the client that has the agent in the guest run a command in an app. Both speak through
 * the monitor of the pod; the network of the pod has no part in it.
 */
export async function enter(argv: string[], context: Stage1Context): Promise<number> {
	const { pid, app, command, probe } = parseEnterArguments(argv);
	if (readRecordedProcess(context.podDirectory)?.pid !== pid) {
		fail("pod-not-running", `process ${pid} is not the monitor of the pod`);
	}
	requireSpec(context.podDirectory, app);
	const client = path.join(ownDirectory(), "vm/client");
	const syscall = await syscallOf(context);
	const terminal = { TERM: context.environment.TERM ?? "vt100" };
	process.chdir(context.podDirectory);
	const words = ["enter", `--app=${app}`, `--wait=${WAIT_SECONDS}`, ...(probe ? ["--probe"] : [])];
	return syscall.execve(client, [...words, "--", ...command], terminal, []);
}
