import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../../lib/errors.ts";
import { listDirectory, readTextIfExists, replaceFile } from "../../lib/files.ts";
import { type Lock, lockPath } from "../../lib/lock.ts";
import {
	CLONE_NEWNET,
	MNT_DETACH,
	MS_BIND,
	MS_REC,
	MS_SHARED,
	type Syscall,
	UMOUNT_NOFOLLOW,
} from "../../lib/syscall/syscall.ts";
import { netnsPath } from "../pod-paths.ts";

/** Named network namespaces of the machine, as `ip netns` knows them (ip-netns(8)). */
const NAMESPACE_DIRECTORY = "/var/run/netns";
/** The namespace of the calling thread; koffi and synchronous fs calls run on the main one. */
const OWN_NAMESPACE = "/proc/thread-self/ns/net";
/** NSFS_MAGIC of linux/magic.h. */
const NSFS_MAGIC = 0x6e736673;

export interface NamespaceOptions {
	/** Let processes without capabilities over the namespace bind ports below 1024. */
	readonly unprivilegedPorts?: boolean | undefined;
}

/**
 * Makes the pod's network namespace with its loopback up, bound to a name. The path is recorded in the pod
 * directory before there is anything to undo.
 */
export function createNamespace(
	syscall: Syscall,
	podDirectory: string,
	uuid: string,
	options: NamespaceOptions = {},
): string {
	const target = path.join(NAMESPACE_DIRECTORY, `cni-${uuid}`);
	// Not flushed: no namespace outlives a loss of power.
	replaceFile(netnsPath(podDirectory), target, 0o640);
	const lock = lockNamespaces(syscall);
	try {
		shareNamespaceDirectory(syscall);
		fs.closeSync(fs.openSync(target, "wx", 0o444));
		inNewNamespace(syscall, () => {
			syscall.setInterfaceUp("lo");
			if (options.unprivilegedPorts) fs.writeFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
			syscall.mount(OWN_NAMESPACE, target, "none", MS_BIND, "");
		});
	} finally {
		lock.release();
	}
	return target;
}

/** Moves the main thread into a namespace; what it starts from then on is there too. */
export function enterNamespace(syscall: Syscall, namespace: string): void {
	const fd = fs.openSync(namespace, fs.constants.O_RDONLY);
	try {
		syscall.setns(fd, CLONE_NEWNET);
	} finally {
		fs.closeSync(fd);
	}
}

/** The recorded path; undefined when none was made. */
export function recordedNamespace(podDirectory: string): string | undefined {
	const recorded = readTextIfExists(netnsPath(podDirectory))?.trim();
	return recorded && path.dirname(recorded) === NAMESPACE_DIRECTORY ? recorded : undefined;
}

/** False after a reboot, and when set-up was interrupted before the mount. */
export function namespaceExists(namespace: string): boolean {
	try {
		return fs.statfsSync(namespace).type === NSFS_MAGIC;
	} catch (error) {
		if (isErrno(error, "ENOENT")) return false;
		throw error;
	}
}

/** Removes the name, then the record; the namespace ends with its last process. Nothing there is no error. */
export function removeNamespace(syscall: Syscall, podDirectory: string): void {
	const target = recordedNamespace(podDirectory);
	if (target !== undefined && fs.existsSync(NAMESPACE_DIRECTORY)) {
		const lock = lockNamespaces(syscall);
		try {
			while (umountIfMounted(syscall, target));
			fs.rmSync(target, { force: true });
			if (listDirectory(NAMESPACE_DIRECTORY).length === 0) unshareNamespaceDirectory(syscall);
		} finally {
			lock.release();
		}
	}
	fs.rmSync(netnsPath(podDirectory), { force: true });
}

/**
 * Drops the copies of named namespaces from a mount namespace that was just unshared and made private.
 * Otherwise a pod would keep the network namespaces of others alive for as long as it runs.
 */
export function dropNamespaceCopies(syscall: Syscall): void {
	if (umountIfMounted(syscall, NAMESPACE_DIRECTORY)) return;
	for (const name of listDirectory(NAMESPACE_DIRECTORY)) {
		umountIfMounted(syscall, path.join(NAMESPACE_DIRECTORY, name));
	}
}

/**
 * The machine-wide lock on network state: named namespaces, forwarded ports and their firewall rules.
 * `ip netns add` takes the same one.
 */
export function lockNamespaces(syscall: Syscall): Lock {
	fs.mkdirSync(NAMESPACE_DIRECTORY, { recursive: true, mode: 0o755 });
	return lockPath(syscall, NAMESPACE_DIRECTORY) as Lock;
}

function inNewNamespace(syscall: Syscall, action: () => void): void {
	const original = fs.openSync(OWN_NAMESPACE, fs.constants.O_RDONLY);
	try {
		syscall.unshare(CLONE_NEWNET);
		try {
			action();
		} finally {
			syscall.setns(original, CLONE_NEWNET);
		}
	} finally {
		fs.closeSync(original);
	}
}

/** Mounts and unmounts of names must reach other mount namespaces, or they would keep dead networks alive. */
function shareNamespaceDirectory(syscall: Syscall): void {
	const share = (): void => syscall.mount("", NAMESPACE_DIRECTORY, "none", MS_SHARED | MS_REC, "");
	try {
		share();
	} catch (error) {
		if (!isErrno(error, "EINVAL")) throw error;
		syscall.mount(NAMESPACE_DIRECTORY, NAMESPACE_DIRECTORY, "none", MS_BIND | MS_REC, "");
		share();
	}
}

/** Takes away only a mount of the directory over itself: one from elsewhere has another device. */
function unshareNamespaceDirectory(syscall: Syscall): void {
	const { dev } = fs.statSync(NAMESPACE_DIRECTORY);
	if (dev === fs.statSync(path.dirname(NAMESPACE_DIRECTORY)).dev)
		umountIfMounted(syscall, NAMESPACE_DIRECTORY);
}

function umountIfMounted(syscall: Syscall, target: string): boolean {
	try {
		syscall.umount(target, MNT_DETACH | UMOUNT_NOFOLLOW);
		return true;
	} catch (error) {
		if (isErrno(error, "EINVAL", "ENOENT")) return false;
		throw error;
	}
}
