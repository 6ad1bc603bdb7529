import * as fs from "node:fs";
import * as path from "node:path";
import { fail, isErrno } from "../../lib/errors.ts";
import {
	AT_FDCWD,
	O_CLOEXEC,
	O_DIRECTORY,
	O_PATH,
	RESOLVE_IN_ROOT,
	RESOLVE_NO_MAGICLINKS,
	type Syscall,
} from "../../lib/syscall/syscall.ts";

/** What an image may put where a file is expected: nothing larger is read. */
const READ_LIMIT = 4 * 1024 * 1024;
const LINK_DEPTH = 16;
const RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

/**
 * The root file system of an app as its processes will see it, used from the host: every path is resolved inside the
 * root by the kernel, whatever links the image holds.
 */
export interface AppRoot {
	/** Descriptor of the root directory (O_PATH). */
	readonly fd: number;
	/** A descriptor for the path (O_PATH), the last link followed; undefined when there is nothing. */
	open(target: string, flags?: number): number | undefined;
	/** What is at the path, the last link followed. */
	stat(target: string): fs.Stats | undefined;
	/** Text of a regular file of moderate size; undefined for everything else. */
	readText(target: string): string | undefined;
	/** A descriptor of the directory, made with its parents when it is missing. Errors: `path-in-image-invalid`. */
	ensureDirectory(target: string, mode?: number): number;
	/** The same for a file, which is made empty. */
	ensureFile(target: string): number;
	/** Refuses a symlink: the path must mean itself when it is mounted on from inside. Errors: `path-in-image-invalid`. */
	refuseLink(target: string): void;
	close(): void;
}

/** `owner` is the user and group that root of the pod is on the host: what is made belongs to it. */
export function openAppRoot(syscall: Syscall, directory: string, owner = 0): AppRoot {
	const rootFd = syscall.openat2(AT_FDCWD, directory, { flags: O_PATH | O_DIRECTORY | O_CLOEXEC });
	const open = (target: string, flags = O_PATH): number | undefined => {
		try {
			return syscall.openat2(rootFd, relative(target), { flags: flags | O_CLOEXEC, resolve: RESOLVE });
		} catch (error) {
			if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "ENXIO", "EACCES")) return undefined;
			throw error;
		}
	};
	const ensure = (target: string, make: (parent: number, name: string) => void, depth = 0): number => {
		const existing = open(target);
		if (existing !== undefined) return existing;
		const { parent, name } = splitPath(target);
		if (name === "" || depth > LINK_DEPTH) invalidPath(directory, target);
		const parentFd = ensure(
			parent,
			(fd, child) => makeDirectory(syscall, fd, child, 0o755, owner),
			depth + 1,
		);
		try {
			makeAs(syscall, owner, () => make(parentFd, name));
		} catch (error) {
			if (isErrno(error, "EACCES")) notInVolume(target, error);
			if (isErrno(error, "ENOTDIR")) invalidPath(directory, target);
			if (!isErrno(error, "EEXIST")) throw error;
			return ensure(danglingTarget(directory, parentFd, parent, name), make, depth + 1);
		} finally {
			fs.closeSync(parentFd);
		}
		return open(target) ?? invalidPath(directory, target);
	};
	return {
		fd: rootFd,
		open,
		stat: (target) => withDescriptor(open(target), (fd) => fs.fstatSync(fd)),
		readText: (target) =>
			withDescriptor(open(target, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK), readRegular),
		ensureDirectory: (target, mode = 0o755) => {
			const fd = ensure(target, (parent, name) => makeDirectory(syscall, parent, name, mode, owner));
			if (fs.fstatSync(fd).isDirectory()) return fd;
			fs.closeSync(fd);
			return invalidPath(directory, target);
		},
		ensureFile: (target) => ensure(target, (parent, name) => makeFile(parent, name, owner)),
		refuseLink: (target) => {
			const entry = fs.lstatSync(`/proc/self/fd/${rootFd}${target}`, { throwIfNoEntry: false });
			if (entry?.isSymbolicLink()) invalidPath(directory, target);
		},
		close: () => fs.closeSync(rootFd),
	};
}

/** In a volume whose owners are mapped only users of the pod can make files; there it is done as its root. */
function makeAs(syscall: Syscall, owner: number, make: () => void): void {
	try {
		make();
	} catch (error) {
		if (owner === 0 || !isErrno(error, "EOVERFLOW")) throw error;
		syscall.withFileOwner(owner, make);
	}
}

function notInVolume(target: string, cause: unknown): never {
	return fail("path-in-image-invalid", `${target} is missing, and root of the pod may not make it there`, {
		hint: "it lies in a volume: make it on the host first",
		cause,
	});
}

function relative(target: string): string {
	return `./${target.replace(/^\/+/, "")}`;
}

function splitPath(target: string): { parent: string; name: string } {
	const normal = path.posix.normalize(`/${target}`).replace(/\/+$/, "");
	return { parent: path.posix.dirname(normal), name: path.posix.basename(normal) };
}

function withDescriptor<T>(fd: number | undefined, use: (fd: number) => T): T | undefined {
	if (fd === undefined) return undefined;
	try {
		return use(fd);
	} finally {
		fs.closeSync(fd);
	}
}

function readRegular(fd: number): string | undefined {
	const stat = fs.fstatSync(fd);
	return stat.isFile() && stat.size <= READ_LIMIT ? fs.readFileSync(fd, "utf8") : undefined;
}

/** The mode is set by name of the new directory's own descriptor: the umask of the caller does not count. */
function makeDirectory(syscall: Syscall, parent: number, name: string, mode: number, owner: number): void {
	syscall.mkdirat(parent, name, 0o700);
	const flags = fs.constants.O_RDONLY | O_DIRECTORY | fs.constants.O_NOFOLLOW;
	const fd = fs.openSync(`/proc/self/fd/${parent}/${name}`, flags);
	fs.fchownSync(fd, owner, owner);
	fs.fchmodSync(fd, mode);
	fs.closeSync(fd);
}

function makeFile(parent: number, name: string, owner: number): void {
	const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
	const fd = fs.openSync(`/proc/self/fd/${parent}/${name}`, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
	fs.fchownSync(fd, owner, owner);
	fs.fchmodSync(fd, 0o644);
	fs.closeSync(fd);
}

/** Something is there that leads nowhere: a link whose target is to be made inside the root. */
function danglingTarget(directory: string, parentFd: number, parent: string, name: string): string {
	let link: string;
	try {
		link = fs.readlinkSync(`/proc/self/fd/${parentFd}/${name}`);
	} catch (error) {
		if (isErrno(error, "EINVAL")) return invalidPath(directory, path.posix.join(parent, name));
		throw error;
	}
	return path.posix.isAbsolute(link) ? link : path.posix.join(parent, link);
}

function invalidPath(directory: string, target: string): never {
	return fail(
		"path-in-image-invalid",
		`app ${path.basename(path.dirname(directory))}: ${target} cannot be used: the image has something else there`,
		{ hint: "use another image, or another target for the volume" },
	);
}
