import { writeStdout } from "../../../lib/log.ts";
import { toPrepared } from "../../pod/transitions.ts";
import type { Handler } from "../command.ts";
import { makeNewPod } from "../new-pod.ts";
import { readPrepareFlags } from "../prepare-flags.ts";
import { openWorkspace } from "../workspace.ts";

/**
 * `rkt prepare`: the pod is made and left for `run-prepared`; its UUID is the last line of the output. With
 * --quiet it is all of it: progress goes to standard error anyway, and only there.
 */
export const prepareImages: Handler = async (context, invocation) => {
	const flags = readPrepareFlags(context, invocation);
	const workspace = await openWorkspace(context);
	const { pod } = await makeNewPod(context, workspace, flags, {
		check: () => {},
		onCreated: () => {},
		start: undefined,
		durable: true,
	});
	const prepared = toPrepared(workspace.dataDirectory, pod);
	writeStdout(`${prepared.uuid}\n`);
	return 0;
};
