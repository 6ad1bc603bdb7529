import * as fs from "node:fs";
import * as path from "node:path";
import { MS_BIND, MS_NOEXEC, MS_NOSUID, type Syscall } from "../../lib/syscall/syscall.ts";
import type { AppRoot } from "./app-root.ts";

/** Device files that every app may use; the numbers are those of Documentation/admin-guide/devices.txt. */
const NODES: Readonly<Record<string, readonly [major: number, minor: number]>> = {
	null: [1, 3],
	zero: [1, 5],
	full: [1, 7],
	random: [1, 8],
	urandom: [1, 9],
	tty: [5, 0],
};

const LINKS: Readonly<Record<string, string>> = {
	fd: "/proc/self/fd",
	stdin: "/proc/self/fd/0",
	stdout: "/proc/self/fd/1",
	stderr: "/proc/self/fd/2",
	core: "/proc/kcore",
	ptmx: "pts/ptmx",
	log: "/run/systemd/journal/dev-log",
};

const S_IFCHR = 0o020000;

/** What is mounted as /dev of the apps of one pod. */
export interface DeviceOptions {
	/** Directory on the host with the pod's shared memory, mounted at /dev/shm of every app. */
	readonly sharedMemory: string;
	/** Owner on the host of root of the pod. */
	readonly owner: number;
}

/**
 * Mounts an own /dev with a few harmless nodes, an own devpts, and the pod's shared memory. The image's own /dev is
 * covered, so no link in it matters. An empty file is left at /dev/console for the terminal.
 */
export function mountDevices(syscall: Syscall, root: AppRoot, options: DeviceOptions): void {
	const { owner } = options;
	const dev = descriptorPath(root.ensureDirectory("/dev"));
	const data = `mode=755,size=64k,nr_inodes=256,uid=${owner},gid=${owner}`;
	syscall.mount("tmpfs", dev, "tmpfs", MS_NOSUID | MS_NOEXEC, data);
	// The descriptor stands for the directory below the new mount: look again.
	const mounted = descriptorPath(root.ensureDirectory("/dev"));
	for (const [name, [major, minor]] of Object.entries(NODES)) {
		const node = path.join(mounted, name);
		syscall.mknod(node, S_IFCHR | 0o666, BigInt((major << 8) | minor));
		fs.chmodSync(node, 0o666);
	}
	for (const [name, target] of Object.entries(LINKS)) fs.symlinkSync(target, path.join(mounted, name));
	for (const name of ["pts", "shm"]) fs.mkdirSync(path.join(mounted, name), { mode: 0o755 });
	fs.writeFileSync(path.join(mounted, "console"), "", { mode: 0o620 });
	const terminals = `newinstance,ptmxmode=0666,mode=620,gid=${owner + 5}`;
	syscall.mount("devpts", path.join(mounted, "pts"), "devpts", MS_NOSUID | MS_NOEXEC, terminals);
	syscall.mount(options.sharedMemory, path.join(mounted, "shm"), "", MS_BIND, "");
	for (const directory of [dev, mounted]) fs.closeSync(Number(path.basename(directory)));
}

function descriptorPath(fd: number): string {
	return `/proc/self/fd/${fd}`;
}
