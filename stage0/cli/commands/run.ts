import { mark, startTrace } from "../../../lib/trace.ts";
import { beginPodTrace } from "../../../stage1/trace.ts";
import { createCleaner } from "../../handoff/clean-pod.ts";
import { discardPod } from "../../pod/delete-pod.ts";
import { toRun } from "../../pod/transitions.ts";
import type { CommandContext, Handler, Invocation } from "../command.ts";
import { makeNewPod, saveUuid } from "../new-pod.ts";
import { type PrepareFlags, readPrepareFlags } from "../prepare-flags.ts";
import { checkInteractive, checkPortsHaveNetwork, readStartFlags, type StartFlags } from "../start-flags.ts";
import { checkRegistration, checkVolumes, handOver, mountForStart, registerForStart } from "../start-pod.ts";
import { openWorkspace } from "../workspace.ts";

/** `rkt run`: everything is checked, then fetched, prepared and started; this process becomes the pod's. */
export const runImages: Handler = async (context, invocation) => {
	const { options } = invocation;
	const began = options.on("trace") ? startTrace() : undefined;
	mark("stage0 start");
	const { flags, start } = await readFlags(context, invocation);
	const workspace = await openWorkspace(context);
	mark("stage0 flags");
	const { syscall, dataDirectory, config } = workspace;
	const { pod, manifest, manifests, volumeBounds } = await makeNewPod(context, workspace, flags, {
		check: (made) => {
			checkInteractive(start.interactive, made.apps.length);
			checkPortsHaveNetwork(made.ports, start.net, context.environment);
			checkVolumes(made);
		},
		onCreated: (uuid) => {
			if (options.given("uuid-file-save")) saveUuid(options.text("uuid-file-save"), uuid);
		},
		start,
		durable: false,
	});
	const appNames = manifest.apps.map((app) => app.name);
	let place = pod;
	try {
		const mdsToken = await registerForStart(start, pod, appNames);
		place = toRun(dataDirectory, pod, outlivesPower(start.net));
		const started = { syscall, dataDirectory, appNames, manifests, flags: start, config, mdsToken };
		const request = { ...started, volumeBounds, pod: place };
		await mountForStart(request);
		mark("stage0 mounts");
		beginPodTrace(place.directory, began);
		return await handOver(context, request);
	} catch (error) {
		const { globals, environment, log } = context;
		const cleaning = { dataDirectory, localConfig: globals.localConfig, environment, log };
		process.chdir("/");
		await discardPod(syscall, dataDirectory, place, createCleaner(syscall, cleaning));
		throw error;
	}
};

/** Plugins keep addresses on the disk; the namespace alone is gone with the power. */
function outlivesPower(net: string): boolean {
	return net !== "none" && net !== "host";
}

/** What can be refused without the images is refused before anything is fetched. */
async function readFlags(
	context: CommandContext,
	invocation: Invocation,
): Promise<{ flags: PrepareFlags; start: StartFlags }> {
	const flags = readPrepareFlags(context, invocation);
	const start = await readStartFlags(context, invocation.options);
	checkInteractive(start.interactive, flags.images.length);
	checkPortsHaveNetwork(flags.ports, start.net, context.environment);
	checkVolumes(flags);
	await checkRegistration(start);
	return { flags, start };
}
