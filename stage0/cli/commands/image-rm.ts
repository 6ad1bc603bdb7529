import { shortImageID } from "../../../appc/types/image-id.ts";
import { writeStdout } from "../../../lib/log.ts";
import type { Handler } from "../command.ts";
import { findImage } from "../find-image.ts";
import { reportError } from "../output/report-error.ts";
import { EXIT_FAILURE } from "../program.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

const SHOWN_DIGITS = 64;

/** `rkt image rm`: each image in turn; one that is not there is a failure too. */
export const removeImages: Handler = async (context, { args }) => {
	const { openStore } = await import("../../store/store.ts");
	const store = openStore(findDataDirectory(context), await loadSyscall());
	let removed = 0;
	for (const word of args) {
		try {
			const key = findImage(store, word);
			store.remove(key);
			writeStdout(`successfully removed aci for image: "${shortImageID(key, SHOWN_DIGITS)}"\n`);
			removed += 1;
		} catch (error) {
			reportError("rm", error, context.globals.debug);
		}
	}
	if (removed > 0) context.log.info(`${removed} image(s) successfully removed`);
	return removed === args.length ? 0 : EXIT_FAILURE;
};
