import * as path from "node:path";
import type { ImageRecipe } from "../../stage1/image/build-image.ts";
import { compileStatic } from "../../stage1/rootfs/root-file-system.ts";

/** The image of the nspawn stage1: the root that all pods boot, with a PID 1 of its own. */
export const recipes: readonly ImageRecipe[] = [
	{
		flavor: "nspawn",
		bundle: "stage1-nspawn.cjs",
		addPrograms: (root, { sources }) => {
			const common = path.join(sources, "stage1/guest");
			const shared = ["baseline", "trace"].map((name) => path.join(common, `${name}.c`));
			const files = [path.join(sources, "stage1-nspawn/guest/init.c"), ...shared];
			compileStatic(files, path.join(root, "rkt/init"), [`-I${common}`]);
		},
	},
];
