import { replaceFile } from "../lib/files.ts";
import type { PreparedApp } from "../stage1/apps/prepare-app.ts";
import { readControllers, warnOfMissingControllers } from "../stage1/cgroups/controllers.ts";
import { joinPodCgroups, type PodCgroups } from "../stage1/cgroups/pod-cgroup.ts";
import { podDevices } from "../stage1/cgroups/pod-devices.ts";
import type { Stage1Context } from "../stage1/entrypoints.ts";
import { choosePlacement, type Placement } from "../stage1/machined.ts";
import { parseNetList } from "../stage1/network/net-list.ts";
import * as podPaths from "../stage1/pod-paths.ts";
import { keepLock } from "../stage1/run/keep-lock.ts";
import { type PreparedPod, preparePod } from "../stage1/run/prepare-pod.ts";
import { undoStart } from "../stage1/run/release-pod.ts";
import { makeRunContext, type RunContext } from "../stage1/run/run-context.ts";
import { type PodSysctls, podSysctls, setSysctls } from "../stage1/security/sysctls.ts";
import { passedDescriptors } from "../stage1/sockets/passed-sockets.ts";
import { handOnTrace } from "../stage1/trace.ts";
import { findNspawn, nspawnArguments, nspawnEnvironment } from "./nspawn-command.ts";
import { mountNspawnDirectory } from "./nspawn-directory.ts";
import { refuseReadAndWritten } from "./refuse-read-and-written.ts";

/**
 * The entry point `run`: makes a prepared pod ready and becomes systemd-nspawn. Comes back only by throwing; what it
 * had made outside of the pod directory is removed then.
 */
export async function run(argv: string[], stage1: Stage1Context): Promise<number> {
	const context = await makeRunContext(argv, stage1, { flavor: "nspawn", ownKernel: false });
	const { options } = context;
	process.umask(0o022);
	const program = findNspawn();
	const placement = choosePlacement({ uuid: options.uuid, owner: context.shift });
	const cgroups = placement.keepUnit ? joinCgroups(context) : undefined;
	try {
		const lockFd = keepLock(context);
		for (const fd of passedDescriptors(stage1.environment, process.pid))
			context.syscall.setCloseOnExec(fd, true);
		const prepared = preparePod(context);
		mountNspawnDirectory(context.syscall);
		await cgroups?.joined;
		const units = prepared.apps.map(({ unit }) => unit);
		warnOfMissingControllers(context.log, units, cgroups?.controllers() ?? readControllers());
		restrictDevices(context, prepared.apps, cgroups);
		const sysctls = readSysctls(context, prepared.apps);
		const ownIpc = setSysctls(context.syscall, sysctls);
		return become(program, context, {
			...prepared,
			placement,
			lockFd,
			ownIpc,
			domainName: sysctls.domainName,
		});
	} catch (error) {
		await undoStart(context, cgroups?.joined);
		throw error;
	}
}

function joinCgroups({ syscall, pod, options, shift }: RunContext): PodCgroups {
	return joinPodCgroups({ syscall, pod: pod.directory, uuid: options.uuid, owner: shift });
}

/**
 * Devices for the pod; its systemd restricts each app, but may not in a user namespace: there it is done here. Errors:
 * `device-not-read-only` where the kernel has no way to.
 */
function restrictDevices(
	{ shift, log }: RunContext,
	apps: readonly PreparedApp[],
	cgroups: PodCgroups | undefined,
): void {
	const all = apps.flatMap(({ devices }) => devices);
	const restricted = cgroups?.restrictDevices(podDevices(all)) ?? false;
	if (shift === 0 || all.length === 0) return;
	if (restricted) {
		for (const { unit, devices } of apps) cgroups?.restrictAppDevices(unit.app, podDevices(devices));
		return;
	}
	refuseReadAndWritten(apps);
	if (apps.length > 1) log.info("warning: nothing here keeps an app of this pod from the devices of another");
}

function readSysctls({ options }: RunContext, apps: readonly PreparedApp[]): PodSysctls {
	const owners = apps.map(({ spec, sysctls }) => ({ app: spec.app, sysctls }));
	const network = parseNetList([options.net]).kind === "host";
	return podSysctls(owners, { network, ipc: options.ipc === "parent" });
}

interface Start {
	readonly placement: Placement;
	readonly lockFd: number | undefined;
	/** This process is in the IPC namespace that the pod is to have. */
	readonly ownIpc: boolean;
	readonly domainName: string | undefined;
}

function become(program: string, context: RunContext, parts: PreparedPod & Start): never {
	const { pod, options, environment } = context;
	const { hostname, apps, placement, lockFd } = parts;
	const argv = nspawnArguments({
		...{ pod: pod.directory, options, hostname, streams: context.streams },
		capabilities: [...new Set(apps.flatMap((app) => app.capabilities))],
		register: placement.register,
		keepUnit: placement.keepUnit,
		domainName: parts.domainName,
		notifyReady: environment.NOTIFY_SOCKET !== undefined,
		trace: handOnTrace(pod.directory),
	});
	context.log.debug(`exec ${argv.join(" ")}`);
	replaceFile(podPaths.ppidPath(pod.directory), `${process.pid}\n`, 0o644);
	const kept = [...(lockFd === undefined ? [] : [lockFd]), ...passedDescriptors(environment, process.pid)];
	return context.syscall.execve(program, argv, nspawnEnvironment(environment, options, parts.ownIpc), kept);
}
