import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno, messageOf } from "../../lib/errors.ts";
import {
	AT_EMPTY_PATH,
	AT_FDCWD,
	MOUNT_ATTR_IDMAP,
	MOUNT_ATTR_RDONLY,
	MOVE_MOUNT_F_EMPTY_PATH,
	OPEN_TREE_CLOEXEC,
	OPEN_TREE_CLONE,
} from "../../lib/syscall/syscall.ts";
import { openUserNamespace } from "../../stage1/user-namespace.ts";
import { unsuitableForOverlay } from "../pod/overlay-support.ts";
import { TRIAL_RANGE } from "../pod/user-namespace-support.ts";
import { type DoctorHost, type Finding, missing, ok, warning } from "./finding.ts";
import { inPrivateMounts } from "./private-mounts.ts";

/** statfs(2); only for the reader. */
const NAMES: ReadonlyMap<number, string> = new Map([
	[0xef53, "ext4"],
	[0x58465342, "xfs"],
	[0x9123683e, "btrfs"],
	[0xf2f52010, "f2fs"],
	[0x01021994, "tmpfs"],
]);

/** Bytes. An image of a Debian system, with what its pods write. */
const COMFORTABLE = 1024 ** 3;
const LEAST = 64 * 1024 ** 2;

/** The file system of the data directory: what pods can be made of there. */
export async function probeFileSystem(host: DoctorHost): Promise<Finding[]> {
	const directory = existing(host.dataDirectory);
	const findings = [space(directory), overlay(host, directory)];
	return [...findings, ...(await idmap(host, directory))];
}

/** The data directory, or the nearest above it that exists. */
function existing(directory: string): string {
	return fs.existsSync(directory) ? directory : existing(path.dirname(directory));
}

function space(directory: string): Finding {
	const { bavail, bsize, ffree, files, type } = fs.statfsSync(directory);
	const free = bavail * bsize;
	const detail = `${Math.floor(free / 1024 ** 2)} MiB free in ${directory} on ${NAMES.get(type) ?? `type 0x${type.toString(16)}`}`;
	const remedy = "make room: rkt gc, rkt image gc; or choose another directory with --dir or paths.d";
	if (free < LEAST) return missing("space", detail, remedy);
	if (free < COMFORTABLE) return warning("space", detail, remedy);
	if (files > 0 && ffree < 10_000) return warning("space", `${detail}, but only ${ffree} files more`, remedy);
	return ok("space", detail);
}

function overlay(host: DoctorHost, directory: string): Finding {
	const remedy =
		"pods copy their images then, as with --no-overlay: use ext4, xfs or btrfs, and a kernel with overlayfs";
	if (!/\toverlay$/m.test(host.read("/proc/filesystems") ?? "")) {
		const release = host.read("/proc/sys/kernel/osrelease")?.trim() ?? "";
		const modules = host.read(`/lib/modules/${release}/modules.dep`) ?? "";
		if (/\/overlay\.ko/.test(modules)) return ok("overlay", "a module of the kernel, not loaded yet");
		return warning("overlay", "the kernel has no overlayfs", remedy);
	}
	const name = unsuitableForOverlay(directory);
	if (name !== undefined) return warning("overlay", `not possible on ${name}`, remedy);
	const problem = inPrivateMounts(host.syscall, () => failure(() => mountOverlayOver(host, directory)));
	return problem === undefined ? ok("overlay", "works") : warning("overlay", problem, remedy);
}

async function idmap(host: DoctorHost, directory: string): Promise<Finding[]> {
	const remedy = "for --private-users use ext4, xfs or btrfs on Linux 5.19 or later";
	const view = "files with other owners";
	const layers = "overlay over files with other owners";
	let namespace: number;
	try {
		namespace = await openUserNamespace(TRIAL_RANGE);
	} catch (error) {
		return [warning(view, messageOf(error), remedy)];
	}
	try {
		const { first, second } = inPrivateMounts(host.syscall, () => mountShifted(host, directory, namespace));
		if (first !== undefined) return [warning(view, first, remedy)];
		const found = ok(view, "works: --private-users shows images to pods without copying them");
		return [found, second === undefined ? ok(layers, "works") : warning(layers, second, remedy)];
	} finally {
		fs.closeSync(namespace);
	}
}

/** Covered in this namespace only. */
const SCRATCH = "/tmp";

function scratch({ syscall }: DoctorHost, ...names: string[]): string[] {
	syscall.mount("rkt-doctor", SCRATCH, "tmpfs", 0, "size=1m,mode=700");
	const directories = names.map((name) => path.join(SCRATCH, name));
	for (const directory of directories) fs.mkdirSync(directory);
	return directories;
}

/** The directory itself as lower layer; what would be written lies on the tmpfs. */
function mountOverlayOver(host: DoctorHost, directory: string): void {
	const tree = host.syscall.openTree(AT_FDCWD, directory, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	try {
		const [lower = "", ...rest] = scratch(host, "lower", "upper", "work", "target");
		host.syscall.moveMount(tree, "", AT_FDCWD, lower, MOVE_MOUNT_F_EMPTY_PATH);
		mountLayers(host, lower, rest);
	} finally {
		fs.closeSync(tree);
	}
}

function mountLayers({ syscall }: DoctorHost, lower: string, [upper, work, target = ""]: string[]): void {
	syscall.mount("overlay", target, "overlay", 0, `lowerdir=${lower},upperdir=${upper},workdir=${work}`);
}

/** Why the view cannot be made, and why no overlay can be over it. */
function mountShifted(
	host: DoctorHost,
	directory: string,
	namespace: number,
): { first: string | undefined; second: string | undefined } {
	const { syscall } = host;
	const tree = syscall.openTree(AT_FDCWD, directory, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	try {
		const set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY;
		const first = failure(() =>
			syscall.mountSetattr(tree, "", AT_EMPTY_PATH, { set, userNamespaceFd: namespace }),
		);
		if (first !== undefined) return { first, second: undefined };
		const [lower = "", ...rest] = scratch(host, "lower", "upper", "work", "target");
		syscall.moveMount(tree, "", AT_FDCWD, lower, MOVE_MOUNT_F_EMPTY_PATH);
		return { first, second: failure(() => mountLayers(host, lower, rest)) };
	} finally {
		fs.closeSync(tree);
	}
}

function failure(action: () => void): string | undefined {
	try {
		action();
		return undefined;
	} catch (error) {
		if (!isErrno(error, "EINVAL", "EPERM", "ENODEV", "EACCES", "EOPNOTSUPP", "ENOSYS")) throw error;
		return messageOf(error);
	}
}
