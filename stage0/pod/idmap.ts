import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
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
import type { UserRange } from "./user-range.ts";

/**
 * A descriptor of a user namespace in which the ids from 0 on are those of the range. The kernel wants a
 * living process to make one: a child stands in it until the descriptor is open.
 * Errors: `user-namespace-failed`.
 */
export async function openUserNamespace(range: UserRange): Promise<number> {
	const { spawn } = await import("node:child_process");
	const child = spawn("unshare", ["--user", "sh", "-c", "echo; read line"], {
		stdio: ["pipe", "pipe", "inherit"],
	});
	try {
		await startOf(child);
		const map = `0 ${range.shift} ${range.count}\n`;
		fs.writeFileSync(`/proc/${child.pid}/uid_map`, map);
		fs.writeFileSync(`/proc/${child.pid}/gid_map`, map);
		return fs.openSync(`/proc/${child.pid}/ns/user`, "r");
	} catch (error) {
		throw new RktError("user-namespace-failed", "cannot make a user namespace for --private-users", {
			hint: "the kernel needs user namespaces: see /proc/sys/user/max_user_namespaces",
			cause: error,
		});
	} finally {
		child.kill("SIGKILL");
	}
}

/** Resolves with the line that the child prints from inside the namespace. */
async function startOf(child: ChildProcess): Promise<void> {
	const started = once(child.stdout as NonNullable<ChildProcess["stdout"]>, "data");
	const ended = once(child, "exit").then(() => {
		throw new Error("unshare --user failed");
	});
	await Promise.race([started, ended]);
}

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
