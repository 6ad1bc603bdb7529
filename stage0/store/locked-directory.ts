import * as fs from "node:fs";
import * as path from "node:path";
import { randomSuffix } from "../../lib/files.ts";
import { LOCK_EX, type Syscall } from "../../lib/syscall/syscall.ts";

/**
 * A new directory `import-…` that is locked, so that nobody takes it for left over. Between making and locking it a
 * sweep may remove it: then another is made.
 */
export function createLockedDirectory(parent: string, syscall: Syscall): { directory: string; fd: number } {
	for (;;) {
		const directory = path.join(parent, `import-${process.pid}-${randomSuffix()}`);
		createTreeDirectory(directory);
		const fd = fs.openSync(directory, "r");
		syscall.flock(fd, LOCK_EX);
		if (fs.fstatSync(fd).nlink > 0) return { directory, fd };
		fs.closeSync(fd);
	}
}

/** Without the set-group-ID bit of its parent, which directories of the image would inherit. */
export function createTreeDirectory(directory: string): void {
	fs.mkdirSync(directory);
	fs.chmodSync(directory, 0o700);
}
