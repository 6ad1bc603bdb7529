import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";

/** Proportional set sizes by name of the program, in KiB, summed over the processes. */
export type Memory = ReadonlyMap<string, number>;

/** What the memory of a process is used for. */
export type Kind = (typeof KINDS)[number];

/** "files" are in the page cache anyway, and those of programs and kernels are shared by all pods. */
export const KINDS = ["guest", "translated code", "files", "own"] as const;

/** The share of memory of each process of a tree whose root is `pid`: shared pages are divided among those who map them. */
export function memoryOfTree(pid: number): Memory {
	return sumBy(addressSpaces(pid), (one) => [[command(one), proportional(read(one, "smaps_rollup"))]]);
}

/** The same by what it is used for. */
export function kindsOfTree(pid: number): ReadonlyMap<string, number> {
	return sumBy(addressSpaces(pid), (one) =>
		read(one, "smaps")
			.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
			.map((text) => [kindOf(text), proportional(text)]),
	);
}

/** proc_pid_smaps(5). A guest's memory is a file without a name; only emulation writes code. */
function kindOf(mapping: string): Kind {
	const [, access = "", name = ""] = /^\S+ (\S+) \S+ \S+ \S+ *(.*)$/m.exec(mapping) ?? [];
	if (/^\/(memfd:|dev\/shm\/)/.test(name)) return "guest";
	if (name === "" && access.startsWith("rwx")) return "translated code";
	return name.startsWith("/") ? "files" : "own";
}

function proportional(text: string): number {
	return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0);
}

const command = (pid: number): string => read(pid, "comm").trim();

/** Of a process that has ended in the meantime there is nothing. */
function read(pid: number, file: string): string {
	try {
		return fs.readFileSync(`/proc/${pid}/${file}`, "utf8");
	} catch {
		return "";
	}
}

function sumBy(pids: readonly number[], partsOf: (pid: number) => [string, number][]): Map<string, number> {
	const sum = new Map<string, number>();
	for (const [name, size] of pids.flatMap(partsOf).filter(([, size]) => size > 0))
		sum.set(name, (sum.get(name) ?? 0) + size);
	return sum;
}

/** One process for each: those of User-Mode Linux's kernel have the same memory, which each would be charged for in full. */
function addressSpaces(pid: number): number[] {
	const all = tree(pid);
	return all.filter((one, index) => !all.slice(0, index).some((other) => haveSameMemory(one, other)));
}

/** kcmp(2) with KCMP_VM, on x86-64. */
function haveSameMemory(one: number, other: number): boolean {
	if (command(one) !== command(other)) return false;
	const script = "exit(syscall(312, $ARGV[0] + 0, $ARGV[1] + 0, 1, 0, 0) == 0 ? 0 : 1)";
	return spawnSync("perl", ["-e", script, `${one}`, `${other}`]).status === 0;
}

function tree(pid: number): number[] {
	const children = read(pid, `task/${pid}/children`).trim();
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
