import { ociImageName } from "../../appc/oci/convert.ts";
import { formatRegistryReference, type RegistryReference } from "../../appc/oci/reference.ts";
import { crashPoint } from "../../lib/crash-point.ts";
import { isErrno } from "../../lib/errors.ts";
import { importOciImage } from "../oci/import-image.ts";
import { fetchManifest } from "../registry/fetch-manifest.ts";
import { openRegistry } from "../registry/registry.ts";
import { choosePlatformManifest, openRegistryImage } from "../registry/registry-image.ts";
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

/** A copy that the policy or another command just now makes current. */
function currentCopy(url: string, options: FetchOptions, started: number): string | undefined {
	const remote = usableCopy(url, options);
	if (!remote || (options.pullPolicy === "update" && remote.downloadTime < started)) return undefined;
	options.log.info(`using image from local store for ${url}`);
	return remote.key;
}

/** What the reference gave before, if the image is there and was checked as strictly as is wanted now. */
function usableCopy(url: string, options: FetchOptions): RemoteRecord | undefined {
	const { store, insecure, signature } = options;
	const remote = store.getRemote(url);
	const record = remote && store.record(remote.key);
	if (!remote || !record || (record.insecure && !insecure.image) || signature !== undefined) return undefined;
	return hasManifest(remote, options) ? remote : undefined;
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
	log.info(`remote fetching from URL "${url}"`);
	const registry = openRegistry(reference, { config, insecure, log });
	const top = await fetchManifest(registry, reference.digest ?? reference.tag ?? "latest");
	const known = usableCopy(url, options);
	if (known?.etag === top.digest) {
		store.putRemote({ ...known, downloadTime: Date.now() });
		return known.key;
	}
	const chosen = await choosePlatformManifest(registry, reference, top);
	const name = ociImageName({ reference, configDigest: chosen.manifest.config.digest });
	const unverified = { name, source: url, path: chosen.path, remote: { registry, reference } };
	const signer = insecure.image ? undefined : await verifyOciImage(unverified, options);
	const slots = { directory: store.temporaryDirectory(), syscall, log };
	const image = await openRegistryImage(registry, reference, chosen, slots);
	try {
		const latest = reference.tag === "latest";
		const label = `${reference.repository}:${reference.tag ?? reference.digest?.slice(0, 15)}`;
		const how = { store, log, label, latest, insecure: insecure.image, signer };
		const { key } = await importOciImage(image, how);
		crashPoint("fetch-imported");
		store.putRemote({ url, signatureUrl: "", etag: top.digest, key, maxAge: 0, downloadTime: Date.now() });
		return key;
	} finally {
		await image.close();
	}
}
