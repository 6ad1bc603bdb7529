import type { Handler } from "../command.ts";
import { findImage } from "../find-image.ts";
import { writeJson } from "../output/print-json.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

/** `rkt image cat-manifest`. */
export const catImageManifest: Handler = async (context, { options, args }) => {
	const { openStore } = await import("../../store/store.ts");
	const { serializeManifest } = await import("../../../appc/schema/serialize.ts");
	const store = openStore(findDataDirectory(context), await loadSyscall());
	const manifest = await store.manifest(findImage(store, args[0] as string));
	writeJson(serializeManifest(manifest, options.on("pretty-print") ? "\t" : undefined));
	return 0;
};
