import { shortImageID } from "../../../appc/types/image-id.ts";
import { fail } from "../../../lib/errors.ts";
import { writeStdout } from "../../../lib/log.ts";
import type { Handler } from "../command.ts";
import { findImage } from "../find-image.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

const SHOWN_DIGITS = 64;

/**
 * `rkt image verify`: the archive and every file of the rendered image. A damaged rendered image is told, with the files,
 * and built again, which is success; what cannot be repaired from the store is taken out of it, which is a failure.
 */
export const verifyImages: Handler = async (context, { args }) => {
	const { openStore } = await import("../../store/store.ts");
	const { describeDamage } = await import("../../store/verify-tree.ts");
	const store = openStore(findDataDirectory(context), await loadSyscall());
	for (const word of args) {
		const key = findImage(store, word);
		const shown = `"${word}" ("${shortImageID(key, SHOWN_DIGITS)}")`;
		if (!(await store.verifyArchive(key))) {
			store.remove(key);
			fail("image-damaged", `the archive of the image ${shown} in the store was damaged: it was removed`, {
				hint: `get it again with rkt fetch ${word}`,
			});
		}
		const check = await store.verifyTree(key);
		if (check.state === "verified") writeStdout(`successfully verified checksum for image: ${shown}\n`);
		if (check.state === "not-rendered") writeStdout(`image "${word}" not rendered; no verification needed\n`);
		if (check.state !== "damaged") continue;
		context.log.info(`rendered image ${shown} is damaged, rebuilding it`);
		for (const file of check.files) context.log.info(describeDamage(file));
		await store.repairTree(key, check.files);
	}
	return 0;
};
