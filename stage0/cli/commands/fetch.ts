import { shortImageID } from "../../../appc/types/image-id.ts";
import { fail } from "../../../lib/errors.ts";
import { writeStdout } from "../../../lib/log.ts";
import { fetchImage } from "../../fetch/fetch-image.ts";
import { parseImageReference } from "../../fetch/image-reference.ts";
import { readAppFlags } from "../app-overrides.ts";
import type { Handler } from "../command.ts";
import { readPullPolicy } from "../prepare-flags.ts";
import { SIGNATURE } from "../tables/app-options.ts";
import { openWorkspace } from "../workspace.ts";

const SHORT_DIGITS = 32;
const FULL_DIGITS = 64;

/** `rkt fetch`: one hash for each image, in their order. */
export const fetchImages: Handler = async (context, { options, apps }) => {
	if (apps.length === 0) {
		fail("image-required", "must provide at least one image", {
			hint: "name an image: rkt fetch example.com/app",
		});
	}
	const pullPolicy = readPullPolicy(options);
	const requests = apps.map((app) => {
		const flags = readAppFlags(app, [SIGNATURE]);
		const signature = flags.given("signature") ? flags.text("signature") : undefined;
		return { reference: parseImageReference(app.image), signature };
	});
	const { fetching } = await openWorkspace(context);
	for (const { reference, signature } of requests) {
		const key = await fetchImage(reference, { ...fetching, pullPolicy, signature });
		writeStdout(`${shortImageID(key, options.on("full") ? FULL_DIGITS : SHORT_DIGITS)}\n`);
	}
	return 0;
};
