import { spawn } from "node:child_process";
import { fail } from "../../lib/errors.ts";

/**
 * Waits until everything on the file system of a directory is on the disk. A program of its own, because the disk and
 * the digests of a tree take about the same time. Errors: `tree-not-written`.
 */
export async function flushFileSystem(directory: string): Promise<void> {
	const child = spawn("sync", ["--file-system", directory], {
		stdio: "ignore",
		env: { PATH: "/usr/bin:/bin" },
	});
	const status = await new Promise((resolve, reject) => {
		child.once("error", reject);
		child.once("close", resolve);
	});
	if (status === 0) return;
	fail("tree-not-written", `cannot write the root file system ${directory} to the disk`, {
		hint: "look at the kernel log for errors of the disk",
	});
}
