import * as fs from "node:fs";
import { RktError } from "../../lib/errors.ts";
import {
	AT_EMPTY_PATH,
	AT_FDCWD,
	AT_RECURSIVE,
	MNT_DETACH,
	MOUNT_ATTR_IDMAP,
	MOUNT_ATTR_RDONLY,
	MOVE_MOUNT_F_EMPTY_PATH,
	OPEN_TREE_CLOEXEC,
	OPEN_TREE_CLONE,
	type Syscall,
	UMOUNT_NOFOLLOW,
} from "../../lib/syscall/syscall.ts";

/**
 * Mounts a read-only view of `source` on `target` in which every file belongs to the shifted user and group.
 * Errors: `idmap-failed` where the file system cannot do that.
 */
export function mountIdmapped(syscall: Syscall, source: string, target: string, userNamespace: number): void {
	try {
		const tree = syscall.openTree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
		try {
			syscall.mountSetattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, {
				set: MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY,
				userNamespaceFd: userNamespace,
			});
			syscall.moveMount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
		} finally {
			fs.closeSync(tree);
		}
	} catch (error) {
		throw new RktError("idmap-failed", `cannot map the owners of ${source}`, {
			hint: "the file system of the data directory must know idmapped mounts (ext4, xfs, btrfs); or leave --private-users away",
			cause: error,
		});
	}
}

export function unmountIdmapped(syscall: Syscall, target: string): void {
	syscall.umount(target, MNT_DETACH | UMOUNT_NOFOLLOW);
}
