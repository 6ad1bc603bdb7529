import * as fs from "node:fs";
import { isErrno } from "../../lib/errors.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";

/**
 * Closes the files of a tree for good, where the file system can (fs-verity of ext4, f2fs and btrfs; Linux,
 * Documentation/filesystems/fsverity.rst): nobody can write to one any more, and the kernel compares whatever is read of
 * it with a tree of hashes, so that a flipped bit gives EIO and not other content. Each file is on the disk afterwards.
 * Where the file system cannot, the first file says so. False then.
 */
export function sealTree(directory: string, syscall: Syscall): boolean {
	for (const file of regularFiles(`${directory}/rootfs`)) {
		const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
		try {
			syscall.enableVerity(fd);
		} catch (error) {
			// Not for this file system, this disk, or blocks of this size.
			if (isErrno(error, "ENOTTY", "ENOTSUP", "EOPNOTSUPP", "EINVAL")) return false;
			// A further name of a file.
			if (!isErrno(error, "EEXIST")) throw error;
		} finally {
			fs.closeSync(fd);
		}
	}
	return true;
}

function* regularFiles(directory: string): Generator<string> {
	for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
		const name = `${directory}/${entry.name}`;
		if (entry.isDirectory()) yield* regularFiles(name);
		else if (entry.isFile()) yield name;
	}
}
