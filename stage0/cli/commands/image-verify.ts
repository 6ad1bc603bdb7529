import { shortImageID } from "../../../appc/types/image-id.ts";
import { writeStdout } from "../../../lib/log.ts";
import type { Handler } from "../command.ts";
import { findImage } from "../find-image.ts";
import { findDataDirectory, loadSyscall } from "../workspace.ts";

const SHOWN_DIGITS = 64;

/** `rkt image verify`: a damaged rendered image is told and built again, which is success. */
export const verifyImages: Handler = async (context, { args }) => {
	const { openStore } = await import("../../store/store.ts");
	const { describeDamage } = await import("../../store/verify-tree.ts");
	const store = openStore(findDataDirectory(context), await loadSyscall());
	for (const word of args) {
		const key = findImage(store, word);
		const shown = `"${word}" ("${shortImageID(key, SHOWN_DIGITS)}")`;
		const check = await store.verifyTree(key);
		if (check.state === "verified") writeStdout(`successfully verified checksum for image: ${shown}\n`);
		if (check.state === "not-rendered") writeStdout(`image "${word}" not rendered; no verification needed\n`);
		if (check.state !== "damaged") continue;
		context.log.info(`rendered image ${shown} is damaged, rebuilding it`);
		for (const file of check.files) context.log.info(describeDamage(file));
		await store.ensureTree(key, { rebuild: true });
	}
	return 0;
};
