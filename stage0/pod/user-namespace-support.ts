import * as fs from "node:fs";
import { messageOf } from "../../lib/errors.ts";
import {
	AT_EMPTY_PATH,
	AT_FDCWD,
	MOUNT_ATTR_IDMAP,
	OPEN_TREE_CLOEXEC,
	OPEN_TREE_CLONE,
	type Syscall,
} from "../../lib/syscall/syscall.ts";
import { openUserNamespace } from "../../stage1/user-namespace.ts";
import type { UserRange } from "./user-range.ts";

/** To try with: nothing is written, and no pod gets it. */
export const TRIAL_RANGE: UserRange = { shift: 0x70000000, count: 65536 };

/**
 * Why pods whose images are on the file system of this directory cannot have users of their own; undefined when they can.
 * It is tried on a copy of the mount that nobody sees.
 */
export async function userNamespaceProblem(syscall: Syscall, directory: string): Promise<string | undefined> {
	let namespace: number;
	try {
		namespace = await openUserNamespace(TRIAL_RANGE);
	} catch (error) {
		return messageOf(error);
	}
	try {
		const tree = syscall.openTree(AT_FDCWD, directory, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		try {
			syscall.mountSetattr(tree, "", AT_EMPTY_PATH, { set: MOUNT_ATTR_IDMAP, userNamespaceFd: namespace });
			return undefined;
		} finally {
			fs.closeSync(tree);
		}
	} catch (error) {
		return `the file system of ${directory} cannot show files with other owners (${messageOf(error)})`;
	} finally {
		fs.closeSync(namespace);
	}
}
