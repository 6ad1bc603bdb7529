import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../../lib/errors.ts";
import { enterStage1 } from "../../handoff/enter.ts";
import type { Handler } from "../command.ts";
import { findRunningApp } from "../running-app.ts";

/** Where a stage1 image of ours has its probe; stage1/guest/probe.h says what that prints. */
const PROBE = "rkt/probe";

/** `rkt test-isolation`: this process becomes a probe in an app of a running pod. */
export const testIsolation: Handler = async (context, { options, args }) => {
	const { syscall, pod, stage1, app, waitForPid } = await findRunningApp(context, {
		command: "test-isolation",
		word: args[0] ?? "",
		name: options.text("app"),
	});
	if (!fs.existsSync(path.join(stage1.rootfs, PROBE))) {
		fail("isolation-probe-missing", `the stage1 image ${stage1.name} has no probe of the isolation`, {
			hint: "start the pod with a stage1 image of this version of rkt",
		});
	}
	const format = options.text("format") === "" ? "text" : "json";
	const pid = await waitForPid();
	return enterStage1(syscall, {
		...{ pod: pod.directory, stage1, options: { pid, app, command: [`--format=${format}`], probe: true } },
		environment: context.environment,
	});
};
