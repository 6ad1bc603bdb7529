import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../lib/errors.ts";
import { replaceFile } from "../lib/files.ts";
import { createLog } from "../lib/log.ts";
import { openAppRoot } from "../stage1/apps/app-root.ts";
import { type PreparedApp, prepareApp } from "../stage1/apps/prepare-app.ts";
import { parseRunArguments, type RunOptions } from "../stage1/arguments.ts";
import type { Stage1Context } from "../stage1/entrypoints.ts";
import { createJournalDirectory, JOURNAL_SIZE_VARIABLE, writeJournalSize } from "../stage1/journal.ts";
import { metadataUrl } from "../stage1/metadata-url.ts";
import { writeNameFiles } from "../stage1/network/name-files.ts";
import { podHostname } from "../stage1/network/names.ts";
import { parseNetList } from "../stage1/network/net-list.ts";
import { loadPod } from "../stage1/pod.ts";
import * as podPaths from "../stage1/pod-paths.ts";
import { writeRuntimeConfig } from "../stage1/runtime-config.ts";
import { type AssignedSockets, assignSockets } from "../stage1/sockets/assign-sockets.ts";
import { passedDescriptors, readPassedSockets } from "../stage1/sockets/passed-sockets.ts";
import type { AppStreams } from "../stage1/units/app-unit.ts";
import { mountInApp } from "../stage1/volumes/mount-volume.ts";
import { joinPodCgroups, type OwnCgroups, type PodCgroups } from "../stage1/cgroups/pod-cgroup.ts";
import { podDevices } from "../stage1/cgroups/pod-devices.ts";
import { choosePlacement, type Placement } from "../stage1/machined.ts";
import { enterMountNamespace } from "../stage1/run/mount-namespace.ts";
import { findNspawn, nspawnArguments, nspawnEnvironment } from "./nspawn-command.ts";
import { enterPodNetwork } from "../stage1/run/pod-network.ts";
import { releasePod } from "../stage1/run/release-pod.ts";
import { localConfig, type RunContext } from "../stage1/run/run-context.ts";
import { writeApps } from "../stage1/run/write-apps.ts";

/**
 * The entry point `run`: makes a prepared pod ready and becomes systemd-nspawn. Comes back only by throwing; what it
 * had made outside of the pod directory is removed then.
 */
export async function run(argv: string[], stage1: Stage1Context): Promise<number> {
	const options = parseRunArguments(argv);
	const { createLinuxSyscall } = await import("../lib/syscall/linux.ts");
	const syscall = createLinuxSyscall();
	const log = createLog("run", options.debug === true);
	const pod = loadPod(stage1.podDirectory);
	const context: RunContext = {
		...{ syscall, log, pod, options },
		sockets: findSockets({ syscall, log, pod, options, environment: stage1.environment }),
		environment: stage1.environment,
		shift: Number(options.privateUsers?.split(":")[0] ?? 0),
		streams: await chooseStreams(options),
		wayBack: [],
	};
	process.umask(0o022);
	const program = findNspawn();
	const placement = choosePlacement({ uuid: options.uuid, owner: context.shift });
	const cgroups = joinCgroups(context, placement.ownCgroups);
	try {
		const lockFd = keepLock(context);
		for (const fd of passedDescriptors(stage1.environment, process.pid)) syscall.setCloseOnExec(fd, true);
		const { hostname, apps } = preparePod(context);
		await cgroups?.joined;
		restrictDevices(context, apps, cgroups);
		return become(program, context, { hostname, apps, placement, lockFd });
	} catch (error) {
		await cgroups?.joined.catch(() => undefined);
		for (const step of context.wayBack) step();
		const { podDirectory } = stage1;
		releasePod({ ...context, podDirectory, uuid: options.uuid, localConfig: localConfig(options) });
		throw error;
	}
}

function joinCgroups({ pod, options, shift }: RunContext, which: OwnCgroups): PodCgroups | undefined {
	if (which === "none") return undefined;
	return joinPodCgroups({ pod: pod.directory, uuid: options.uuid, owner: shift, which });
}

interface PreparedPod {
	readonly hostname: string;
	readonly apps: readonly PreparedApp[];
}

/** Network, mounts, files and units. Synchronous: from here on the main thread is in other namespaces. */
function preparePod(context: RunContext): PreparedPod {
	const { syscall, options, pod, wayBack } = context;
	const { directory: podDirectory } = pod;
	const hostname = podHostname(options.uuid, options.hostname);
	writeRuntimeConfig(podDirectory, options);
	linkFlavor(podDirectory);
	const network = enterPodNetwork(context);
	const { sharedMemory, leave } = enterMountNamespace(syscall, podDirectory);
	wayBack.unshift(leave);
	const modes = options.dnsConfMode ?? { resolv: "default", hosts: "default" };
	const hostFiles = writeNameFiles({ podDirectory, uuid: options.uuid, hostname, modes, dns: network.dns });
	mountJournal(context);
	const url = metadataUrl(options.mdsToken, network.hostIP);
	const apps = pod.apps.map((podApp) =>
		prepareApp({ ...context, sharedMemory, hostFiles, metadataUrl: url }, podApp),
	);
	writeApps(context, apps);
	return { hostname, apps };
}

function restrictDevices(
	{ options }: RunContext,
	apps: readonly PreparedApp[],
	cgroups: PodCgroups | undefined,
): void {
	if (!options.disablePaths)
		cgroups?.restrictDevices(podDevices(apps.flatMap(({ unit }) => unit.devices ?? [])));
}

function become(
	program: string,
	context: RunContext,
	parts: PreparedPod & { placement: Placement; lockFd: number | undefined },
): never {
	const { pod, options, environment } = context;
	const { hostname, apps, placement, lockFd } = parts;
	const argv = nspawnArguments({
		...{ pod: pod.directory, options, hostname, streams: context.streams },
		capabilities: [...new Set(apps.flatMap((app) => app.capabilities))],
		register: placement.register,
		keepUnit: placement.keepUnit,
		notifyReady: environment.NOTIFY_SOCKET !== undefined,
	});
	context.log.debug(`exec ${argv.join(" ")}`);
	replaceFile(podPaths.ppidPath(pod.directory), `${process.pid}\n`, 0o644);
	const kept = [...(lockFd === undefined ? [] : [lockFd]), ...passedDescriptors(environment, process.pid)];
	return context.syscall.execve(program, argv, nspawnEnvironment(environment, options), kept);
}

async function chooseStreams(options: RunOptions): Promise<AppStreams> {
	if (!options.interactive) return "journal";
	// Not process.stdin: touching that makes the descriptor non-blocking, which the pod would inherit.
	const { isatty } = await import("node:tty");
	return isatty(0) && isatty(1) ? "terminal" : "keeper";
}

/** The lock on the pod: nspawn inherits it, network plugins do not. */
function keepLock({ syscall, environment }: RunContext): number | undefined {
	const text = environment.RKT_LOCK_FD ?? "";
	if (!/^[0-9]{1,6}$/.test(text)) return undefined;
	syscall.setCloseOnExec(Number(text), true);
	return Number(text);
}

/** Which app gets which of the sockets that systemd of the host passed. */
function findSockets(
	context: Pick<RunContext, "syscall" | "log" | "pod" | "options" | "environment">,
): AssignedSockets {
	const { syscall, log, pod, options, environment } = context;
	return assignSockets({
		sockets: readPassedSockets(syscall, environment, process.pid),
		apps: pod.apps.map(({ name, app }) => ({ name, ports: app.ports })),
		exposed: pod.manifest.ports,
		hostNetwork: parseNetList([options.net]).kind === "host",
		warn: log.info,
	});
}

function linkFlavor(pod: string): void {
	try {
		fs.symlinkSync("nspawn", podPaths.flavorPath(pod));
	} catch (error) {
		if (!isErrno(error, "EEXIST")) throw error;
	}
}

function mountJournal({ syscall, pod, options, environment, shift }: RunContext): void {
	const size = environment[JOURNAL_SIZE_VARIABLE];
	if (size) writeJournalSize(podPaths.stage1Rootfs(pod.directory), size);
	const source = createJournalDirectory(options.uuid, shift);
	const root = openAppRoot(syscall, podPaths.stage1Rootfs(pod.directory), shift);
	const target = path.join("/var/log/journal", podPaths.machineId(options.uuid));
	const common = { name: "journal", readOnly: false, recursive: false, noExec: true };
	mountInApp(syscall, root, { ...common, source, target });
	root.close();
}
