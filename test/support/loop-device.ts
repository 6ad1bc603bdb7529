import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import type { Test } from "tap";

/**
 * Makes a file of 1 MiB a block device of this machine until the test is over; gives its path. Needs root. What is
 * detached while it is open stays until the last one closes it, which the end of this process does in any case.
 */
export function attachLoopDevice(t: Pick<Test, "teardown">, file: string): string {
	fs.writeFileSync(file, "");
	fs.truncateSync(file, 1024 * 1024);
	const device = losetup("--find", "--show", file).trim();
	const held = fs.openSync(device, "r");
	losetup("--detach", device);
	t.teardown(() => fs.closeSync(held));
	return device;
}

function losetup(...args: string[]): string {
	const { status, stdout, stderr } = spawnSync("losetup", args, { encoding: "utf8" });
	if (status !== 0) throw new Error(`losetup ${args.join(" ")}: ${stderr}`);
	return stdout;
}
