import * as fs from "node:fs";
import { fail, isErrno } from "../lib/errors.ts";
import { lstatIfExists, readTextIfExists } from "../lib/files.ts";
import { isNamespaceInit } from "./left-over-processes.ts";
import { readPodFile, readPodLink } from "./pod-files.ts";
import * as podPaths from "./pod-paths.ts";

/** One entry of net-info.json: a network that the pod is attached to. */
export interface NetInfo {
	readonly netName: string;
	/** Path of the copied configuration. */
	readonly netConf: string;
	readonly pluginPath: string;
	readonly ifName: string;
	readonly ip: string;
	readonly args: string;
	/** Dotted quad. */
	readonly mask: string;
}

/** The process that a backend recorded: the pod itself (`pid`) or the parent of its PID 1 (`ppid`). */
export interface RecordedProcess {
	readonly kind: "pid" | "ppid";
	readonly pid: number;
}

/** What `run` wrote last before it became the supervisor; undefined before that. */
export function readRecordedProcess(pod: string): RecordedProcess | undefined {
	const pid = readProcessId(podPaths.pidPath(pod));
	if (pid !== undefined) return { kind: "pid", pid };
	const ppid = readProcessId(podPaths.ppidPath(pod));
	return ppid === undefined ? undefined : { kind: "ppid", pid: ppid };
}

/**
 * PID 1 of the pod as the host sees it; undefined while it does not exist (yet). Only meaningful while the
 * pod directory is locked: the number may belong to someone else afterwards.
 */
export function readContainerPid(pod: string): number | undefined {
	const recorded = readRecordedProcess(pod);
	if (recorded === undefined || recorded.kind === "pid") return recorded?.pid;
	// A supervisor also forks helpers while it starts.
	return childrenOf(recorded.pid).find(isNamespaceInit);
}

/** Exit statuses of the apps that have ended. A status that is no number counts as not ended. */
export function readExitStatuses(pod: string, apps: readonly string[]): Map<string, number> {
	const root = stage1WritableRoot(pod);
	const statuses = new Map<string, number>();
	for (const app of apps) {
		const text = readPodFile(root, podPaths.guestStatusPath(app), 64)?.trim() ?? "";
		if (/^[0-9]{1,3}$/.test(text)) statuses.set(app, Number(text));
	}
	return statuses;
}

/** The apps of which a process was killed for using too much memory, and which failed for it or died with it. */
export function readOutOfMemory(pod: string, apps: readonly string[]): Set<string> {
	const root = stage1WritableRoot(pod);
	return new Set(
		apps.filter((app) => readPodFile(root, podPaths.guestReasonPath(app), 64)?.trim() === "oom-kill"),
	);
}

/** True once every app of the pod was started. */
export function isSupervisorReady(pod: string): boolean {
	return readPodLink(stage1WritableRoot(pod), podPaths.GUEST_SUPERVISOR_STATUS) === "ready";
}

/** The networks of the pod; none for host networking, `none`, or a pod that was never set up. */
export function readNetInfo(pod: string): NetInfo[] {
	const file = podPaths.netInfoPath(pod);
	const text = readTextIfExists(file);
	if (text === undefined || text.trim() === "") return [];
	const parsed: unknown = parseOrFail(text, file);
	return Array.isArray(parsed) ? parsed.map(toNetInfo) : [];
}

/** When the pod was made; undefined while it is too early in its life. */
export function readCreationTime(pod: string): Date | undefined {
	const stat = lstatIfExists(podPaths.podCreatedPath(pod)) ?? lstatIfExists(podPaths.podManifestPath(pod));
	return stat?.mtime;
}

/** When the pod was started; undefined when it was not. */
export function readStartTime(pod: string): Date | undefined {
	return (lstatIfExists(podPaths.pidPath(pod)) ?? lstatIfExists(podPaths.ppidPath(pod)))?.mtime;
}

/**
 * Where the pod's own writes to its root land on the host: the upper directory of stage1's overlay, which is
 * there also when nothing is mounted, or the copied root.
 */
export function stage1WritableRoot(pod: string): string {
	if (!lstatIfExists(podPaths.overlayPreparedPath(pod))) return podPaths.stage1Rootfs(pod);
	const treeId = readTextIfExists(podPaths.stage1TreeStoreIdPath(pod))?.trim();
	return treeId ? podPaths.overlayUpper(pod, treeId) : podPaths.stage1Rootfs(pod);
}

function readProcessId(file: string): number | undefined {
	const text = readTextIfExists(file)?.trim() ?? "";
	return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : undefined;
}

function childrenOf(pid: number): number[] {
	try {
		const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
		return text.trim().split(" ").filter(Boolean).map(Number);
	} catch (error) {
		if (isErrno(error, "ENOENT", "ESRCH")) return [];
		throw error;
	}
}

function parseOrFail(text: string, file: string): unknown {
	try {
		return JSON.parse(text);
	} catch (error) {
		return fail("pod-record-invalid", `${file} is no JSON`, { cause: error });
	}
}

function toNetInfo(entry: unknown): NetInfo {
	const record = (typeof entry === "object" && entry !== null ? entry : {}) as Record<string, unknown>;
	const field = (name: string): string => (typeof record[name] === "string" ? record[name] : "");
	return {
		netName: field("netName"),
		netConf: field("netConf"),
		pluginPath: field("pluginPath"),
		ifName: field("ifName"),
		ip: field("ip"),
		args: field("args"),
		mask: field("mask"),
	};
}
