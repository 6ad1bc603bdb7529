import * as path from "node:path";
import { formatImageName, type ImageName } from "../../appc/types/image-name.ts";
import { labelValue } from "../../appc/types/labels.ts";
import { messageOf, RktError } from "../../lib/errors.ts";
import { discoverImage } from "./discover.ts";
import type { Expectation } from "./expectation.ts";
import type { FetchOptions } from "./fetch-options.ts";
import { fetchRemote } from "./fetch-remote.ts";
import { imageHttpSettings } from "./http-settings.ts";

/** Finds an image by its name on the network and fetches it. Returns the full key. */
export async function fetchDiscovered(
	name: ImageName,
	expected: Pick<Expectation, "imageId" | "size">,
	options: FetchOptions,
): Promise<string> {
	const started = Date.now();
	options.log.info(`searching for app image ${formatImageName(name)}`);
	const settings = imageHttpSettings(options, "page");
	const endpoint = await discoverImage(name, { settings, log: options.log });
	await fetchKeys(name.name, options);
	return fetchRemote(
		{
			url: endpoint.image,
			signatureUrl: endpoint.signature,
			label: path.basename(new URL(endpoint.image).pathname),
			latest: labelValue(name.labels, "version") === undefined,
			expectation: { name, ...expected },
		},
		options,
		started,
	);
}

/**
 * Offers the publisher's keys when there is none yet for the name. What goes wrong is only told: the signature check
 * decides.
 */
async function fetchKeys(name: string, options: FetchOptions): Promise<void> {
	const { keystore, insecure, log } = options;
	if (insecure.image || (insecure.tls && !insecure.pubkey)) return;
	if (keystore.hasPrefixKeys(name)) {
		log.info(`keys already exist for prefix "${name}", not fetching again`);
		return;
	}
	try {
		const { addTrust } = await import("./trust.ts");
		const request = { prefix: name, locations: [], allowHttp: insecure.pubkey, skipReview: false };
		await addTrust(request, options);
	} catch (error) {
		if (!(error instanceof RktError)) throw error;
		log.info(`cannot get keys for prefix "${name}": ${messageOf(error)}`);
	}
}
