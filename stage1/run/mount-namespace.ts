import * as fs from "node:fs";
import * as path from "node:path";
import { unmountBelow } from "../../lib/mountinfo.ts";
import {
	AT_EMPTY_PATH,
	AT_FDCWD,
	AT_RECURSIVE,
	CLONE_NEWNS,
	MOVE_MOUNT_F_EMPTY_PATH,
	MS_NODEV,
	MS_NOEXEC,
	MS_NOSUID,
	MS_PRIVATE,
	MS_REC,
	MS_SLAVE,
	OPEN_TREE_CLOEXEC,
	OPEN_TREE_CLONE,
	type Syscall,
} from "../../lib/syscall/syscall.ts";
import { dropNamespaceCopies } from "../network/namespace.ts";
import { stage1Rootfs } from "../pod-paths.ts";

const OWN_NAMESPACE = "/proc/thread-self/ns/mnt";

export interface PodMountNamespace {
	/** Directory that becomes /dev/shm of the apps. */
	readonly sharedMemory: string;
	/** Directory that the pod does not see, for device files. */
	readonly deviceNodes: string;
	/** Back to the namespace of the caller. */
	leave(): void;
}

/**
 * Moves the pod's mounts into a mount namespace of their own: stage1's root with everything below it stays at its
 * path, but only for this process and what it becomes. Mounts of the host still reach volumes (slave), unmounts
 * of the pod's do not.
 */
export function enterMountNamespace(syscall: Syscall, pod: string): PodMountNamespace {
	const root = stage1Rootfs(pod);
	const host = openNamespace();
	syscall.unshare(CLONE_NEWNS);
	syscall.mount("", "/", "", MS_REC | MS_SLAVE, "");
	dropNamespaceCopies(syscall);
	const tree = syscall.openTree(AT_FDCWD, root, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	syscall.mountSetattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, { propagation: MS_PRIVATE });
	const places = coverStage1(syscall, path.dirname(root));
	syscall.moveMount(tree, "", AT_FDCWD, root, MOVE_MOUNT_F_EMPTY_PATH);
	fs.closeSync(tree);
	unmountOnHost(syscall, host, root);
	process.chdir(pod);
	return { ...places, leave: () => syscall.setns(host, CLONE_NEWNS) };
}

function openNamespace(): number {
	return fs.openSync(OWN_NAMESPACE, fs.constants.O_RDONLY);
}

/** The directory above the root is covered, so that what is unmounted there on the host does not take ours along. */
function coverStage1(syscall: Syscall, directory: string): Omit<PodMountNamespace, "leave"> {
	syscall.mount("rkt", directory, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=700,size=64k");
	syscall.mount("", directory, "", MS_PRIVATE, "");
	fs.mkdirSync(path.join(directory, "rootfs"));
	const sharedMemory = path.join(directory, "shm");
	fs.mkdirSync(sharedMemory);
	syscall.mount("shm", sharedMemory, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777");
	const deviceNodes = path.join(directory, "devices");
	fs.mkdirSync(deviceNodes);
	return { sharedMemory, deviceNodes };
}

/** stage0 mounts in the caller's namespace; nothing of the pod stays visible there. */
function unmountOnHost(syscall: Syscall, host: number, root: string): void {
	const own = openNamespace();
	syscall.setns(host, CLONE_NEWNS);
	try {
		unmountBelow(syscall, root);
	} finally {
		syscall.setns(own, CLONE_NEWNS);
		fs.closeSync(own);
	}
}
