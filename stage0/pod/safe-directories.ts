import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { lstatIfExists } from "../../lib/files.ts";

export interface Owner {
	readonly uid: number;
	readonly gid: number;
}

/**
 * Makes a directory and its missing parents below a root that comes from an image, and gives its absolute path.
 * A symbolic link or a file on the way is refused: it would lead out of the root. Nobody else may write to the
 * root meanwhile. Errors: `image-path-unsafe`.
 */
export function makeDirectoryBelow(root: string, relative: string, owner: Owner, mode = 0o755): string {
	let current = root;
	for (const part of relative.split("/").filter((name) => name !== "")) {
		current = path.join(current, part);
		const stat = lstatIfExists(current);
		if (stat?.isDirectory()) continue;
		if (stat !== undefined) {
			fail("image-path-unsafe", `${relative} of the image leads over ${current}, which is no directory`, {
				hint: "use another image: this one has something else where rkt needs a directory",
			});
		}
		fs.mkdirSync(current, { mode });
		fs.chmodSync(current, mode);
		fs.chownSync(current, owner.uid, owner.gid);
	}
	return current;
}

/** Writes a file below such a root in place of whatever has the name. */
export function writeFileBelow(
	root: string,
	relative: string,
	content: string,
	owner: Owner,
	mode = 0o644,
): void {
	const file = path.join(makeDirectoryBelow(root, path.dirname(relative), owner), path.basename(relative));
	fs.rmSync(file, { force: true });
	const fd = fs.openSync(file, "wx", mode);
	try {
		fs.writeFileSync(fd, content);
		fs.fchmodSync(fd, mode);
		fs.fchownSync(fd, owner.uid, owner.gid);
	} finally {
		fs.closeSync(fd);
	}
}
