import * as fs from "node:fs";
import { CLONE_NEWNS, MS_PRIVATE, MS_REC, type Syscall } from "../../lib/syscall/syscall.ts";

/**
 * Runs `body` in a mount namespace of its own, from which nothing reaches the machine. Only the main thread is there:
 * it must be synchronous.
 */
export function inPrivateMounts<T>(syscall: Syscall, body: () => T): T {
	const home = fs.openSync("/proc/thread-self/ns/mnt", "r");
	const directory = process.cwd();
	try {
		syscall.unshare(CLONE_NEWNS);
		try {
			syscall.mount("", "/", "", MS_REC | MS_PRIVATE, "");
			return body();
		} finally {
			syscall.setns(home, CLONE_NEWNS);
			process.chdir(directory);
		}
	} finally {
		fs.closeSync(home);
	}
}
