import { shortImageID } from "../../../appc/types/image-id.ts";
import { fail } from "../../../lib/errors.ts";
import { writeStdout } from "../../../lib/log.ts";
import { fetchImage } from "../../fetch/fetch-image.ts";
import { type ImageReference, parseImageReference } from "../../fetch/image-reference.ts";
import { readAppFlags } from "../app-overrides.ts";
import type { Handler } from "../command.ts";
import { SIGNATURE } from "../tables/app-options.ts";
import { openWorkspace } from "../workspace.ts";

const SHORT_DIGITS = 32;
const FULL_DIGITS = 64;
const WITH_SCHEME = /^(?:file|oci|oci-archive|docker-archive):/i;

/** `rkt image import`: images in files, of whatever kind; one hash for each, in their order. */
export const importImages: Handler = async (context, { options, apps }) => {
	if (apps.length === 0) {
		fail("image-required", "must provide at least one image file", {
			hint: "name a file: rkt image import image.tar",
		});
	}
	const workspace = await openWorkspace(context);
	const { fetching, store } = workspace;
	for (const app of apps) {
		const reference = await readReference(app.image, () => store.temporaryDirectory());
		const flags = readAppFlags(app, [SIGNATURE]);
		const signature = flags.given("signature") ? flags.text("signature") : undefined;
		const key = await fetchImage(reference, {
			...{ ...fetching, pullPolicy: "new", signature },
			dependencies: false,
			render: false,
		});
		writeStdout(`${shortImageID(key, options.on("full") ? FULL_DIGITS : SHORT_DIGITS)}\n`);
	}
	return 0;
};

async function readReference(word: string, temporaryDirectory: () => string): Promise<ImageReference> {
	if (WITH_SCHEME.test(word)) return parseImageReference(word);
	const { detectImageFile } = await import("../../oci/detect-image-file.ts");
	return detectImageFile(word, temporaryDirectory());
}
