import * as fs from "node:fs";
import * as path from "node:path";
import { randomSuffix } from "../../../lib/files.ts";
import type { Syscall } from "../../../lib/syscall/syscall.ts";
import { storeLayout } from "../../store/layout.ts";
import type { Store } from "../../store/store.ts";
import type { Handler } from "../command.ts";
import { writeTargetDirectory } from "../export-target.ts";
import { findImage } from "../find-image.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt image extract`: what is in one image, without its dependencies and its white-list. */
export const extractImage: Handler = async (context, { options, args }) => {
	const [word = "", directory = ""] = args;
	const { openStore } = await import("../../store/store.ts");
	const dataDirectory = findDataDirectory(context);
	const syscall = await loadSyscall();
	const store = openStore(dataDirectory, syscall);
	const id = findImage(store, word);
	const write = await chooseWriter({ store, syscall, dataDirectory, id });
	await writeTargetDirectory(directory, options.on("overwrite"), async (target) => {
		await write(target);
		if (options.on("rootfs-only")) moveUp(path.join(target, "rootfs"), target);
		else fs.writeFileSync(path.join(target, "manifest"), store.manifestText(id), { mode: 0o644 });
	});
	return 0;
};

interface Source {
	readonly store: Store;
	readonly syscall: Syscall;
	readonly dataDirectory: string;
	readonly id: string;
}

/** Everything that can be wrong with the image is found before the target is made, as --overwrite removes one. */
async function chooseWriter({
	store,
	syscall,
	dataDirectory,
	id,
}: Source): Promise<(target: string) => Promise<void>> {
	if (store.record(id)?.layers !== undefined) {
		const { lowers, treeId } = await store.ensureTree(id);
		await store.checkTree(treeId);
		const { copyMerged } = await import("../../store/copy-merged.ts");
		return (target) => copyMerged(syscall, lowers, path.join(target, "rootfs"));
	}
	const { renderTree } = await import("../../store/render-tree.ts");
	const manifest = { ...(await store.manifest(id)), pathWhitelist: [] };
	return (target) => renderTree(storeLayout(dataDirectory), [{ id, manifest, level: 0 }], target);
}

/** The directory `rootfs` in place of the one that holds it. */
function moveUp(rootfs: string, target: string): void {
	const beside = `${target}.${randomSuffix()}.tmp`;
	fs.renameSync(rootfs, beside);
	fs.rmdirSync(target);
	fs.renameSync(beside, target);
}
