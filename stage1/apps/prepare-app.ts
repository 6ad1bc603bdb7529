import * as fs from "node:fs";
import * as path from "node:path";
import { isDockerImage, ociAnnotation } from "../../appc/oci/oci-annotations.ts";
import { signalNumber } from "../../appc/oci/stop-signal.ts";
import { type AppLimits, readIsolators } from "../../appc/schema/app-isolators.ts";
import { supportsNotify } from "../../appc/schema/image-manifest.ts";
import type { Volume } from "../../appc/schema/pod-manifest.ts";
import type { Log } from "../../lib/log.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { RunOptions } from "../arguments.ts";
import type { HostFile } from "../network/name-files.ts";
import type { Pod, PodApp } from "../pod.ts";
import * as podPaths from "../pod-paths.ts";
import { ownDirectory } from "../run/own-files.ts";
import { appFilter, KNOWN_CALLS_FILE } from "../security/app-filter.ts";
import { appLabel } from "../security/app-label.ts";
import { appCapabilities, capabilityMask } from "../security/capabilities.ts";
import { hiddenPaths, READ_ONLY_PATHS } from "../security/protected-paths.ts";
import type { ActivationSocket, AssignedSockets } from "../sockets/assign-sockets.ts";
import type { AppDevice, AppStreams, AppUnit } from "../units/app-unit.ts";
import { socketUnitName } from "../units/socket-unit.ts";
import { describeDevice, isDevice, makePodNode } from "../volumes/device-node.ts";
import { ensureEmptyVolume } from "../volumes/empty-volume.ts";
import { type HostMount, mountInApp } from "../volumes/mount-volume.ts";
import { type AppMount, resolveMounts } from "../volumes/resolve-mounts.ts";
import { parseVolumeBounds, VOLUME_BOUNDS_VARIABLE } from "../volumes/volume-bounds.ts";
import { readAccounts } from "./accounts.ts";
import { mountDevices } from "./app-devices.ts";
import { appEnvironment } from "./app-environment.ts";
import { resolveExec, resolveHook } from "./app-exec.ts";
import { CONTAINER_MARKER, mountNameFiles, prepareAppRoot } from "./app-files.ts";
import { type AppRoot, openAppRoot } from "./app-root.ts";
import type { AppSpec } from "./app-spec.ts";
import { resolveAppUser } from "./app-user.ts";

/** What all apps of a pod have in common. */
export interface AppContext {
	readonly syscall: Syscall;
	readonly log: Log;
	readonly pod: Pod;
	readonly options: RunOptions;
	/** What the pod's user namespace adds to ids; 0 without one. */
	readonly shift: number;
	/** The pod has a kernel of its own: it makes the devices of its apps, and has every controller. */
	readonly ownKernel: boolean;
	/** Directory on the host that becomes /dev/shm. */
	readonly sharedMemory: string;
	/** Directory that the pod does not see, for device files. */
	readonly deviceNodes: string;
	readonly hostFiles: readonly HostFile[];
	readonly hostname: string;
	readonly streams: AppStreams;
	readonly metadataUrl: string | undefined;
	readonly sockets: AssignedSockets;
	/** Descriptor of a user namespace with the pod's users, for what comes from the host. */
	readonly volumeUsers: number | undefined;
	/** The environment of the entry point. */
	readonly environment: Readonly<Record<string, string>>;
}

/** An app whose root file system is complete. */
export interface PreparedApp {
	readonly spec: AppSpec;
	readonly unit: AppUnit;
	readonly sockets: readonly ActivationSocket[];
	/** Device files of the host that it has as volumes. */
	readonly devices: readonly AppDevice[];
	/** Names of the capabilities in its bounding set. */
	readonly capabilities: readonly string[];
	/** Parameters of the kernel that it wants set, by their names. */
	readonly sysctls: AppLimits["sysctls"];
}

/**
 * Completes the root file system of an app with devices, volumes and files, all in this process's mount namespace, and
 * works out how it is to be started. Errors: those of volumes, users, programs and isolators.
 */
export function prepareApp(context: AppContext, podApp: PodApp): PreparedApp {
	const { syscall, shift, pod } = context;
	const root = openAppRoot(syscall, podPaths.appRootfs(pod.directory, podApp.name), shift);
	try {
		const limits = readLimits(context, podApp);
		const notify = supportsNotify(podApp.image);
		prepareAppRoot(root, notify);
		if (!context.ownKernel) mountDevices(syscall, root, { sharedMemory: context.sharedMemory, owner: shift });
		const mounts = resolveMounts(podApp, pod.manifest.volumes);
		const volumes = mounts.map((mount) => mountVolume(context, podApp, root, mount));
		const devices = volumes.flatMap(({ device }) => device ?? []);
		const places = volumes.map(({ place }) => place);
		mountNameFiles(syscall, pod.directory, root, context.hostFiles, isDockerImage(podApp.image));
		if (isDockerImage(podApp.image)) makeWorkingDirectory(podApp, root);
		const capabilities = appCapabilities(limits.capabilities, !context.options.disableCapabilities);
		const sockets = context.sockets.byApp.get(podApp.name) ?? [];
		const spec = makeSpec(context, podApp, { root, limits, mounts, places, notify, capabilities, sockets });
		const unit = makeUnit(context, podApp, { spec, limits, devices });
		const { sysctls } = limits;
		return { spec, unit, sockets, devices, capabilities, sysctls };
	} finally {
		root.close();
	}
}

/** Isolators that a pod with a kernel of its own has no way to apply: its files are on no device. */
const NOT_IN_MACHINES = ["resource/block-bandwidth", "resource/block-iops"];

function readLimits({ log, ownKernel }: AppContext, podApp: PodApp): AppLimits {
	const limits = readIsolators(podApp.app.isolators);
	const names = podApp.app.isolators.map(({ name }) => name);
	const ignored = names.filter((name) => ownKernel && NOT_IN_MACHINES.includes(name));
	for (const name of new Set([...limits.unused, ...ignored])) {
		log.info(`warning: app ${podApp.name}: isolator ${name} has no effect`);
	}
	return limits;
}

/** `device` is there when the source is one, `place` is the path of the volume without links. */
function mountVolume(
	context: AppContext,
	podApp: PodApp,
	root: AppRoot,
	mount: AppMount,
): { readonly place: string; readonly device?: AppDevice } {
	const { volume, path: target, readOnly } = mount;
	if (mount.implicit) {
		context.log.info(
			`warning: no volume specified for mount point "${volume.name.slice(podApp.name.length + 1)}", implicitly creating an "empty" volume. This volume will be removed when the pod is garbage-collected.`,
		);
	}
	const source =
		volume.kind === "host"
			? (volume.source as string)
			: ensureEmptyVolume(context.pod.directory, volume, {
					shift: context.shift,
					...(mount.implicit && isDockerImage(podApp.image) ? { contentOf: { root, path: target } } : {}),
				});
	const name = `volume ${volume.name}`;
	const recursive = volume.recursive ?? true;
	const { stat, place } = mountInApp(context.syscall, root, {
		...{ name, source, target, readOnly, recursive, suid: volume.suid === true },
		...(volume.kind === "host" ? hostVolumeParts(context, volume) : {}),
		...(context.shift === 0 ? {} : { replaceDevice: (stat) => makePodNode(context, stat, readOnly) }),
	});
	return isDevice(stat) ? { place, device: { ...describeDevice(stat), readOnly } } : { place };
}

/** docker makes it, and images rely on that. */
function makeWorkingDirectory({ app }: PodApp, root: AppRoot): void {
	if (app.workingDirectory) fs.closeSync(root.ensureDirectory(app.workingDirectory));
}

function hostVolumeParts(
	{ environment, volumeUsers, log }: AppContext,
	{ name, idmap }: Pick<Volume, "name" | "idmap">,
): Pick<HostMount, "bounds" | "owners"> {
	const onRefused = (): void =>
		log.info(
			`volume ${name}: its file system cannot give files other owners, they belong to strangers in the pod`,
		);
	const mapped = volumeUsers !== undefined && idmap !== false;
	return {
		bounds: parseVolumeBounds(environment[VOLUME_BOUNDS_VARIABLE]),
		owners: mapped ? { userNamespace: volumeUsers, onRefused } : undefined,
	};
}

interface SpecParts {
	readonly root: AppRoot;
	readonly limits: AppLimits;
	readonly mounts: readonly AppMount[];
	readonly places: readonly string[];
	readonly notify: boolean;
	readonly capabilities: readonly string[];
	readonly sockets: readonly ActivationSocket[];
}

function makeSpec(context: AppContext, podApp: PodApp, parts: SpecParts): AppSpec {
	const { options } = context;
	const { root, limits, notify } = parts;
	const user = resolveAppUser(podApp, root, context.shift);
	const filter = options.disableSeccomp ? { files: [] } : appFilter(limits.seccomp, readKnownCalls);
	const filtered = filter.files.length > 0 || filter.compiled !== undefined;
	const bindSys = !parts.mounts.some((mount) => isAtOrBelow(mount.path, "/sys"));
	// Who mounts something there wants it as it is.
	const protects = (target: string): boolean =>
		!options.disablePaths && (bindSys || !isAtOrBelow(target, "/sys"));
	return {
		app: podApp.name,
		root: podPaths.guestAppRootfs(podApp.name),
		readOnlyRoot: podApp.runtime.readOnlyRootFS,
		bindSys,
		makeDevices: context.ownKernel,
		volumes: context.ownKernel
			? parts.places.map((place, index) => suidMark(parts.mounts[index]) + place)
			: [],
		binds: ["/run/systemd/journal", `-${CONTAINER_MARKER}`, ...(notify ? ["/run/systemd/notify"] : [])],
		readOnlyPaths: READ_ONLY_PATHS.filter(protects),
		hiddenPaths: hiddenPaths(context.ownKernel).filter(protects),
		user,
		workingDirectory: podApp.app.workingDirectory || "/",
		capabilities: capabilityMask(parts.capabilities),
		// As in rkt, nobody but root gets a filter without it.
		noNewPrivileges: limits.noNewPrivileges === true || (filtered && user.uid !== 0),
		rlimits: limits.rlimits,
		label: appLabel(podApp.name, limits, context.ownKernel),
		filter,
		keeperStdio: context.streams === "keeper",
		plainConsole: context.streams === "journal",
		openOutput: isDockerImage(podApp.image),
		socketNames: parts.sockets.map(({ port }) => port),
		notify,
		environment: appEnvironment(podApp, {
			metadataUrl: context.metadataUrl,
			hostname: context.hostname,
			account: () => readAccounts(root).find(({ uid }) => uid === user.uid),
		}),
		exec: resolveExec(podApp, root),
		preStart: resolveHook(podApp, "pre-start", root),
		postStop: resolveHook(podApp, "post-stop", root),
	};
}

function readKnownCalls(): string {
	return fs.readFileSync(path.join(ownDirectory(), "seccomp", KNOWN_CALLS_FILE), "utf8");
}

/** The form of app-spec.ts. */
const suidMark = (mount: AppMount | undefined): string => (mount?.volume.suid ? "+" : "");

function isAtOrBelow(target: string, directory: string): boolean {
	const normal = path.posix.normalize(target);
	return normal === directory || normal.startsWith(`${directory}/`);
}

function makeUnit(
	context: AppContext,
	podApp: PodApp,
	parts: { spec: AppSpec; limits: AppLimits; devices: readonly AppDevice[] },
): AppUnit {
	const { spec, limits, devices } = parts;
	return {
		app: podApp.name,
		podUuid: context.options.uuid,
		imageName: podApp.image.name,
		imageId: podApp.runtime.image.id,
		streams: context.streams,
		notify: spec.notify,
		hasPreStart: spec.preStart.length > 0,
		hasPostStop: spec.postStop.length > 0,
		stopSignal: signalNumber(ociAnnotation(podApp.image, "stopSignal") ?? ""),
		limits: supportedLimits(context, limits),
		ownKernel: context.ownKernel,
		devices,
		sockets: spec.socketNames.length > 0 ? [socketUnitName(podApp.name)] : [],
	};
}

/** The files of a pod with a kernel of its own are on no device. */
function supportedLimits({ ownKernel }: AppContext, limits: AppLimits): AppUnit["limits"] {
	const { blockBandwidth: _, blockIops: __, ...others } = limits;
	return ownKernel ? others : limits;
}
