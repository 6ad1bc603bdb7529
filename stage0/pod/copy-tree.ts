import * as fs from "node:fs";
import { RktError } from "../../lib/errors.ts";
import { runCommand } from "../../lib/process.ts";

/**
 * Copies the content of a directory with owners, modes, times, links, ACLs and capabilities, sharing the blocks
 * where the file system can. Errors: `disk-full`, `tree-copy-failed`.
 */
export function copyTree(source: string, target: string): void {
	fs.mkdirSync(target, { recursive: true, mode: 0o755 });
	const environment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
	const result = runCommand("cp", ["-a", "--reflink=auto", "--", `${source}/.`, target], { environment });
	if (result.status === 0) return;
	// cp goes on after an error and has a line for each file.
	const [complaint = ""] = result.stderr.trim().split("\n");
	if (/No space left|quota exceeded/i.test(complaint)) {
		throw new RktError("disk-full", `no space left to copy ${source} to ${target}`, {
			hint: "make room on its file system, or choose another place",
		});
	}
	throw new RktError("tree-copy-failed", `cannot copy ${source} to ${target}: ${complaint}`, {
		hint: "check the file system of the target with dmesg, and its rights with ls -ld",
	});
}
