import * as fs from "node:fs";
import * as path from "node:path";
import { copyTree } from "../../pod/copy-tree.ts";
import type { Handler } from "../command.ts";
import { makeTargetDirectory } from "../export-target.ts";
import { findImage } from "../find-image.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt image render`: the image with its dependencies, from the tree store, which is checked first. */
export const renderImage: Handler = async (context, { options, args }) => {
	const [word = "", directory = ""] = args;
	const { openStore } = await import("../../store/store.ts");
	const store = openStore(findDataDirectory(context), await loadSyscall());
	const key = findImage(store, word);
	const damaged = (await store.verifyTree(key)).state === "damaged";
	const { rootfs } = await store.ensureTree(key, { rebuild: damaged });
	const target = makeTargetDirectory(directory, options.on("overwrite"));
	if (options.on("rootfs-only")) {
		copyTree(rootfs, target);
		return 0;
	}
	copyTree(rootfs, path.join(target, "rootfs"));
	fs.writeFileSync(path.join(target, "manifest"), store.manifestText(key), { mode: 0o644 });
	return 0;
};
