import * as fs from "node:fs";
import * as path from "node:path";
import { listDirectory, readTextIfExists } from "../../lib/files.ts";

const BLOCK_DEVICES = "/sys/block";

/** The host's block devices with a medium, whole disks and not their partitions, as systemd names them by number. */
export function listDisks(): string[] {
	return listDirectory(BLOCK_DEVICES).flatMap((name) => {
		const read = (file: string): string =>
			readTextIfExists(path.join(BLOCK_DEVICES, name, file))?.trim() ?? "";
		if (!fs.existsSync(path.join(BLOCK_DEVICES, name)) || read("size") === "0" || read("dev") === "")
			return [];
		return [`/dev/block/${read("dev")}`];
	});
}
