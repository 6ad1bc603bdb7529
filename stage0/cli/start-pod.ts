import * as fs from "node:fs";
import type { PodManifest } from "../../appc/schema/pod-manifest.ts";
import { fail } from "../../lib/errors.ts";
import { unmountBelow } from "../../lib/mountinfo.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { ACCELERATOR_VARIABLE } from "../../stage1/accelerator.ts";
import type { ReadManifests } from "../../stage1/entrypoints.ts";
import { JOURNAL_SIZE_VARIABLE } from "../../stage1/journal.ts";
import { MACHINE_SETTINGS } from "../../stage1/machine-settings.ts";
import { GUEST_HOSTS, GUEST_RESOLV_CONF } from "../../stage1/pod-paths.ts";
import {
	formatVolumeBounds,
	VOLUME_BOUNDS_VARIABLE,
	type VolumeBounds,
} from "../../stage1/volumes/volume-bounds.ts";
import type { Config } from "../config/config.ts";
import { parseJournalSize } from "../config/journal-size.ts";
import { runStage1 } from "../handoff/run.ts";
import { readStage1OfPod } from "../handoff/stage1-of-pod.ts";
import { mountPod } from "../pod/mount-pod.ts";
import type { LockedPod } from "../pod/pod-lock.ts";
import { formatUserRange, readUserRange } from "../pod/user-range.ts";
import { storeLayout } from "../store/layout.ts";
import { treeLowers } from "../store/tree-layers.ts";
import type { CommandContext } from "./command.ts";
import type { StartFlags } from "./start-flags.ts";

export interface StartRequest {
	readonly syscall: Syscall;
	readonly dataDirectory: string;
	/** In `run`, locked. */
	readonly pod: LockedPod;
	readonly appNames: readonly string[];
	/** Of a pod that was just prepared. */
	readonly manifests?: ReadManifests | undefined;
	readonly flags: StartFlags;
	readonly config: Config;
	/** Of the metadata service; undefined when the pod is not registered. */
	readonly mdsToken: string | undefined;
	/** What the policy of this machine says about host volumes. */
	readonly volumeBounds: VolumeBounds;
}

/** Errors: `metadata-service-missing` when the pod is to be registered and cannot be. */
export async function checkRegistration({ mdsRegister }: StartFlags): Promise<void> {
	if (mdsRegister) await (await import("../metadata/client.ts")).checkMetadataService();
}

/**
 * Gives the token of a pod that is to be registered. The pod has not left its state yet, so that a failure changes
 * nothing. Errors: `metadata-service-missing`, `metadata-registration-refused`.
 */
export async function registerForStart(
	{ mdsRegister }: StartFlags,
	pod: LockedPod,
	appNames: readonly string[],
): Promise<string | undefined> {
	if (!mdsRegister) return undefined;
	const { registerPreparedPod } = await import("../metadata/pod-registration.ts");
	return registerPreparedPod(pod, appNames);
}

/** What a host volume leads to must be there. Errors: `volume-source-missing`. */
export function checkVolumes(manifest: {
	readonly volumes: readonly Pick<PodManifest["volumes"][number], "name" | "kind" | "source">[];
}): void {
	for (const volume of manifest.volumes) {
		if (volume.kind !== "host" || volume.source === undefined || fs.existsSync(volume.source)) continue;
		fail(
			"volume-source-missing",
			`the source of the volume ${volume.name} does not exist: ${volume.source}`,
			{
				hint: `make it: mkdir -p ${volume.source}`,
			},
		);
	}
}

/**
 * Makes the root of the pod, the last step before stage1. When it fails nothing stays mounted.
 * Errors: those of {@link mountPod}.
 */
export async function mountForStart(request: StartRequest): Promise<void> {
	const { syscall, dataDirectory, pod } = request;
	try {
		await mountPod(syscall, {
			pod: pod.directory,
			appNames: request.appNames,
			treeLowers: (treeId) => treeLowers(storeLayout(dataDirectory), treeId),
			files: stage0Files(request.flags),
		});
	} catch (error) {
		unmountBelow(syscall, fs.realpathSync(pod.directory));
		throw error;
	}
}

/** Gives this process to stage1. Comes back only when it could not take over, with its exit status. */
export async function handOver(context: CommandContext, request: StartRequest): Promise<number> {
	const { pod, flags } = request;
	const { globals } = context;
	const range = readUserRange(pod.directory);
	return runStage1(request.syscall, context.log, {
		pod,
		stage1: readStage1OfPod(request.dataDirectory, pod.directory),
		manifests: request.manifests,
		options: {
			uuid: pod.uuid,
			debug: globals.debug,
			net: flags.net,
			interactive: flags.interactive,
			privateUsers: range && formatUserRange(range),
			mdsToken: request.mdsToken,
			localConfig: globals.localConfig,
			hostname: flags.hostname,
			dnsConfMode: { resolv: flags.resolution.resolv, hosts: flags.resolution.hosts },
			disableCapabilities: globals.insecure.capabilities,
			disablePaths: globals.insecure.paths,
			disableSeccomp: globals.insecure.seccomp,
			ipc: flags.ipc,
		},
		environment: {
			...machineVariables(request.config),
			...context.environment,
			...journalVariables(flags, request.config),
			...boundsVariables(request.volumeBounds),
		},
	});
}

/** The flag counts more than the configuration; without both, stage1 decides. */
function journalVariables({ journalSize }: StartFlags, { journal }: Config): Record<string, string> {
	const size = journalSize ?? (journal && parseJournalSize(journal.maxSize));
	return size === undefined ? {} : { [JOURNAL_SIZE_VARIABLE]: String(size) };
}

/** What the caller's environment says counts more. */
function machineVariables({ kvm }: Config): Record<string, string> {
	const variables = { accelerator: ACCELERATOR_VARIABLE, ...MACHINE_SETTINGS };
	return Object.fromEntries([...kvm].map(([name, value]) => [variables[name], value]));
}

function boundsVariables(bounds: VolumeBounds): Record<string, string> {
	return bounds.length === 0 ? {} : { [VOLUME_BOUNDS_VARIABLE]: formatVolumeBounds(bounds) };
}

function stage0Files(flags: StartFlags): Map<string, string> {
	const { resolv, resolvConf, hosts, hostsFile } = flags.resolution;
	return new Map([
		...(resolv === "stage0" ? [[GUEST_RESOLV_CONF, resolvConf] as const] : []),
		...(hosts === "stage0" ? [[GUEST_HOSTS, hostsFile] as const] : []),
	]);
}
