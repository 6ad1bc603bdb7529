import { pipeline } from "node:stream/promises";
import type { Handler } from "../command.ts";
import { writeExport } from "../export-file.ts";
import { findImage } from "../find-image.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt image export`: the stored archive, or one made of the layers; uncompressed. */
export const exportImage: Handler = async (context, { options, args }) => {
	const [word = "", file = ""] = args;
	await writeExport(file, options.on("overwrite"), async ({ create }) => {
		const { openStore } = await import("../../store/store.ts");
		const store = openStore(findDataDirectory(context), await loadSyscall());
		const key = findImage(store, word);
		if (store.record(key)?.layers === undefined) return pipeline(store.openBlob(key), create());
		const { exportLayered } = await import("../../store/export-layered.ts");
		return exportLayered(store, key, create);
	});
	return 0;
};
