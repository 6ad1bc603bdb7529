import { createRequire } from "node:module";
import * as path from "node:path";
import type Koffi from "koffi";
import { decodeSocketAddress, type SocketState, socketType } from "./socket-state.ts";
import { type MountAttributes, type Syscall, SyscallError } from "./syscall.ts";

const F_SETFD = 2;
const FD_CLOEXEC = 1;
const SIGPIPE = 13;
const SIGXFSZ = 25;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_TYPE = 3;
const SO_ACCEPTCONN = 30;
/** sizeof(struct sockaddr_storage). */
const LONGEST_ADDRESS = 128;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
const CLOSE_RANGE_CLOEXEC = 4;
const FS_IOC_ENABLE_VERITY = 0x40806685;
const FS_IOC_MEASURE_VERITY = 0xc0046686;

// The calls without a wrapper in glibc 2.36 have the same number on every architecture (asm-generic), but bpf.
const SYS_open_tree = 428;
const SYS_move_mount = 429;
const SYS_close_range = 436;
const SYS_openat2 = 437;
const SYS_mount_setattr = 442;
const SYS_bpf = process.arch === "arm64" ? 280 : 321;

const BPF_PROG_LOAD = 5;
const BPF_PROG_ATTACH = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
const BPF_CGROUP_DEVICE = 6;
const BPF_F_ALLOW_MULTI = 2;
/** sizeof(struct bpf_insn). */
const BPF_INSTRUCTION_BYTES = 8;

type NativeFunction = (...args: unknown[]) => number;

/** The real kernel, through libc and koffi, which are loaded by the first call: that costs about 4 ms. */
export function createLinuxSyscall(): Syscall {
	let loaded: { readonly koffi: typeof Koffi; readonly libc: ReturnType<(typeof Koffi)["load"]> } | undefined;
	const cache = new Map<string, NativeFunction>();

	const load = (): NonNullable<typeof loaded> => {
		if (loaded) return loaded;
		const koffi = loadKoffi();
		loaded = { koffi, libc: koffi.load("libc.so.6") };
		return loaded;
	};
	const native = (prototype: string): NativeFunction => {
		const known = cache.get(prototype);
		if (known) return known;
		const made = load().libc.func(prototype) as unknown as NativeFunction;
		cache.set(prototype, made);
		return made;
	};
	const errnoName = (value: number): string => {
		const names = load().koffi.os.errno as Record<string, number>;
		return Object.keys(names).find((name) => names[name] === value) ?? `errno ${value}`;
	};
	const check = (result: number, syscall: string, detail: string): number => {
		if (result >= 0) return result;
		const errno = load().koffi.errno();
		throw new SyscallError(syscall, errnoName(errno), errno, detail);
	};

	return {
		flock: (fd, operation) => {
			check(native("int flock(int, int)")(fd, operation), "flock", `${fd}`);
		},
		setCloseOnExec: (fd, on) => {
			check(native("int fcntl(int, int, int)")(fd, F_SETFD, on ? FD_CLOEXEC : 0), "fcntl", `${fd}`);
		},
		mount: (source, target, type, flags, data) => {
			const call = native("int mount(const char*, const char*, const char*, unsigned long, const char*)");
			check(call(source, target, type, flags, data), "mount", `${source} on ${target}`);
		},
		umount: (target, flags) => {
			check(native("int umount2(const char*, int)")(target, flags), "umount", target);
		},
		unshare: (flags) => {
			check(native("int unshare(int)")(flags), "unshare", `0x${flags.toString(16)}`);
		},
		setns: (fd, type) => {
			check(native("int setns(int, int)")(fd, type), "setns", `${fd}`);
		},
		openTree: (dirFd, target, flags) => {
			const call = native("long syscall(long, int, const char*, unsigned int)");
			return check(call(SYS_open_tree, dirFd, target, flags >>> 0), "open_tree", target);
		},
		mountSetattr: (dirFd, target, flags, attributes) => {
			const call = native("long syscall(long, int, const char*, unsigned int, void*, size_t)");
			const buffer = encodeMountAttributes(attributes);
			const result = call(SYS_mount_setattr, dirFd, target, flags >>> 0, buffer, buffer.length);
			check(result, "mount_setattr", target || `descriptor ${dirFd}`);
		},
		moveMount: (fromFd, fromPath, toFd, toPath, flags) => {
			const call = native("long syscall(long, int, const char*, int, const char*, unsigned int)");
			const result = call(SYS_move_mount, fromFd, fromPath, toFd, toPath, flags >>> 0);
			check(result, "move_mount", `to ${toPath || `descriptor ${toFd}`}`);
		},
		openat2: (dirFd, target, how) => {
			const call = native("long syscall(long, int, const char*, void*, size_t)");
			const buffer = Buffer.alloc(24);
			buffer.writeBigUInt64LE(BigInt(how.flags >>> 0), 0);
			buffer.writeBigUInt64LE(BigInt(how.mode ?? 0), 8);
			buffer.writeBigUInt64LE(BigInt(how.resolve ?? 0), 16);
			return check(call(SYS_openat2, dirFd, target, buffer, buffer.length), "openat2", target);
		},
		mkdirat: (dirFd, target, mode) => {
			check(native("int mkdirat(int, const char*, unsigned int)")(dirFd, target, mode), "mkdirat", target);
		},
		mknod: (target, mode, device) => {
			const call = native("int mknod(const char*, unsigned int, uint64_t)");
			check(call(target, mode, device), "mknod", target);
		},
		getXattrs: (target) => getXattrs(native, check, target),
		setXattr: (target, name, value) => {
			const call = native("int lsetxattr(const char*, const char*, const uint8_t*, size_t, int)");
			check(call(target, name, value, value.length, 0), "lsetxattr", target);
		},
		syncfs: (fd) => {
			check(native("int syncfs(int)")(fd), "syncfs", `${fd}`);
		},
		ioctl: (fd, request, argument) => {
			const call = native("int ioctl(int, unsigned long, unsigned long)");
			return check(call(fd, request, argument), "ioctl", `${fd}`);
		},
		enableVerity: (fd) => {
			check(native(IOCTL_BUFFER)(fd, FS_IOC_ENABLE_VERITY, encodeVerityArguments()), "ioctl", `${fd}`);
		},
		measureVerity: (fd) => {
			const digest = Buffer.alloc(4 + SHA256_BYTES);
			digest.writeUInt16LE(SHA256_BYTES, 2);
			const result = native(IOCTL_BUFFER)(fd, FS_IOC_MEASURE_VERITY, digest);
			return result < 0 ? undefined : digest.toString("hex", 4);
		},
		setInterfaceUp: (name) => setInterfaceUp(native, check, name),
		probeBind: (protocol, address, port) => probeBind(native, check, protocol, address, port),
		describeSocket: (fd) => describeSocket(native, check, fd),
		withFileOwner: (id, body) => {
			const [setfsuid, setfsgid] = [
				native("int setfsuid(unsigned int)"),
				native("int setfsgid(unsigned int)"),
			];
			const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
			setfsgid(id);
			setfsuid(id);
			try {
				return body();
			} finally {
				setfsuid(uid);
				setfsgid(gid);
			}
		},
		loadDeviceProgram: (program) => loadDeviceProgram(load().koffi, native, check, program),
		attachDeviceProgram: (cgroupFd, programFd) => {
			const attach = Buffer.alloc(16);
			[cgroupFd, programFd, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI].forEach((value, index) => {
				attach.writeUInt32LE(value, index * 4);
			});
			const result = native(BPF)(SYS_bpf, BPF_PROG_ATTACH, attach, attach.length);
			check(result, "bpf", `attach to ${cgroupFd}`);
		},
		umask: (mask) => native("unsigned int umask(unsigned int)")(mask),
		execve: (file, argv, environment, keep) => {
			const closeRange = native("long syscall(long, unsigned int, unsigned int, unsigned int)");
			check(closeRange(SYS_close_range, 0, 0xffffffff, CLOSE_RANGE_CLOEXEC), "close_range", "all");
			for (const fd of [0, 1, 2, ...keep]) native("int fcntl(int, int, int)")(fd, F_SETFD, 0);
			const signal = native("void *signal(int, intptr_t)");
			signal(SIGPIPE, 0);
			signal(SIGXFSZ, 0);
			const strings = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
			const call = native("int execve(const char*, const char**, const char**)");
			check(call(file, [...argv, null], [...strings, null]), "execve", file);
			throw new Error("execve returned");
		},
	};
}

type Native = (prototype: string) => NativeFunction;
type Check = (result: number, syscall: string, detail: string) => number;

const IOCTL_BUFFER = "int ioctl(int, unsigned long, void*)";
const SHA256_BYTES = 32;

/** struct fsverity_enable_arg of include/uapi/linux/fsverity.h: version, FS_VERITY_HASH_ALG_SHA256, size of a block. */
function encodeVerityArguments(): Buffer {
	const buffer = Buffer.alloc(128);
	for (const [index, value] of [1, 1, 4096].entries()) buffer.writeUInt32LE(value, 4 * index);
	return buffer;
}

/** The prebuilt addon stands beside the bundle; in a source tree it is koffi's own package. */
export function loadKoffi(): typeof Koffi {
	const load = createRequire(__filename);
	try {
		return load(path.join(__dirname, "koffi.node")) as typeof Koffi;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
		return load("koffi") as typeof Koffi;
	}
}

/** struct mount_attr, linux/mount.h. */
function encodeMountAttributes(attributes: MountAttributes): Buffer {
	const buffer = Buffer.alloc(32);
	buffer.writeBigUInt64LE(BigInt(attributes.set ?? 0), 0);
	buffer.writeBigUInt64LE(BigInt(attributes.clear ?? 0), 8);
	buffer.writeBigUInt64LE(BigInt(attributes.propagation ?? 0), 16);
	buffer.writeBigUInt64LE(BigInt(attributes.userNamespaceFd ?? 0), 24);
	return buffer;
}

function getXattrs(native: Native, check: Check, target: string): Map<string, Buffer> {
	const list = native("long llistxattr(const char*, _Out_ uint8_t*, size_t)");
	const get = native("long lgetxattr(const char*, const char*, _Out_ uint8_t*, size_t)");
	const size = check(list(target, null, 0), "llistxattr", target);
	const names = Buffer.alloc(size);
	const used = size === 0 ? 0 : check(list(target, names, size), "llistxattr", target);
	const result = new Map<string, Buffer>();
	for (const name of names.subarray(0, used).toString("latin1").split("\0")) {
		if (name === "") continue;
		const value = Buffer.alloc(check(get(target, name, null, 0), "lgetxattr", target));
		if (value.length > 0) check(get(target, name, value, value.length), "lgetxattr", target);
		result.set(name, value);
	}
	return result;
}

const BPF = "long syscall(long, int, const uint8_t*, unsigned int)";

/** The first members of `union bpf_attr` for this command, linux/bpf.h. */
function loadDeviceProgram(koffi: typeof Koffi, native: Native, check: Check, program: Buffer): number {
	const license = Buffer.from("GPL\0");
	const load = Buffer.alloc(48);
	load.writeUInt32LE(BPF_PROG_TYPE_CGROUP_DEVICE, 0);
	load.writeUInt32LE(program.length / BPF_INSTRUCTION_BYTES, 4);
	load.writeBigUInt64LE(koffi.address(program), 8);
	load.writeBigUInt64LE(koffi.address(license), 16);
	return check(native(BPF)(SYS_bpf, BPF_PROG_LOAD, load, load.length), "bpf", "load");
}

/** struct ifreq: 16 bytes of name, then the flags (netdevice(7)). */
function setInterfaceUp(native: Native, check: Check, name: string): void {
	const fd = check(native("int socket(int, int, int)")(AF_INET, SOCK_DGRAM, 0), "socket", "inet");
	try {
		const ioctl = native("int ioctl(int, unsigned long, _Inout_ uint8_t*)");
		const request = Buffer.alloc(40);
		request.write(name, 0, 15, "latin1");
		check(ioctl(fd, SIOCGIFFLAGS, request), "ioctl SIOCGIFFLAGS", name);
		request.writeUInt16LE(request.readUInt16LE(16) | IFF_UP, 16);
		check(ioctl(fd, SIOCSIFFLAGS, request), "ioctl SIOCSIFFLAGS", name);
	} finally {
		native("int close(int)")(fd);
	}
}

function probeBind(
	native: Native,
	check: Check,
	protocol: "tcp" | "udp",
	address: string,
	port: number,
): void {
	const type = protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM;
	const fd = check(native("int socket(int, int, int)")(AF_INET, type, 0), "socket", protocol);
	try {
		// Without it the remains of ended TCP connections look like a server; a listening socket still conflicts.
		if (protocol === "tcp") {
			const setsockopt = native("int setsockopt(int, int, int, const int*, unsigned int)");
			check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, [1], 4), "setsockopt", "SO_REUSEADDR");
		}
		const sockaddr = Buffer.alloc(16);
		sockaddr.writeUInt16LE(AF_INET, 0);
		sockaddr.writeUInt16BE(port, 2);
		address.split(".").forEach((octet, index) => {
			sockaddr.writeUInt8(Number(octet), 4 + index);
		});
		const bind = native("int bind(int, const uint8_t*, unsigned int)");
		check(bind(fd, sockaddr, sockaddr.length), "bind", `${address}:${port}/${protocol}`);
	} finally {
		native("int close(int)")(fd);
	}
}

function describeSocket(native: Native, check: Check, fd: number): SocketState {
	const getsockopt = native("int getsockopt(int, int, int, _Out_ int*, _Inout_ unsigned int*)");
	const option = (name: number): number => {
		const value = [0];
		check(getsockopt(fd, SOL_SOCKET, name, value, [4]), "getsockopt", `${fd}`);
		return value[0] as number;
	};
	const type = socketType(option(SO_TYPE));
	const sockaddr = Buffer.alloc(LONGEST_ADDRESS);
	const length = [sockaddr.length];
	const getsockname = native("int getsockname(int, _Out_ uint8_t*, _Inout_ unsigned int*)");
	check(getsockname(fd, sockaddr, length), "getsockname", `${fd}`);
	const address = decodeSocketAddress(sockaddr.subarray(0, length[0]));
	return { type, listening: option(SO_ACCEPTCONN) === 1, address };
}
