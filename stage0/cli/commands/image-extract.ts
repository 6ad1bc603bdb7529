import * as fs from "node:fs";
import * as path from "node:path";
import { randomSuffix } from "../../../lib/files.ts";
import { storeLayout } from "../../store/layout.ts";
import type { Handler } from "../command.ts";
import { makeTargetDirectory } from "../export-target.ts";
import { findImage } from "../find-image.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt image extract`: what is in the archive of one image, without its dependencies and its white-list. */
export const extractImage: Handler = async (context, { options, args }) => {
	const [word = "", directory = ""] = args;
	const { openStore } = await import("../../store/store.ts");
	const { renderTree } = await import("../../store/render-tree.ts");
	const dataDirectory = findDataDirectory(context);
	const store = openStore(dataDirectory, await loadSyscall());
	const id = findImage(store, word);
	const manifest = { ...(await store.manifest(id)), pathWhitelist: [] };
	const target = makeTargetDirectory(directory, options.on("overwrite"));
	try {
		await renderTree(storeLayout(dataDirectory), [{ id, manifest, level: 0 }], target);
		if (options.on("rootfs-only")) moveUp(path.join(target, "rootfs"), target);
		else fs.writeFileSync(path.join(target, "manifest"), store.manifestText(id), { mode: 0o644 });
	} catch (error) {
		fs.rmSync(target, { recursive: true, force: true });
		throw error;
	}
	return 0;
};

/** The directory `rootfs` in place of the one that holds it. */
function moveUp(rootfs: string, target: string): void {
	const beside = `${target}.${randomSuffix()}.tmp`;
	fs.renameSync(rootfs, beside);
	fs.rmdirSync(target);
	fs.renameSync(beside, target);
}
