import * as path from "node:path";
import { formatImageName, type ImageName } from "../../appc/types/image-name.ts";
import type { ImageRecord } from "../store/image-record.ts";
import { canRender } from "./can-render.ts";
import type { Expectation } from "./expectation.ts";
import type { FetchOptions } from "./fetch-options.ts";
import type { ImageReference } from "./image-reference.ts";
import { notInStore } from "./not-in-store.ts";

/**
 * Gets an image and its dependencies into the store by the pull policy (image.md §7.1), and renders it when pods can
 * use overlayfs. Returns the full key. Whatever needs the network is loaded only when it is asked for.
 */
export async function fetchImage(reference: ImageReference, options: FetchOptions): Promise<string> {
	const began = Date.now();
	const key = await fetchReference(reference, options);
	if (options.dependencies !== false && (options.store.record(key)?.dependencies.length ?? 0) > 0) {
		const { fetchDependencies } = await import("./fetch-dependencies.ts");
		await fetchDependencies(key, options, began);
	}
	await render(key, options);
	return key;
}

async function render(key: string, options: FetchOptions): Promise<void> {
	const { store } = options;
	if (options.render === false || process.geteuid?.() !== 0 || store.treeOf(key).rendered) return;
	if (await canRender(options)) await store.ensureTree(key);
}

async function fetchReference(reference: ImageReference, options: FetchOptions): Promise<string> {
	switch (reference.type) {
		case "hash":
			return options.store.resolveKey(reference.prefix);
		case "name":
			return fetchByName(reference, {}, options);
		case "url":
			return fetchUrl(reference.url, options);
		case "file": {
			const { fetchFile } = await import("./fetch-file.ts");
			return fetchFile(reference.path, options);
		}
		case "docker": {
			const { fetchDocker } = await import("./fetch-docker.ts");
			return fetchDocker(reference.reference, options);
		}
		case "oci":
		case "oci-archive":
		case "docker-archive": {
			const { fetchOciFile } = await import("./fetch-oci-file.ts");
			return fetchOciFile(reference, options);
		}
	}
}

/** An image by its name: from the store if the policy lets it, else by discovery. */
export async function fetchByName(
	name: ImageName,
	expected: Pick<Expectation, "imageId" | "size">,
	options: FetchOptions,
): Promise<string> {
	const text = formatImageName(name);
	const stored = options.pullPolicy === "update" ? undefined : findStored(name, expected, options);
	if (stored) {
		options.log.info(`using image from local store for image name ${text}`);
		return stored.key;
	}
	if (options.pullPolicy === "never") notInStore(`image name "${text}"`);
	const { fetchDiscovered } = await import("./fetch-discovered.ts");
	return fetchDiscovered(name, expected, options);
}

function findStored(
	name: ImageName,
	{ imageId }: Pick<Expectation, "imageId">,
	{ store }: FetchOptions,
): ImageRecord | undefined {
	const record = store.find(name.name, name.labels);
	return imageId === undefined || record?.key.startsWith(imageId) ? record : undefined;
}

async function fetchUrl(url: string, options: FetchOptions): Promise<string> {
	if (options.pullPolicy === "never") {
		const remote = options.store.getRemote(url);
		if (!remote || !options.store.record(remote.key)) notInStore(`URL "${url}"`);
		options.log.info(`using image from local store for url ${url}`);
		return remote.key;
	}
	const [{ fetchRemote }, { signatureUrlOf }] = await Promise.all([
		import("./fetch-remote.ts"),
		import("./fetch-signature.ts"),
	]);
	const label = path.basename(new URL(url).pathname);
	return fetchRemote(
		{ url, signatureUrl: signatureUrlOf(url), label, latest: false, expectation: {} },
		options,
	);
}
