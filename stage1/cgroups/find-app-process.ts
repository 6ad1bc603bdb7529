import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../../lib/errors.ts";
import { readTextIfExists } from "../../lib/files.ts";
import { appCgroup } from "./app-cgroup.ts";
import { readHierarchies } from "./hierarchies.ts";

/**
 * The main process of an app as the host sees it: the oldest child of the pod's PID 1 in the cgroup of the app's unit
 * that has left stage1's mount namespace. undefined when the app has ended or is not started yet.
 */
export function findAppProcess(pid1: number, app: string): number | undefined {
	const systemd = readHierarchies(pid1).find(
		({ version, controllers }) => version === 2 || controllers.includes("name=systemd"),
	);
	if (systemd === undefined) return undefined;
	// PID 1 itself is in init.scope.
	const unit = path.join(path.dirname(systemd.own), appCgroup(app));
	const processes = (readTextIfExists(path.join(unit, "cgroup.procs")) ?? "").split("\n").filter(Boolean);
	const candidates = processes
		.map(Number)
		.filter((pid) => parentOf(pid) === pid1 && hasLeftStage1(pid, pid1));
	return candidates.sort((a, b) => startTime(a) - startTime(b))[0];
}

function parentOf(pid: number): number {
	return Number(statFields(pid)[1] ?? 0);
}

/** In clock ticks since boot. */
function startTime(pid: number): number {
	return Number(statFields(pid)[19] ?? 0);
}

/** The fields after the name, which may hold anything; proc(5) numbers them from 3. */
function statFields(pid: number): string[] {
	const text = readTextIfGone(() => fs.readFileSync(`/proc/${pid}/stat`, "latin1")) ?? "";
	return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** While `launch` works it is neither in stage1 nor in the app. */
function hasLeftStage1(pid: number, pid1: number): boolean {
	const link = (process: number, name: string): string =>
		readTextIfGone(() => fs.readlinkSync(`/proc/${process}/${name}`)) ?? "";
	const namespace = link(pid, "ns/mnt");
	const launching = /\/rkt\/launch$/.test(link(pid, "exe"));
	return namespace !== "" && namespace !== link(pid1, "ns/mnt") && !launching;
}

function readTextIfGone(read: () => string): string | undefined {
	try {
		return read();
	} catch (error) {
		if (isErrno(error, "ENOENT", "ESRCH", "EACCES")) return undefined;
		throw error;
	}
}
