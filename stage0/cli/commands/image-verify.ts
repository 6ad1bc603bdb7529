import { shortImageID } from "../../../appc/types/image-id.ts";
import { writeStdout } from "../../../lib/log.ts";
import type { Handler } from "../command.ts";
import { findImage } from "../find-image.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

const SHOWN_DIGITS = 64;

/** `rkt image verify`: a damaged rendered image is told and built again, which is success. */
export const verifyImages: Handler = async (context, { args }) => {
	const { openStore } = await import("../../store/store.ts");
	const store = openStore(findDataDirectory(context), await loadSyscall());
	for (const word of args) {
		const key = findImage(store, word);
		const shown = `"${word}" ("${shortImageID(key, SHOWN_DIGITS)}")`;
		const check = await store.verifyTree(key);
		if (check === "verified") writeStdout(`successfully verified checksum for image: ${shown}\n`);
		if (check === "not-rendered") writeStdout(`image "${word}" not rendered; no verification needed\n`);
		if (check !== "damaged") continue;
		context.log.info(`rendered image ${shown} is damaged, rebuilding it`);
		await store.ensureTree(key, { rebuild: true });
	}
	return 0;
};
