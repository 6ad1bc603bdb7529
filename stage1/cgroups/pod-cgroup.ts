import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../../lib/errors.ts";
import { readTextIfExists, replaceFile } from "../../lib/files.ts";
import { machineName, subcgroupPath } from "../pod-paths.ts";
import { appCgroup } from "./app-cgroup.ts";
import { type Hierarchy, isSystemdHierarchy, limitingHierarchies, readHierarchies } from "./hierarchies.ts";

/** Name of a pod's cgroup, as systemd would escape it for the machine's scope. */
export function scopeName(uuid: string): string {
	return `machine-${machineName(uuid).replaceAll("-", "\\x2d")}.scope`;
}

/** Absolute paths of the pod's cgroups, one a line. Only the host writes in the pod directory itself. */
const recordPath = (pod: string): string => path.join(pod, "cgroups");

export interface PodCgroupOptions {
	readonly pod: string;
	readonly uuid: string;
	/** Root of the pod on the host: it gets the right to make cgroups below. */
	readonly owner: number;
	readonly which: Exclude<OwnCgroups, "none">;
}

/**
 * Where a pod gets a cgroup of its own: everywhere, or for the controllers of version 1 that the host's systemd has not
 * given to the unit that we are in, where we would share a cgroup with others.
 */
export type OwnCgroups = "all" | "undelegated" | "none";

export interface PodCgroups {
	/** Resolves when this process is in all of them. Errors: those of write(2). */
	readonly joined: Promise<void>;
	/** There is a devices cgroup of the pod's own: version 1. Without one nothing can be restricted here. */
	readonly restrictsDevices: boolean;
	/** Lets the pod use only these devices, in the form of devices.allow. */
	restrictDevices(devices: readonly string[]): void;
	/** The same for an app that is not started yet, by the cgroup that it will be put into. */
	restrictAppDevices(app: string, devices: readonly string[]): void;
}

/**
 * Gives the pod a cgroup of its own in the hierarchies, below that of this process, and moves this process there.
 * nspawn must not share one with another pod, and only in one of its own can apps be limited. Recorded before it is
 * made. The kernel lets a move wait for 10 ms and more: threads of the pool do it while other work goes on.
 * Errors: those of mkdir(2) and open(2).
 */
export function joinPodCgroups(options: PodCgroupOptions): PodCgroups {
	const name = scopeName(options.uuid);
	const hierarchies = options.which === "all" ? readHierarchies() : limitingHierarchies(false);
	const directories = hierarchies.map(({ own }) => path.join(own, name));
	replaceFile(recordPath(options.pod), `${directories.join("\n")}\n`);
	const descriptors = hierarchies.map((hierarchy, index) => {
		makeCgroup(hierarchy, directories[index] as string, options.owner);
		return fs.openSync(path.join(directories[index] as string, "cgroup.procs"), "w");
	});
	const main = hierarchies.find(isSystemdHierarchy);
	if (main) {
		const relative = path.relative(main.mountPoint, path.join(main.own, name));
		replaceFile(subcgroupPath(options.pod), `${relative}\n`, 0o644);
	}
	const devices = directories[hierarchies.findIndex(({ controllers }) => controllers.includes("devices"))];
	return {
		joined: Promise.all(descriptors.map(writeOwnPid)).then(() => undefined),
		restrictsDevices: devices !== undefined,
		restrictDevices: (allowed) => {
			if (devices !== undefined) restrictDevices(devices, allowed);
		},
		restrictAppDevices: (app, allowed) => {
			if (devices === undefined) return;
			const own = path.join(devices, appCgroup(app));
			for (const directory of [path.dirname(own), own]) {
				fs.mkdirSync(directory, { recursive: true });
				giveCgroup(directory, options.owner);
			}
			restrictDevices(own, allowed);
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
	if (hierarchy.version === 2) delegateControllers(hierarchy.own);
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

function restrictDevices(directory: string, devices: readonly string[]): void {
	fs.writeFileSync(path.join(directory, "devices.deny"), "a");
	for (const device of devices) fs.writeFileSync(path.join(directory, "devices.allow"), device);
}

/** Works where we are alone or at the top; elsewhere limits stay with whoever set up the machine. */
function delegateControllers(own: string): void {
	const available = fs.readFileSync(path.join(own, "cgroup.controllers"), "utf8").trim().split(" ");
	for (const name of available.filter((candidate) => ["cpu", "memory", "pids", "io"].includes(candidate))) {
		try {
			fs.writeFileSync(path.join(own, "cgroup.subtree_control"), `+${name}`);
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
