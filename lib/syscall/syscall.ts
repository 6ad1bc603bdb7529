import type { SocketState } from "./socket-state.ts";

/**
 * The kernel calls that Node lacks, behind one interface: `linux.ts` is the real one, `fake.ts` records calls
 * for tests without root. Every method throws a {@link SyscallError} on failure.
 */
export interface Syscall {
	/** flock(2). Throws EWOULDBLOCK (as code EAGAIN) with {@link LOCK_NB} when it is held elsewhere. */
	flock(fd: number, operation: number): void;
	/** Clears or sets FD_CLOEXEC; Node sets it on every descriptor it opens or inherits. */
	setCloseOnExec(fd: number, on: boolean): void;
	mount(source: string, target: string, type: string, flags: number, data: string): void;
	umount(target: string, flags: number): void;
	/** Affects the main thread only: use synchronous fs calls and spawn afterwards, never fs.promises. */
	unshare(flags: number): void;
	/** Affects the main thread only, like {@link Syscall.unshare}. */
	setns(fd: number, type: number): void;
	/** open_tree(2); returns a descriptor. */
	openTree(dirFd: number, path: string, flags: number): number;
	/** mount_setattr(2). */
	mountSetattr(dirFd: number, path: string, flags: number, attributes: MountAttributes): void;
	/** move_mount(2). */
	moveMount(fromFd: number, fromPath: string, toFd: number, toPath: string, flags: number): void;
	/** openat2(2); returns a descriptor. `resolve` is a set of RESOLVE_ flags. */
	openat2(dirFd: number, path: string, how: { flags: number; mode?: number; resolve?: number }): number;
	mkdirat(dirFd: number, path: string, mode: number): void;
	mknod(path: string, mode: number, device: bigint): void;
	/** All extended attributes of a file, without following a symlink. */
	getXattrs(path: string): Map<string, Buffer>;
	/** Sets an extended attribute, without following a symlink. */
	setXattr(path: string, name: string, value: Buffer): void;
	syncfs(fd: number): void;
	/** For requests whose argument is a number. */
	ioctl(fd: number, request: number, argument: number): number;
	/**
	 * Makes a file that is open for reading one of fs-verity, with SHA-256 and blocks of 4096 bytes. ENOTSUP or ENOTTY where
	 * its file system has none, EEXIST when it is one.
	 */
	enableVerity(fd: number): void;
	/** The digest of a file of fs-verity in hex; undefined when it is none. */
	measureVerity(fd: number): string | undefined;
	/** Switches a network interface up in the current network namespace. */
	setInterfaceUp(name: string): void;
	/**
	 * Tries to bind a TCP or UDP socket and closes it again.
	 * Throws EADDRINUSE, EADDRNOTAVAIL, EACCES.
	 */
	probeBind(protocol: "tcp" | "udp", address: string, port: number): void;
	/** Throws ENOTSOCK when the descriptor is no socket, EBADF when there is none. */
	describeSocket(fd: number): SocketState;
	/** Loads a program of instructions of BPF that decides about devices; returns a descriptor. bpf(2). */
	loadDeviceProgram(program: Buffer): number;
	/** Attaches it to a cgroup of version 2 beside those that are there; it stays as long as the cgroup. */
	attachDeviceProgram(cgroupFd: number, programFd: number): void;
	umask(mask: number): number;
	/**
	 * Runs `body` with another user and group for files, setfsuid(2), and without the capabilities over files. Affects the
	 * main thread only: `body` must be synchronous.
	 */
	withFileOwner<T>(id: number, body: () => T): T;
	/**
	 * Replaces this process. Restores what Node changed for itself (close-on-exec on 0 to 2, ignored signals), closes every other descriptor.
	 * `keep` are the further descriptors that the program inherits. Returns only by throwing.
	 */
	execve(file: string, argv: string[], environment: Record<string, string>, keep: number[]): never;
}

export interface MountAttributes {
	set?: number;
	clear?: number;
	propagation?: number;
	userNamespaceFd?: number;
}

/** A failed kernel call, shaped like Node's own errors: `code` is the errno name. */
export class SyscallError extends Error {
	readonly code: string;
	readonly errno: number;
	readonly syscall: string;

	constructor(syscall: string, code: string, errno: number, detail: string) {
		super(`${syscall} ${detail}: ${code}`);
		this.name = "SyscallError";
		this.code = code;
		this.errno = errno;
		this.syscall = syscall;
	}
}

// Values of the generic Linux ABI (include/uapi/linux): the same on every architecture that rkt supports.
export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;

export const CLONE_NEWNS = 0x00020000;
export const CLONE_NEWIPC = 0x08000000;
export const CLONE_NEWNET = 0x40000000;

export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
/** Since Linux 5.10; older kernels pass over it. */
export const MS_NOSYMFOLLOW = 256;
export const MS_BIND = 4096;
export const MS_REC = 16384;
export const MS_PRIVATE = 1 << 18;
export const MS_SLAVE = 1 << 19;
export const MS_SHARED = 1 << 20;
export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

export const AT_FDCWD = -100;
export const AT_EMPTY_PATH = 0x1000;
export const AT_RECURSIVE = 0x8000;
export const OPEN_TREE_CLONE = 1;
export const OPEN_TREE_CLOEXEC = 0o2000000;
export const MOVE_MOUNT_F_EMPTY_PATH = 4;
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
export const MOUNT_ATTR_RDONLY = 1;
export const MOUNT_ATTR_NOSUID = 2;
export const MOUNT_ATTR_NODEV = 4;
export const MOUNT_ATTR_NOEXEC = 8;
export const MOUNT_ATTR_IDMAP = 0x00100000;

export const RESOLVE_NO_MAGICLINKS = 2;
export const RESOLVE_IN_ROOT = 16;
export const O_PATH = 0o10000000;
export const O_CLOEXEC = 0o2000000;
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;
