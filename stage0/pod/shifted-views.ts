import * as fs from "node:fs";
import * as path from "node:path";
import { listDirectory } from "../../lib/files.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import { openUserNamespace } from "../../stage1/user-namespace.ts";
import { mountIdmapped, unmountIdmapped } from "./idmap.ts";
import type { UserRange } from "./user-range.ts";

/** Views of directories in which every file belongs to the users of a pod, mounted below the pod directory. */
export interface ShiftedViews {
	/** Errors: `idmap-failed`. */
	mount(directories: readonly string[]): MountedViews;
	close(): void;
}

export interface MountedViews {
	/** In the order of the directories. */
	readonly views: readonly string[];
	/** What was mounted over a view keeps it. */
	unmount(): void;
}

/** Errors: `user-namespace-failed`. */
export async function openShiftedViews(
	syscall: Syscall,
	pod: string,
	range: UserRange,
): Promise<ShiftedViews> {
	const userNamespace = await openUserNamespace(range);
	const place = path.join(pod, "shifted");
	const mounted: string[] = [];
	const unmount = (): void => {
		for (const view of mounted.splice(0)) unmountIdmapped(syscall, view);
	};
	return {
		mount: (directories) => {
			try {
				for (const [index, directory] of directories.entries()) {
					const view = path.join(place, String(index));
					fs.mkdirSync(view, { recursive: true, mode: 0o700 });
					mountIdmapped(syscall, directory, view, userNamespace);
					mounted.push(view);
				}
			} catch (error) {
				unmount();
				throw error;
			}
			return { views: [...mounted], unmount };
		},
		close: () => {
			unmount();
			fs.closeSync(userNamespace);
			if (!fs.existsSync(place)) return;
			for (const view of listDirectory(place)) fs.rmdirSync(path.join(place, view));
			fs.rmdirSync(place);
		},
	};
}
