import * as fs from "node:fs";
import * as path from "node:path";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { AppDevice } from "../units/app-unit.ts";

const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;

export function isDevice(stat: fs.Stats): boolean {
	return stat.isCharacterDevice() || stat.isBlockDevice();
}

type Device = Omit<AppDevice, "readOnly">;

/** Which device a device file is; the numbers are the two parts of `st_rdev`, makedev(3). */
export function describeDevice(stat: fs.Stats): Device {
	const number = BigInt(stat.rdev);
	return {
		kind: stat.isBlockDevice() ? "block" : "char",
		major: Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n)),
		minor: Number((number & 0xffn) | ((number >> 12n) & 0xffffff00n)),
	};
}

function rdev({ major, minor }: Device): bigint {
	const [high, low] = [BigInt(major), BigInt(minor)];
	return (
		((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn)
	);
}

/** Who may open a node. */
export interface NodeAccess {
	readonly uid: number;
	readonly gid: number;
	readonly mode: number;
}

/** Makes a device file, whatever the umask is. Errors: those of mknod(2). */
export function makeDeviceNode(
	syscall: Syscall,
	file: string,
	device: Device,
	{ uid, gid, mode }: NodeAccess,
): void {
	syscall.mknod(file, device.kind === "block" ? S_IFBLK : S_IFCHR, rdev(device));
	fs.chownSync(file, uid, gid);
	fs.chmodSync(file, mode);
}

/** Users of a pod, which are those of the host from `shift` on. */
const POD_USERS = 65536;

/**
 * Makes a device file for an app whose pod has users of its own; gives its path. Its owner is the user of the pod with the
 * number of the host's, who would be nobody there. A node to be read belongs to nobody of the pod, so that no capability
 * gives more than its mode: only root's group of the pod may read it, and others where they may on the host. It stays
 * so, because its mount is read-only. `deviceNodes` is a directory that the pod does not see.
 */
export function makePodNode(
	{ syscall, deviceNodes, shift }: { syscall: Syscall; deviceNodes: string; shift: number },
	stat: fs.Stats,
	readOnly: boolean,
): string {
	const device = describeDevice(stat);
	const file = path.join(
		deviceNodes,
		`${device.kind}-${device.major}-${device.minor}-${readOnly ? "r" : "rw"}`,
	);
	if (fs.existsSync(file)) return file;
	const inPod = (id: number): number => shift + (id < POD_USERS ? id : 0);
	const access = readOnly
		? { uid: 0, gid: shift, mode: 0o440 | (stat.mode & 0o004) }
		: { uid: inPod(stat.uid), gid: inPod(stat.gid), mode: stat.mode & 0o666 };
	makeDeviceNode(syscall, file, device, access);
	return file;
}
