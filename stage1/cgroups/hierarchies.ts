import * as fs from "node:fs";
import * as path from "node:path";

/** One cgroup hierarchy of the host and our place in it (cgroups(7)). */
export interface Hierarchy {
	readonly version: 1 | 2;
	/** Controllers of version 1, or `name=NAME`; none for version 2. */
	readonly controllers: readonly string[];
	readonly mountPoint: string;
	/** Our own cgroup as an absolute path on the host. */
	readonly own: string;
}

/** The hierarchy in which systemd keeps its units; in a hybrid layout version 2 is beside it and shows the same. */
export function isSystemdHierarchy({ version, controllers }: Hierarchy): boolean {
	return version === 2 || controllers.includes("name=systemd");
}

interface CgroupMount {
	readonly type: "cgroup" | "cgroup2";
	readonly root: string;
	readonly mountPoint: string;
	readonly options: readonly string[];
}

/** The mounted hierarchies with the cgroup of a process in each; of this process when none is named. */
export function readHierarchies(pid: number | "self" = "self"): Hierarchy[] {
	const mounts = readCgroupMounts(fs.readFileSync("/proc/self/mountinfo", "utf8"));
	return fs
		.readFileSync(`/proc/${pid}/cgroup`, "utf8")
		.split("\n")
		.flatMap((line) => toHierarchy(line, mounts));
}

function readCgroupMounts(mountinfo: string): CgroupMount[] {
	return mountinfo.split("\n").flatMap((line): CgroupMount[] => {
		const [front = "", back = ""] = line.split(" - ");
		const [type, , options = ""] = back.split(" ");
		if (type !== "cgroup" && type !== "cgroup2") return [];
		const [, , , root = "/", mountPoint = ""] = front.split(" ");
		return [{ type, root, mountPoint, options: options.split(",") }];
	});
}

/** A line is `ID:CONTROLLERS:PATH`; the second field of version 2 is empty. */
function toHierarchy(line: string, mounts: readonly CgroupMount[]): Hierarchy[] {
	const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
	if (!match) return [];
	const names = (match[1] as string).split(",").filter(Boolean);
	const version = names.length === 0 ? 2 : 1;
	const mount = mounts.find((candidate) =>
		version === 2
			? candidate.type === "cgroup2"
			: candidate.type === "cgroup" && candidate.options.includes(names[0] as string),
	);
	if (mount === undefined) return [];
	const relative = path.posix.relative(mount.root, match[2] as string);
	if (relative.startsWith("..")) return [];
	const own = path.join(mount.mountPoint, relative);
	return [{ version, controllers: names, mountPoint: mount.mountPoint, own }];
}
