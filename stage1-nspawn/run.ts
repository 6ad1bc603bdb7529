import * as fs from "node:fs";
import * as path from "node:path";
import { isatty } from "node:tty";
import { isErrno } from "../lib/errors.ts";
import { writeFileAtomic } from "../lib/files.ts";
import { createLog, type Log } from "../lib/log.ts";
import { CLONE_NEWNET, type Syscall } from "../lib/syscall/syscall.ts";
import { environmentText } from "../stage1/apps/app-environment.ts";
import { openAppRoot } from "../stage1/apps/app-root.ts";
import { encodeAppSpec } from "../stage1/apps/app-spec.ts";
import { type AppContext, type PreparedApp, prepareApp } from "../stage1/apps/prepare-app.ts";
import { parseRunArguments, type RunOptions } from "../stage1/arguments.ts";
import type { Stage1Context } from "../stage1/entrypoints.ts";
import { createJournalDirectory } from "../stage1/journal.ts";
import { metadataUrl } from "../stage1/metadata-url.ts";
import { writeNameFiles } from "../stage1/network/name-files.ts";
import { podHostname } from "../stage1/network/names.ts";
import { enterNamespace } from "../stage1/network/namespace.ts";
import { parseNetList } from "../stage1/network/net-list.ts";
import { matchPorts } from "../stage1/network/ports.ts";
import { setUpNetwork } from "../stage1/network/set-up.ts";
import type { NetworkResult } from "../stage1/network/types.ts";
import { loadPod, type Pod } from "../stage1/pod.ts";
import * as podPaths from "../stage1/pod-paths.ts";
import { writeRuntimeConfig } from "../stage1/runtime-config.ts";
import { type AppStreams, appUnitText } from "../stage1/units/app-unit.ts";
import { writeAppUnits } from "../stage1/units/write-units.ts";
import { mountInApp } from "../stage1/volumes/mount-volume.ts";
import { enterPodCgroups } from "./cgroups/pod-cgroup.ts";
import { podDevices } from "./cgroups/pod-devices.ts";
import { choosePlacement } from "./machined.ts";
import { enterMountNamespace } from "./mount-namespace.ts";
import { findNspawn, nspawnArguments, nspawnEnvironment } from "./nspawn-command.ts";
import { ownStage1Root } from "./own-files.ts";
import { releasePod } from "./release-pod.ts";
import { specPath } from "./spec-path.ts";

interface RunContext {
	readonly syscall: Syscall;
	readonly log: Log;
	readonly pod: Pod;
	readonly options: RunOptions;
	readonly environment: Readonly<Record<string, string>>;
	readonly shift: number;
	readonly streams: AppStreams;
	/** Steps back to the namespaces of the caller, latest first. */
	readonly wayBack: (() => void)[];
}

/**
 * The entry point `run`: makes a prepared pod ready and becomes systemd-nspawn. Comes back only by throwing; what it
 * had made outside of the pod directory is removed then.
 */
export async function run(argv: string[], stage1: Stage1Context): Promise<number> {
	const options = parseRunArguments(argv);
	const { createLinuxSyscall } = await import("../lib/syscall/linux.ts");
	const context: RunContext = {
		syscall: createLinuxSyscall(),
		log: createLog("run", options.debug === true),
		pod: loadPod(stage1.podDirectory),
		options,
		environment: stage1.environment,
		shift: Number(options.privateUsers?.split(":")[0] ?? 0),
		streams: chooseStreams(options),
		wayBack: [],
	};
	process.umask(0o022);
	const program = findNspawn();
	try {
		return become(program, context);
	} catch (error) {
		for (const step of context.wayBack) step();
		releasePod({
			...context,
			podDirectory: stage1.podDirectory,
			uuid: options.uuid,
			localConfig: localConfig(options),
		});
		throw error;
	}
}

/** A table of contents of the start of a pod. */
function become(program: string, context: RunContext): never {
	const { syscall, options, pod } = context;
	const lockFd = lockDescriptor(context);
	if (lockFd !== undefined) syscall.setCloseOnExec(lockFd, true);
	const hostname = podHostname(options.uuid, options.hostname);
	writeRuntimeConfig(pod.directory, options);
	linkFlavor(pod.directory);
	const network = setUpPodNetwork(context);
	if (network.namespace !== undefined) enterPodNetwork(context, network.namespace);
	const modes = options.dnsConfMode ?? { resolv: "default", hosts: "default" };
	const { directory: podDirectory } = pod;
	const { sharedMemory, leave } = enterMountNamespace(syscall, podDirectory);
	context.wayBack.unshift(leave);
	const hostFiles = writeNameFiles({ podDirectory, uuid: options.uuid, hostname, modes, dns: network.dns });
	mountJournal(context);
	const url = metadataUrl(options.mdsToken, network.namespace === undefined ? "host" : network.networks);
	const apps = prepareApps({ ...context, sharedMemory, hostFiles, metadataUrl: url });
	writeApps(context, apps);
	const placement = choosePlacement();
	const devices = options.disablePaths
		? undefined
		: podDevices(apps.flatMap(({ unit }) => unit.devices ?? []));
	if (placement.ownCgroup) {
		enterPodCgroups({ pod: podDirectory, uuid: options.uuid, owner: context.shift, devices });
	}
	const argv = nspawnArguments({
		...{ pod: podDirectory, options, hostname, streams: context.streams },
		capabilities: [...new Set(apps.flatMap((app) => app.capabilities))],
		register: placement.register,
		keepUnit: placement.keepUnit,
		notifyReady: context.environment.NOTIFY_SOCKET !== undefined,
	});
	context.log.debug(`exec ${argv.join(" ")}`);
	writeFileAtomic(podPaths.ppidPath(podDirectory), `${process.pid}\n`, 0o644);
	const kept = [...(lockFd === undefined ? [] : [lockFd]), ...listenDescriptors(context.environment)];
	return syscall.execve(program, argv, nspawnEnvironment(context.environment, options), kept);
}

function chooseStreams(options: RunOptions): AppStreams {
	if (!options.interactive) return "journal";
	// Not process.stdin: touching that makes the descriptor non-blocking, which the pod would inherit.
	return isatty(0) && isatty(1) ? "terminal" : "keeper";
}

function lockDescriptor({ environment }: RunContext): number | undefined {
	const text = environment.RKT_LOCK_FD ?? "";
	return /^[0-9]{1,6}$/.test(text) ? Number(text) : undefined;
}

/** Sockets that systemd of the host passed to this process, sd_listen_fds(3). */
function listenDescriptors(environment: Readonly<Record<string, string>>): number[] {
	if (environment.LISTEN_PID !== String(process.pid)) return [];
	const count = Number(environment.LISTEN_FDS ?? 0);
	return Number.isInteger(count) && count > 0 && count < 1024
		? Array.from({ length: count }, (_, index) => 3 + index)
		: [];
}

function localConfig(options: RunOptions): string {
	return options.localConfig ?? "/etc/rkt";
}

function linkFlavor(pod: string): void {
	try {
		fs.symlinkSync("nspawn", podPaths.flavorPath(pod));
	} catch (error) {
		if (!isErrno(error, "EEXIST")) throw error;
	}
}

function setUpPodNetwork({ syscall, log, pod, options }: RunContext): NetworkResult {
	const owners = pod.apps.map(({ name, app }) => ({ name, ports: app.ports }));
	return setUpNetwork({
		...{ syscall, podDirectory: pod.directory, uuid: options.uuid, localConfig: localConfig(options) },
		log: log.withPrefix("networking"),
		stage1Rootfs: ownStage1Root(pod.directory),
		net: parseNetList([options.net]),
		ports: matchPorts(pod.manifest.ports, owners),
		unprivilegedPorts: options.privateUsers !== undefined,
	});
}

function enterPodNetwork({ syscall, wayBack }: RunContext, namespace: string): void {
	const host = fs.openSync("/proc/thread-self/ns/net", fs.constants.O_RDONLY);
	enterNamespace(syscall, namespace);
	wayBack.unshift(() => syscall.setns(host, CLONE_NEWNET));
}

function mountJournal({ syscall, pod, options, shift }: RunContext): void {
	const source = createJournalDirectory(options.uuid, shift);
	const root = openAppRoot(syscall, podPaths.stage1Rootfs(pod.directory), shift);
	const target = path.join("/var/log/journal", podPaths.machineId(options.uuid));
	mountInApp(syscall, root, {
		...{ name: "journal", source, target, readOnly: false, recursive: false, noExec: true },
	});
	root.close();
}

function prepareApps(context: AppContext): PreparedApp[] {
	return context.pod.apps.map((podApp) => prepareApp(context, podApp));
}

/**
 * Everything about the apps that systemd and `launch` read inside the pod; and a copy of the specifications that no pod
 * can write, for `enter`.
 */
function writeApps({ pod, shift }: RunContext, apps: readonly PreparedApp[]): void {
	const inStage1 = (guestPath: string): string => podPaths.inStage1(pod.directory, guestPath);
	for (const directory of ["/rkt/status", "/rkt/env", "/rkt/spec", "/rkt"]) {
		fs.mkdirSync(inStage1(directory), { recursive: true });
		fs.chownSync(inStage1(directory), shift, shift);
	}
	fs.mkdirSync(specPath(pod.directory, "."), { recursive: true, mode: 0o700 });
	for (const { spec } of apps) {
		const encoded = encodeAppSpec(spec);
		writePrivate(inStage1(`/rkt/spec/${spec.app}`), encoded, shift);
		writePrivate(inStage1(podPaths.guestEnvPath(spec.app)), environmentText(spec.environment), shift);
		writePrivate(specPath(pod.directory, spec.app), encoded, 0);
	}
	const units = new Map(apps.map(({ unit }) => [unit.app, appUnitText(unit)]));
	writeAppUnits(podPaths.stage1Rootfs(pod.directory), units);
}

/** An environment may hold secrets. */
function writePrivate(file: string, data: string | Buffer, owner: number): void {
	fs.writeFileSync(file, data, { mode: 0o600 });
	if (owner !== 0) fs.chownSync(file, owner, owner);
}
