import * as fs from "node:fs";
import * as path from "node:path";
import { sharedVolumePath } from "../../stage1/pod-paths.ts";
import {
	type NetInfo,
	readCreationTime,
	readExitStatuses,
	readNetInfo,
	readOutOfMemory,
	readRecordedProcess,
	readStartTime,
} from "../../stage1/pod-record.ts";
import { readInsecureOptions } from "./insecure-record.ts";
import type { ObservedPod } from "./pod-lock.ts";
import { type LooseApp, type LoosePodManifest, readPodManifest } from "./read-manifest.ts";
import { isAfterRun, lacksManifest, type PodState } from "./states.ts";
import { formatUserRange, readUserRange } from "./user-range.ts";

/** What `list` and `status` show of a pod. */
export interface PodView {
	readonly pod: ObservedPod;
	/** Undefined while it is not complete, and when it cannot be read. */
	readonly manifest: LoosePodManifest | undefined;
	readonly created: Date | undefined;
	readonly started: Date | undefined;
	/** When it was marked as garbage. */
	readonly marked: Date | undefined;
	readonly networks: readonly NetInfo[];
	/** The process that stage1 recorded. Read when it is asked for, as a list of many pods needs none. */
	readonly readPid: () => number | undefined;
	/** By app, for those that have ended. Read when it is asked for. */
	readonly readExitStatuses: () => ReadonlyMap<string, number>;
	/** Apps that ended because memory was short. Read when it is asked for. */
	readonly readOutOfMemory: () => ReadonlySet<string>;
	/** Security features that it was started without. */
	readonly readInsecureOptions: () => readonly string[];
	/** The range of ids of the host that its users are; undefined for the host's own. */
	readonly readPrivateUsers: () => string | undefined;
	/** What could not be read. */
	readonly problems: readonly unknown[];
}

/** Reads a pod as it is now. Nothing that the pod wrote is followed or trusted. */
export function viewPod(pod: ObservedPod): PodView {
	const problems: unknown[] = [];
	const attempt = <T>(fallback: T, read: () => T): T => {
		try {
			return read();
		} catch (error) {
			problems.push(error);
			return fallback;
		}
	};
	const { directory, state } = pod;
	const manifest = lacksManifest(state) ? undefined : attempt(undefined, () => readPodManifest(directory));
	const apps = manifest?.apps.map((app) => app.name) ?? [];
	const hasRun = state === "running" || isAfterRun(state);
	return {
		pod,
		manifest,
		created: readCreationTime(directory),
		started: readStartTime(directory),
		marked: state.includes("garbage") ? fs.lstatSync(directory, { throwIfNoEntry: false })?.ctime : undefined,
		networks: hasRun ? attempt([], () => readNetInfo(directory)) : [],
		readPid: () => (hasRun ? readRecordedProcess(directory)?.pid : undefined),
		readExitStatuses: () => (hasRun ? readExitStatuses(directory, apps) : new Map()),
		readOutOfMemory: () => (hasRun ? readOutOfMemory(directory, apps) : new Set()),
		readPrivateUsers: () => {
			const range = readUserRange(directory);
			return range && formatUserRange(range);
		},
		readInsecureOptions: () => (hasRun ? readInsecureOptions(directory) : []),
		problems,
	};
}

const NS_PER_MS = 1_000_000;

/** The pod as `list --format=json` and `status --format=json` print it; empty members are left out. */
export function toPodJson(view: PodView): Record<string, unknown> {
	const { pod, manifest } = view;
	const statuses = view.readExitStatuses();
	const outOfMemory = view.readOutOfMemory();
	const ending = (app: string): AppEnding => ({
		status: statuses.get(app),
		...(outOfMemory.has(app) ? { reason: "oom-kill" } : {}),
	});
	return withoutEmpty({
		name: pod.uuid,
		state: pod.state,
		networks: view.networks,
		app_names: manifest?.apps.map((app) => app.name),
		apps: manifest?.apps.map((app) => toAppJson(view, manifest, app, ending(app.name))),
		created_at: seconds(view.created),
		started_at: seconds(view.started),
		user_annotations: manifest?.userAnnotations,
		user_labels: manifest?.userLabels,
		insecure_options: view.readInsecureOptions(),
		private_users: view.readPrivateUsers(),
	});
}

interface AppEnding {
	readonly status: number | undefined;
	readonly reason?: string;
}

function toAppJson(
	view: PodView,
	manifest: LoosePodManifest,
	app: LooseApp,
	ending: AppEnding,
): Record<string, unknown> {
	return withoutEmpty({
		name: app.name,
		state: appState(view.pod.state, ending.status !== undefined),
		created_at: nanoseconds(view.created),
		started_at: nanoseconds(view.started),
		finished_at: nanoseconds(view.marked),
		exit_code: ending.status,
		exit_reason: ending.reason,
		image_id: app.imageId,
		mounts: app.mounts.map((mount) => toMountJson(view.pod.directory, manifest, mount)),
		user_annotations: app.userAnnotations,
		user_labels: app.userLabels,
	});
}

function toMountJson(
	pod: string,
	manifest: LoosePodManifest,
	mount: LooseApp["mounts"][number],
): Record<string, unknown> {
	const volume = mount.appVolume ?? manifest.volumes.find((candidate) => candidate.name === mount.volume);
	const isEmpty = volume?.kind === "empty" && path.basename(volume.name) === volume.name;
	return {
		name: mount.volume,
		container_path: mount.path,
		host_path: isEmpty ? sharedVolumePath(pod, volume.name) : (volume?.source ?? ""),
		read_only: volume?.readOnly ?? false,
	};
}

/** Inferred from the pod, as nothing records it for pods whose apps do not change. */
function appState(state: PodState, ended: boolean): string {
	if (ended || isAfterRun(state)) return "exited";
	if (state === "running") return "running";
	return state === "prepared" ? "created" : "unknown";
}

function seconds(time: Date | undefined): number | undefined {
	return time && Math.floor(time.getTime() / 1000);
}

function nanoseconds(time: Date | undefined): number | undefined {
	return time && time.getTime() * NS_PER_MS;
}

function withoutEmpty(object: Record<string, unknown>): Record<string, unknown> {
	const filled = Object.entries(object).filter(([, value]) => {
		if (typeof value !== "object" || value === null) return value !== undefined;
		return Object.keys(value).length > 0;
	});
	return Object.fromEntries(filled);
}
