import * as fs from "node:fs";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { AppDevice } from "../units/app-unit.ts";

const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;

export function isDevice(stat: fs.Stats): boolean {
	return stat.isCharacterDevice() || stat.isBlockDevice();
}

/** The two parts of `st_rdev`, makedev(3). */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
	const number = BigInt(rdev);
	return {
		major: Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n)),
		minor: Number((number & 0xffn) | ((number >> 12n) & 0xffffff00n)),
	};
}

/** The opposite of {@link deviceNumbers}. */
function rdev({ major, minor }: Pick<AppDevice, "major" | "minor">): bigint {
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
	device: Omit<AppDevice, "readOnly">,
	{ uid, gid, mode }: NodeAccess,
): void {
	syscall.mknod(file, device.kind === "block" ? S_IFBLK : S_IFCHR, rdev(device));
	fs.chownSync(file, uid, gid);
	fs.chmodSync(file, mode);
}
