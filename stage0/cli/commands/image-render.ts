import * as fs from "node:fs";
import * as path from "node:path";
import type { Syscall } from "../../../lib/syscall/syscall.ts";
import { copyTree } from "../../pod/copy-tree.ts";
import type { RenderedTree } from "../../store/tree-store.ts";
import type { Handler } from "../command.ts";
import { writeTargetDirectory } from "../export-target.ts";
import { findImage } from "../find-image.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt image render`: the image with its dependencies, from the tree store, which is checked first. */
export const renderImage: Handler = async (context, { options, args }) => {
	const [word = "", directory = ""] = args;
	const { openStore } = await import("../../store/store.ts");
	const syscall = await loadSyscall();
	const store = openStore(findDataDirectory(context), syscall);
	const key = findImage(store, word);
	const check = await store.verifyTree(key);
	if (check.state === "damaged") await store.repairTree(key, check.files);
	const tree = await store.ensureTree(key);
	await writeTargetDirectory(directory, options.on("overwrite"), async (target) => {
		if (options.on("rootfs-only")) return copyRendered(syscall, tree, target);
		await copyRendered(syscall, tree, path.join(target, "rootfs"));
		fs.writeFileSync(path.join(target, "manifest"), store.manifestText(key), { mode: 0o644 });
	});
	return 0;
};

/** One directory is copied with its blocks shared where the file system can; several are laid over each other. */
async function copyRendered(
	syscall: Syscall,
	{ rootfs, lowers }: RenderedTree,
	target: string,
): Promise<void> {
	if (lowers.length === 1) return copyTree(rootfs, target);
	const { copyMerged } = await import("../../store/copy-merged.ts");
	await copyMerged(syscall, lowers, target);
}
