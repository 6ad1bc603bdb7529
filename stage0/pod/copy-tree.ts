import * as fs from "node:fs";
import { RktError } from "../../lib/errors.ts";
import { runCommand } from "../../lib/process.ts";

/**
 * Copies the content of a directory with owners, modes, times, links, ACLs and capabilities, sharing the blocks
 * where the file system can. Errors: `tree-copy-failed`.
 */
export function copyTree(source: string, target: string): void {
	fs.mkdirSync(target, { recursive: true, mode: 0o755 });
	const result = runCommand("cp", ["-a", "--reflink=auto", "--", `${source}/.`, target]);
	if (result.status === 0) return;
	throw new RktError("tree-copy-failed", `cannot copy ${source} to ${target}: ${result.stderr.trim()}`, {
		hint: "the disk may be full: see df",
	});
}
