import { execFileSync } from "node:child_process";
import * as fs from "node:fs";

/** Proportional set sizes by name of the program, in KiB, summed over the processes. */
export type Memory = ReadonlyMap<string, number>;

/** The share of memory of each process of a tree whose root is `pid`: shared pages are divided among those who map them. */
export function memoryOfTree(pid: number): Memory {
	const sum = new Map<string, number>();
	for (const one of tree(pid)) {
		const name = fs.readFileSync(`/proc/${one}/comm`, "utf8").trim();
		const rollup = fs.readFileSync(`/proc/${one}/smaps_rollup`, "utf8");
		const pss = Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0);
		sum.set(name, (sum.get(name) ?? 0) + pss);
	}
	return sum;
}

function tree(pid: number): number[] {
	const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
	const pids = children === "" ? [] : children.split(" ").map(Number);
	return [pid, ...pids.flatMap(tree)];
}

/** What is needed where limits cannot be raised, control groups are of both versions and files lie on an overlay. */
const LIMITS = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"];
const ENGINE = ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--runtime=runc"];

/** Starts idle containers with podman; gives the processes that watch them, conmon, and removes them again. */
export function withIdlePodman<T>(
	place: { readonly directory: string; readonly rootfs: string },
	count: number,
	use: (watchers: readonly number[]) => T,
): T {
	const own = ["--root", `${place.directory}/podman`, "--runroot", `${place.directory}/podman-run`];
	const podman = (...args: readonly string[]): string =>
		execFileSync("podman", [...own, ...ENGINE, ...args], { encoding: "utf8" }).trim();
	const run = ["run", "--detach", "--network=none", ...LIMITS, "--rootfs", place.rootfs];
	try {
		const ids = Array.from({ length: count }, () => podman(...run, "/bin/sleep", "1000"));
		return use(ids.map((id) => Number(podman("inspect", "--format={{.State.ConmonPid}}", id))));
	} finally {
		podman("rm", "--all", "--force", "--time=0");
	}
}
