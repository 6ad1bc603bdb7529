import * as fs from "node:fs";
import * as path from "node:path";
import { fail, isErrno } from "../../lib/errors.ts";
import {
	AT_EMPTY_PATH,
	AT_FDCWD,
	AT_RECURSIVE,
	MOUNT_ATTR_IDMAP,
	MOUNT_ATTR_NODEV,
	MOUNT_ATTR_NOEXEC,
	MOUNT_ATTR_NOSUID,
	MOUNT_ATTR_RDONLY,
	MOVE_MOUNT_F_EMPTY_PATH,
	MOVE_MOUNT_T_EMPTY_PATH,
	MS_PRIVATE,
	OPEN_TREE_CLOEXEC,
	OPEN_TREE_CLONE,
	type Syscall,
} from "../../lib/syscall/syscall.ts";
import type { AppRoot } from "../apps/app-root.ts";
import { isDevice } from "./device-node.ts";
import { isInside, pinHostFile, type VolumeBounds } from "./volume-bounds.ts";

/** A file or directory of the host that appears in an app. */
export interface HostMount {
	/** What is being mounted, for messages. */
	readonly name: string;
	readonly source: string;
	readonly target: string;
	readonly readOnly: boolean;
	/** With what is mounted below the source. */
	readonly recursive: boolean;
	/** Where the source has to be. */
	readonly bounds?: VolumeBounds;
	/** Gives its files to the users of the pod with the same numbers. */
	readonly owners?: OwnerView | undefined;
	/** Its set-user-ID programs have an effect. */
	readonly suid?: boolean;
	/** A file of ours, of which no part is a program. */
	readonly noExec?: boolean;
	/** Gives the path of a device file to mount in place of a source that is one. */
	readonly replaceDevice?: (source: fs.Stats) => string;
}

/** What came of a mount. */
export interface Mounted {
	/** What was mounted. */
	readonly stat: fs.Stats;
	/** The path in the app at which it is, without links. */
	readonly place: string;
}

/** How files of the host look in a pod with users of its own. */
export interface OwnerView {
	/** Descriptor of a user namespace that maps as the pod's does. */
	readonly userNamespace: number;
	/** Called where the file system cannot do that: the files belong to strangers then. */
	readonly onRefused: () => void;
}

/**
 * Mounts it in the app's root. The source is pinned by a descriptor before it is looked at and the target is found
 * inside the root by the kernel, so nobody can exchange either meanwhile. Set-user-ID programs of the
 * source have no effect unless it says so, device files none; a device that is itself the source is meant and works.
 * Errors: `volume-source-missing`, `path-in-image-invalid`, `policy-denied`.
 */
export function mountInApp(syscall: Syscall, root: AppRoot, mount: HostMount): Mounted {
	if (path.posix.normalize(`/${mount.target}`).replace(/^\/+/, "") === "") {
		fail("path-in-image-invalid", `${mount.name}: a volume cannot be mounted on / of an app`, {
			hint: "choose a directory as its target",
		});
	}
	const source = openSource(syscall, mount);
	const stat = fs.fstatSync(source);
	const device = isDevice(stat) ? mount.replaceDevice?.(stat) : undefined;
	const tree = device === undefined ? source : replaced(syscall, source, device);
	const target = stat.isDirectory() ? root.ensureDirectory(mount.target) : root.ensureFile(mount.target);
	try {
		const place = placeInRoot(root, target);
		if (!stat.isDirectory() && fs.fstatSync(target).isDirectory()) {
			fail(
				"path-in-image-invalid",
				`${mount.name}: ${mount.target} is a directory in the image, not a file`,
				{
					hint: "use another image, or another target for the volume",
				},
			);
		}
		if (mount.owners && device === undefined) mapOwners(syscall, tree, mount.owners);
		syscall.mountSetattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, {
			set:
				(mount.suid ? 0 : MOUNT_ATTR_NOSUID) |
				(isDevice(stat) ? 0 : MOUNT_ATTR_NODEV) |
				(mount.noExec ? MOUNT_ATTR_NOEXEC : 0) |
				(mount.readOnly ? MOUNT_ATTR_RDONLY : 0),
			// What the host mounts below a read-only source later would come in writable.
			...(mount.readOnly ? { propagation: MS_PRIVATE } : {}),
		});
		syscall.moveMount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
		return { stat, place };
	} finally {
		fs.closeSync(target);
		fs.closeSync(tree);
	}
}

function placeInRoot(root: AppRoot, target: number): string {
	const pathOf = (fd: number): string => fs.readlinkSync(`/proc/self/fd/${fd}`);
	return `/${path.relative(pathOf(root.fd), pathOf(target))}`;
}

function replaced(syscall: Syscall, source: number, node: string): number {
	fs.closeSync(source);
	return syscall.openTree(AT_FDCWD, node, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

function openSource(syscall: Syscall, mount: HostMount): number {
	const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (mount.recursive ? AT_RECURSIVE : 0);
	try {
		if (mount.bounds?.length) return openBounded(syscall, mount, mount.bounds, flags);
		return syscall.openTree(AT_FDCWD, mount.source, flags);
	} catch (error) {
		if (!isErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "EACCES")) throw error;
		return fail("volume-source-missing", `${mount.name}: ${mount.source} does not exist on the host`, {
			hint: "make it first, or choose another source",
			cause: error,
		});
	}
}

/** stage0 has looked at the path; whoever can write on the way to it may have led it elsewhere since. */
function openBounded(syscall: Syscall, mount: HostMount, bounds: VolumeBounds, flags: number): number {
	const { fd, place } = pinHostFile(syscall, mount.source);
	try {
		if (!bounds.every((directories) => isInside(place, directories))) {
			fail(
				"policy-denied",
				`${mount.name}: ${mount.source} leads to ${place}, which the policy does not allow`,
				{
					hint: "rkt policy explain with the same image and flags shows what every rule says",
				},
			);
		}
		return syscall.openTree(fd, "", flags | AT_EMPTY_PATH);
	} finally {
		fs.closeSync(fd);
	}
}

/** All mounts of the tree or none, mount_setattr(2): with a recursive volume one file system decides for all. */
function mapOwners(syscall: Syscall, tree: number, { userNamespace, onRefused }: OwnerView): void {
	try {
		syscall.mountSetattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, {
			set: MOUNT_ATTR_IDMAP,
			userNamespaceFd: userNamespace,
		});
	} catch (error) {
		if (!isErrno(error, "EINVAL", "EPERM", "EOPNOTSUPP")) throw error;
		onRefused();
	}
}
