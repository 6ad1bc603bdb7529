import * as fs from "node:fs";
import { fail } from "../../lib/errors.ts";

/**
 * Refuses what another user could have changed: plugins run as root, and configurations choose them.
 * A group may write only when it is root's.
 */
export function requireTrusted(stat: fs.Stats, file: string, errorCode: string): void {
	const groupWritable = (stat.mode & 0o020) !== 0 && stat.gid !== 0;
	if (stat.uid === 0 && (stat.mode & 0o002) === 0 && !groupWritable) return;
	fail(errorCode, `${file} must belong to root and not be writable by others`, {
		hint: `chown root:root ${file} && chmod go-w ${file}`,
	});
}

/** Reads a trusted regular file; checked on the open descriptor, so that it cannot be exchanged in between. */
export function readTrustedFile(file: string, maxBytes: number, errorCode: string): string {
	const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
	try {
		const stat = fs.fstatSync(fd);
		requireTrusted(stat, file, errorCode);
		if (stat.size > maxBytes) fail(errorCode, `${file}: ${stat.size} bytes, at most ${maxBytes} are read`);
		return fs.readFileSync(fd, "utf8");
	} finally {
		fs.closeSync(fd);
	}
}
