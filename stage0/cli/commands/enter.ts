import type { Log } from "../../../lib/log.ts";
import { enterStage1 } from "../../handoff/enter.ts";
import type { Handler } from "../command.ts";
import { findRunningApp } from "../running-app.ts";

const DEFAULT_COMMAND = "/bin/bash";

/** `rkt enter`: this process becomes a command in a running pod. */
export const enterPod: Handler = async (context, { options, args }) => {
	const [word = "", ...rest] = args;
	const { syscall, pod, stage1, app, waitForPid } = await findRunningApp(context, {
		command: "enter",
		word,
		name: options.text("app"),
	});
	const command = readCommand(context.log, rest);
	const pid = await waitForPid();
	return enterStage1(syscall, {
		...{ pod: pod.directory, stage1, options: { pid, app, command } },
		environment: context.environment,
	});
};

/** A `--` between the pod and the command may be written and means nothing. */
function readCommand(log: Log, words: readonly string[]): readonly string[] {
	const command = words[0] === "--" ? words.slice(1) : words;
	if (command.length > 0) return command;
	log.info(`no command specified, assuming ${JSON.stringify(DEFAULT_COMMAND)}`);
	return [DEFAULT_COMMAND];
}
