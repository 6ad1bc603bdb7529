import {
	discoveryURLs,
	type ImageEndpoint,
	imageEndpoints,
	pubkeyEndpoints,
} from "../../appc/discovery/endpoints.ts";
import { type DiscoveryTags, readDiscoveryTags } from "../../appc/discovery/meta-tags.ts";
import { formatImageName, type ImageName, withHostLabels } from "../../appc/types/image-name.ts";
import { fail, messageOf, RktError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { statusError } from "./download.ts";
import { type HttpSettings, httpGet } from "./http-client.ts";
import { networkError } from "./network-error.ts";

export interface DiscoveryOptions {
	readonly settings: HttpSettings;
	readonly log: Log;
}

/**
 * Where an image and its signature are (image.md §5): the pages of the name and of each parent are asked, nearest
 * first, and the first tag that fits decides. Error `discovery-failed`, with what each page answered.
 */
export async function discoverImage(name: ImageName, options: DiscoveryOptions): Promise<ImageEndpoint> {
	const complete = withHostLabels(name);
	const [endpoint] = await walk(name.name, options, (tags) => imageEndpoints(tags.images, complete));
	return endpoint ?? fail("discovery-failed", `no image of the name "${formatImageName(name)}" was found`);
}

/** The URLs of the keys for a name or prefix. Error `discovery-failed`. */
export function discoverKeys(prefix: string, options: DiscoveryOptions): Promise<string[]> {
	return walk(prefix, options, (tags) => pubkeyEndpoints(tags.pubkeys, prefix));
}

async function walk<T>(
	name: string,
	options: DiscoveryOptions,
	find: (tags: DiscoveryTags) => T[],
): Promise<T[]> {
	const problems: string[] = [];
	const plain = options.settings.allowHttp ? discoveryURLs(name, "http") : [];
	for (const [level, url] of discoveryURLs(name).entries()) {
		for (const address of [url, plain[level]]) {
			if (address === undefined) continue;
			try {
				const found = find(await readTags(address, options.settings));
				if (found.length > 0) return found;
				problems.push(`${address}: has no tag for it`);
			} catch (error) {
				if (!(error instanceof RktError)) throw error;
				problems.push(messageOf(error));
			}
			options.log.debug(problems.at(-1) as string);
		}
	}
	return fail("discovery-failed", `nothing was found for "${name}":\n  ${problems.join("\n  ")}`, {
		hint: "check the name; its host must serve a page with ac-discovery tags, or give a URL or file instead",
	});
}

async function readTags(url: string, settings: HttpSettings): Promise<DiscoveryTags> {
	const response = await httpGet(url, {}, settings);
	if (response.status !== 200) {
		response.body.destroy();
		throw statusError(url, response.status);
	}
	try {
		return await readDiscoveryTags(response.body as AsyncIterable<Uint8Array>, url);
	} catch (error) {
		throw networkError(error, url);
	} finally {
		response.body.destroy();
	}
}
