import { ociImageName } from "../../appc/oci/convert.ts";
import { formatRegistryReference, type RegistryReference } from "../../appc/oci/reference.ts";
import { crashPoint } from "../../lib/crash-point.ts";
import { isErrno } from "../../lib/errors.ts";
import { importOciImage } from "../oci/import-image.ts";
import { openRegistry } from "../registry/registry.ts";
import { findRegistryManifest, openRegistryImage } from "../registry/registry-image.ts";
import type { RemoteRecord } from "../store/remote-record.ts";
import { acquireSlot } from "./download-slot.ts";
import type { FetchOptions } from "./fetch-options.ts";
import { notInStore } from "./not-in-store.ts";
import { verifyOciImage } from "./verify-oci.ts";

/**
 * An image of a registry: what the reference meant before as far as the pull policy says so, else what it means now.
 * Layers that the store has are not downloaded. Commands that want the same reference at once wait for one of them.
 * Order: manifest, signature, configuration, layers. Returns the full key.
 */
export async function fetchDocker(reference: RegistryReference, options: FetchOptions): Promise<string> {
	const started = Date.now();
	const url = `docker://${formatRegistryReference(reference)}`;
	if (options.pullPolicy === "never") return storedCopy(url, options) ?? notInStore(`"${url}"`);
	const current = currentCopy(url, options, started);
	if (current !== undefined) return current;
	const slots = {
		directory: options.store.temporaryDirectory(),
		syscall: options.syscall,
		log: options.log,
	};
	const slot = await acquireSlot(url, slots);
	try {
		return currentCopy(url, options, started) ?? (await pull(url, reference, options));
	} finally {
		slot.discard();
	}
}

function storedCopy(url: string, { store, log }: FetchOptions): string | undefined {
	const remote = store.getRemote(url);
	if (!remote || !store.record(remote.key)) return undefined;
	log.info(`using image from local store for ${url}`);
	return remote.key;
}

/** A copy that was checked as strictly as is wanted now, and that the policy or another command just now makes current. */
function currentCopy(url: string, options: FetchOptions, started: number): string | undefined {
	const { store, insecure, pullPolicy, log } = options;
	const remote = store.getRemote(url);
	const record = remote && store.record(remote.key);
	if (!remote || !record || (record.insecure && !insecure.image)) return undefined;
	if (pullPolicy === "update" && remote.downloadTime < started) return undefined;
	if (!hasManifest(remote, options)) return undefined;
	log.info(`using image from local store for ${url}`);
	return remote.key;
}

/** An image whose manifest was damaged on the disk is fetched again, which repairs it. */
function hasManifest({ key }: RemoteRecord, { store }: FetchOptions): boolean {
	try {
		return store.manifestText(key) !== "";
	} catch (error) {
		if (isErrno(error, "image-damaged", "image-not-found")) return false;
		throw error;
	}
}

async function pull(url: string, reference: RegistryReference, options: FetchOptions): Promise<string> {
	const { store, config, insecure, log, syscall } = options;
	log.info(`remote fetching from "${url}"`);
	const registry = openRegistry(reference, { config, insecure, log });
	const chosen = await findRegistryManifest(registry, reference);
	if (!insecure.image) {
		const name = ociImageName({ reference, configDigest: chosen.manifest.config.digest });
		await verifyOciImage({ name, source: url, path: chosen.path, remote: { registry, reference } }, options);
	}
	const slots = { directory: store.temporaryDirectory(), syscall, log };
	const image = await openRegistryImage(registry, reference, chosen, slots);
	try {
		const latest = reference.tag === "latest";
		const label = `${reference.repository}:${reference.tag ?? reference.digest?.slice(0, 15)}`;
		const { key } = await importOciImage(image, { store, log, label, latest, insecure: insecure.image });
		crashPoint("fetch-imported");
		const top = chosen.path[0]?.digest ?? "";
		store.putRemote({ url, signatureUrl: "", etag: top, key, maxAge: 0, downloadTime: Date.now() });
		return key;
	} finally {
		await image.close();
	}
}
