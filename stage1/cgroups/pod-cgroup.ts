import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../../lib/errors.ts";
import { readTextIfExists, replaceFile } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { machineName, subcgroupPath } from "../pod-paths.ts";
import { appCgroup } from "./app-cgroup.ts";
import { readControllers } from "./controllers.ts";
import { type Hierarchy, isSystemdHierarchy, readHierarchies } from "./hierarchies.ts";
import type { DeviceRule } from "./pod-devices.ts";
import { restrictDevices } from "./restrict-devices.ts";

/** Name of a pod's cgroup, as systemd would escape it for the machine's scope. */
export function scopeName(uuid: string): string {
	return `machine-${machineName(uuid).replaceAll("-", "\\x2d")}.scope`;
}

/** Where nspawn puts the pod below the cgroup that it was started in, in the hierarchy of systemd. */
const NSPAWN_PAYLOAD = "payload";

/** Absolute paths of the pod's cgroups, one a line. Only the host writes in the pod directory itself. */
const recordPath = (pod: string): string => path.join(pod, "cgroups");

export interface PodCgroupOptions {
	readonly syscall: Syscall;
	readonly pod: string;
	readonly uuid: string;
	/** Root of the pod on the host: it gets the right to make cgroups below. */
	readonly owner: number;
}

export interface PodCgroups {
	/** Resolves when this process is in all of them. Errors: those of write(2). */
	readonly joined: Promise<void>;
	/** What can limit apps in there, once it is joined. */
	controllers(): ReadonlySet<string>;
	/** Lets the pod use only these devices. False where the kernel has no way to: then neither for a single app. */
	restrictDevices(devices: readonly DeviceRule[]): boolean;
	/** The same for an app that is not started yet, by the cgroup that it will be put into. */
	restrictAppDevices(app: string, devices: readonly DeviceRule[]): boolean;
}

/**
 * Gives the pod a cgroup of its own in every hierarchy, below that of this process, and moves this process there.
 * nspawn must not share one with another pod, and only in one of its own can apps be limited. Recorded before it is
 * made. The kernel lets a move wait for 10 ms and more: threads of the pool do it while other work goes on.
 * Errors: those of mkdir(2) and open(2).
 */
export function joinPodCgroups({ syscall, pod, uuid, owner }: PodCgroupOptions): PodCgroups {
	const name = scopeName(uuid);
	const hierarchies = readHierarchies();
	const directories = hierarchies.map(({ own }) => path.join(own, name));
	replaceFile(recordPath(pod), `${directories.join("\n")}\n`);
	const descriptors = hierarchies.map((hierarchy, index) => {
		makeCgroup(hierarchy, directories[index] as string, owner);
		return fs.openSync(path.join(directories[index] as string, "cgroup.procs"), "w");
	});
	const main = hierarchies.find(isSystemdHierarchy);
	if (main) {
		const relative = path.relative(main.mountPoint, path.join(main.own, name));
		replaceFile(subcgroupPath(pod), `${relative}\n`, 0o644);
	}
	const devices = hierarchies.find(({ controllers }) => controllers.includes("devices"));
	const unified = hierarchies.find(({ version }) => version === 2);
	const restricting = devices ?? unified;
	const restrict = (directory: string, rules: readonly DeviceRule[]): boolean =>
		restricting !== undefined && restrictDevices(syscall, restricting.version, directory, rules);
	const restricted = path.join(restricting?.own ?? "", name);
	return {
		joined: Promise.all(descriptors.map(writeOwnPid)).then(() => {
			if (unified) delegateControllers(unified.own);
		}),
		controllers: () => readControllers(hierarchies, unified && path.join(unified.own, name)),
		restrictDevices: (rules) => restrict(restricted, rules),
		restrictAppDevices: (app, rules) => {
			const payload = restricting?.version === 2 ? path.join(restricted, NSPAWN_PAYLOAD) : restricted;
			const own = path.join(payload, appCgroup(app));
			for (const directory of new Set([payload, path.dirname(own), own])) {
				fs.mkdirSync(directory, { recursive: true });
				giveCgroup(directory, owner);
			}
			return restrict(own, rules);
		},
	};
}

/** Zero is whoever writes; the kernel moves all threads of the process. */
function writeOwnPid(descriptor: number): Promise<void> {
	return new Promise((resolve, reject) => {
		fs.write(descriptor, "0", (error) => {
			fs.closeSync(descriptor);
			if (error) reject(error);
			else resolve();
		});
	});
}

/** The cgroups recorded for a pod; those that do not bear its name do not count. */
export function recordedCgroups(pod: string, uuid: string): string[] {
	const lines = (readTextIfExists(recordPath(pod)) ?? "").split("\n");
	return lines.filter((line) => path.basename(line) === scopeName(uuid) && path.isAbsolute(line));
}

function makeCgroup(hierarchy: Hierarchy, directory: string, owner: number): void {
	fs.mkdirSync(directory);
	if (hierarchy.controllers.includes("cpuset")) inheritCpuset(hierarchy.own, directory);
	if (owner !== 0) giveCgroup(directory, owner);
}

function giveCgroup(directory: string, owner: number): void {
	for (const file of ["", "cgroup.procs", "tasks", "cgroup.subtree_control", "cgroup.threads"]) {
		chownIfExists(path.join(directory, file), owner);
	}
}

/** A new cgroup has no processors and no memory until it is told, and takes no process before. */
function inheritCpuset(parent: string, directory: string): void {
	for (const file of ["cpuset.cpus", "cpuset.mems"]) {
		fs.writeFileSync(path.join(directory, file), fs.readFileSync(path.join(parent, file)));
	}
}

/** Controllers of version 2 that limit apps. */
const CONTROLLERS = ["cpu", "memory", "pids", "io"];

/**
 * Lets the cgroups below have the controllers that limit apps. Works at the top, and where no process is left that is not
 * in one of them; elsewhere limits stay with whoever set up the machine.
 */
function delegateControllers(own: string): void {
	const available = fs.readFileSync(path.join(own, "cgroup.controllers"), "utf8").trim().split(" ");
	switchControllers(own, "+", available);
}

/** The opposite, which fails for those that one of the cgroups below has handed on. */
export function takeBackControllers(own: string): void {
	const enabled = readTextIfExists(path.join(own, "cgroup.subtree_control")) ?? "";
	switchControllers(own, "-", enabled.trim().split(" "));
}

function switchControllers(own: string, sign: "+" | "-", names: readonly string[]): void {
	for (const name of names.filter((candidate) => CONTROLLERS.includes(candidate))) {
		try {
			fs.writeFileSync(path.join(own, "cgroup.subtree_control"), `${sign}${name}`);
		} catch (error) {
			if (!isErrno(error, "EBUSY", "EACCES", "EPERM", "EROFS", "ENOENT", "EINVAL")) throw error;
		}
	}
}

function chownIfExists(file: string, owner: number): void {
	try {
		fs.chownSync(file, owner, owner);
	} catch (error) {
		if (!isErrno(error, "ENOENT")) throw error;
	}
}
