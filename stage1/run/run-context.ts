import type { Log } from "../../lib/log.ts";
import { createLog } from "../../lib/log.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { parseRunArguments, type RunOptions } from "../arguments.ts";
import type { Stage1Context } from "../entrypoints.ts";
import { parseNetList } from "../network/net-list.ts";
import { loadPod, type Pod } from "../pod.ts";
import { sharedManifests, syscallOf } from "../shared-state.ts";
import { type AssignedSockets, assignSockets } from "../sockets/assign-sockets.ts";
import { readPassedSockets } from "../sockets/passed-sockets.ts";
import { joinPodTrace } from "../trace.ts";
import type { AppStreams } from "../units/app-unit.ts";

/** What is different about the pods of a backend. */
export interface Backend {
	/** What the link `flavor` of a pod names. */
	readonly flavor: string;
	/** The pod has a kernel of its own, which makes its devices itself and sees none of the host's mounts. */
	readonly ownKernel: boolean;
}

/** What every step of the start of a pod has. */
export interface RunContext {
	readonly backend: Backend;
	readonly syscall: Syscall;
	readonly log: Log;
	readonly pod: Pod;
	readonly options: RunOptions;
	readonly environment: Readonly<Record<string, string>>;
	/** What the pod's user namespace adds to ids; 0 without one. */
	readonly shift: number;
	/** Descriptor of a user namespace with the pod's users, when it has some and volumes of the host. */
	readonly volumeUsers: number | undefined;
	readonly streams: AppStreams;
	readonly sockets: AssignedSockets;
	/** Steps back to the namespaces of the caller, latest first. */
	readonly wayBack: (() => void)[];
}

/** Reads what the entry point `run` was given. */
export async function makeRunContext(
	argv: string[],
	stage1: Stage1Context,
	backend: Backend,
): Promise<RunContext> {
	const { podDirectory, environment } = stage1;
	joinPodTrace(podDirectory);
	const options = parseRunArguments(argv);
	const syscall = await syscallOf(stage1);
	const log = createLog("run", options.debug === true);
	const pod = await loadPod(podDirectory, sharedManifests(stage1));
	return {
		...{ backend, syscall, log, pod, options, environment },
		sockets: findSockets({ syscall, log, pod, options, environment }),
		shift: Number(options.privateUsers?.split(":")[0] ?? 0),
		volumeUsers: await openVolumeUsers(pod, options),
		streams: await chooseStreams(options),
		wayBack: [],
	};
}

/** Made before the pod's namespaces are entered, because it takes a child. Errors: `user-namespace-failed`. */
async function openVolumeUsers(
	{ manifest, apps }: Pod,
	{ privateUsers }: RunOptions,
): Promise<number | undefined> {
	const [shift, count] = privateUsers?.split(":").map(Number) ?? [];
	const own = apps.flatMap(({ runtime }) => runtime.mounts.flatMap(({ appVolume }) => appVolume ?? []));
	if (!shift || !count || ![...manifest.volumes, ...own].some(({ kind }) => kind === "host"))
		return undefined;
	const { openUserNamespace } = await import("../user-namespace.ts");
	return openUserNamespace({ shift, count });
}

/** The administrator's configuration directory. */
export function localConfig(options: Pick<RunOptions, "localConfig">): string {
	return options.localConfig ?? "/etc/rkt";
}

async function chooseStreams(options: RunOptions): Promise<AppStreams> {
	if (!options.interactive) return "journal";
	// Not process.stdin: touching that makes the descriptor non-blocking, which the pod would inherit.
	const { isatty } = await import("node:tty");
	return isatty(0) && isatty(1) ? "terminal" : "keeper";
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
