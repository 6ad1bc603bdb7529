import * as fs from "node:fs";
import { runCommand } from "../../lib/process.ts";

/** File systems (statfs(2) magic numbers) that cannot hold the upper directory of an overlay. */
const UNSUITABLE: ReadonlyMap<number, string> = new Map([
	[0x61756673, "aufs"],
	[0x2fc12fc1, "zfs"],
	[0x794c7630, "overlayfs"],
	[0x6969, "nfs"],
	[0x65735546, "fuse"],
]);

/**
 * Why pods below this data directory cannot use overlayfs; undefined when they can. An unknown overlay file
 * system is loaded as a kernel module first.
 */
export function overlayProblem(dataDirectory: string): string | undefined {
	if (!kernelHasOverlay()) {
		try {
			runCommand("modprobe", ["overlay"]);
		} catch {
			return "overlay is no file system of this kernel, and there is no modprobe to load it";
		}
		if (!kernelHasOverlay()) return "overlay is no file system of this kernel";
	}
	const name = unsuitableForOverlay(dataDirectory);
	return name === undefined ? undefined : `unsupported filesystem: ${dataDirectory} is on ${name}`;
}

/** The name of the file system that a directory is on, when it cannot hold the upper directory of an overlay. */
export function unsuitableForOverlay(directory: string): string | undefined {
	return UNSUITABLE.get(fs.statfsSync(directory).type);
}

function kernelHasOverlay(): boolean {
	return /\toverlay$/m.test(fs.readFileSync("/proc/filesystems", "latin1"));
}
