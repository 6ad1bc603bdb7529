import * as fs from "node:fs";
import { crashPoint } from "../../lib/crash-point.ts";
import { fail, isErrno } from "../../lib/errors.ts";
import type { Verification } from "../keystore/gpgv-status.ts";
import type { RemoteRecord } from "../store/remote-record.ts";
import { isFresh } from "./cache-control.ts";
import { canRender } from "./can-render.ts";
import { type Download, download } from "./download.ts";
import { acquireSlot, type DownloadSlot } from "./download-slot.ts";
import { checkName, checkSize, type Expectation } from "./expectation.ts";
import type { FetchOptions } from "./fetch-options.ts";
import { fetchSignature, logVerification, readSignature, signerOf } from "./fetch-signature.ts";
import { imageHttpSettings } from "./http-settings.ts";

export interface RemoteImage {
	readonly url: string;
	readonly signatureUrl: string;
	/** For the progress line. */
	readonly label: string;
	/** Discovered without a version. */
	readonly latest: boolean;
	readonly expectation: Expectation;
}

/**
 * The image at a URL: the copy in the store while that is current, else downloaded. Commands that want the same
 * URL at once wait for one download. Order: signature, its issuer, image, signature over the stored bytes, then the
 * archive, its name and labels. What another command got since `started` is current. Returns the full key.
 */
export async function fetchRemote(
	image: RemoteImage,
	options: FetchOptions,
	started: number = Date.now(),
): Promise<string> {
	const known = currentCopy(image, options, started);
	if (known) return known.key;
	const directory = options.store.temporaryDirectory();
	const slot = await acquireSlot(image.url, { directory, syscall: options.syscall, log: options.log });
	try {
		return currentCopy(image, options, started)?.key ?? (await downloadImage(image, options, slot));
	} finally {
		slot.discard();
	}
}

/** What the URL gave before, if the image is there and was checked as strictly as is wanted now. */
function usableCopy(image: RemoteImage, { store, insecure }: FetchOptions): RemoteRecord | undefined {
	const remote = store.getRemote(image.url);
	const record = remote && store.record(remote.key);
	if (!remote || !record || (record.insecure && !insecure.image)) return undefined;
	return hasManifest(store, remote.key) ? remote : undefined;
}

/** An image whose manifest was damaged on the disk is fetched again, which repairs it. */
function hasManifest(store: FetchOptions["store"], key: string): boolean {
	try {
		return store.manifestText(key) !== "";
	} catch (error) {
		if (isErrno(error, "image-damaged", "image-not-found")) return false;
		throw error;
	}
}

/** A copy that needs no question to the server: by policy, by its promise, or because another command just got it. */
function currentCopy(image: RemoteImage, options: FetchOptions, started: number): RemoteRecord | undefined {
	const remote = usableCopy(image, options);
	if (!remote) return undefined;
	const current = remote.downloadTime >= started || isFresh(remote, Date.now());
	if (options.pullPolicy === "update" && !current) return undefined;
	options.log.info(`using image from local store for url ${image.url}`);
	checkStored(image, remote.key, options);
	return remote;
}

function checkStored({ expectation, url }: RemoteImage, key: string, { store }: FetchOptions): void {
	const record = store.record(key);
	if (record) checkName(record, expectation.name, url);
	if (expectation.imageId === undefined || key.startsWith(expectation.imageId)) return;
	fail("image-id-mismatch", `${url}: the image ID is ${key}, expected ${expectation.imageId}`, {
		hint: "the image was changed since its ID was written down: ask its publisher",
	});
}

async function downloadImage(image: RemoteImage, options: FetchOptions, slot: DownloadSlot): Promise<string> {
	const { store, log } = options;
	const copy = options.signature === undefined ? usableCopy(image, options) : undefined;
	const signature = await earlySignature(image, options);
	log.info(`remote fetching from URL "${image.url}"`);
	const settings = imageHttpSettings(options, "image");
	const request = { url: image.url, label: image.label, etag: copy?.etag ?? "", settings };
	const result = await download(request, slot);
	if (copy && result.outcome === "unchanged") {
		store.putRemote({ ...copy, maxAge: result.maxAge, downloadTime: Date.now() });
		checkStored(image, copy.key, options);
		return copy.key;
	}
	try {
		return await verifyAndImport(image, options, { slot, result, signature });
	} catch (error) {
		if (!result.resumed) throw error;
		log.info("the resumed download is not the image, downloading all of it again");
		fs.ftruncateSync(slot.fd, 0);
		const whole = await download({ ...request, etag: "" }, slot);
		return verifyAndImport(image, options, { slot, result: whole, signature });
	}
}

/** The signature, whose issuer is known as far as the image's name is. */
async function earlySignature(
	image: RemoteImage,
	options: FetchOptions,
): Promise<Uint8Array | "later" | undefined> {
	if (options.insecure.image) return undefined;
	const given = options.signature;
	const signature =
		given === undefined ? await fetchSignature(image.signatureUrl, options) : readSignature(given);
	const name = image.expectation.name?.name;
	if (signature !== "later") await options.keystore.checkIssuer({ name, signature, source: image.url });
	return signature;
}

interface Downloaded {
	readonly slot: DownloadSlot;
	readonly result: Download;
	readonly signature: Uint8Array | "later" | undefined;
}

async function verifyAndImport(
	image: RemoteImage,
	options: FetchOptions,
	{ slot, result, signature }: Downloaded,
): Promise<string> {
	const { store, keystore, insecure } = options;
	const { expectation, url } = image;
	crashPoint("fetch-downloaded");
	const verification = signature && (await verify(image, options, slot, signature));
	if (verification) logVerification(options, verification);
	const record = await store.importAci(slot.file, {
		source: url,
		latest: image.latest,
		insecure: insecure.image,
		render: await canRender(options),
		expectedId: expectation.imageId,
		accept: ({ manifest, size }) => {
			checkName(manifest, expectation.name, url);
			checkSize([result.size, size], expectation.size, url);
			if (verification && !expectation.name) keystore.checkTrusted(verification, manifest.name, url);
			return verification && signerOf(verification);
		},
	});
	crashPoint("fetch-imported");
	store.putRemote({
		url,
		signatureUrl: image.signatureUrl,
		etag: result.etag,
		key: record.key,
		maxAge: result.maxAge,
		downloadTime: Date.now(),
	});
	return record.key;
}

async function verify(
	image: RemoteImage,
	options: FetchOptions,
	slot: DownloadSlot,
	early: Uint8Array | "later",
): Promise<Verification> {
	const signature = early === "later" ? await fetchSignature(image.signatureUrl, options) : early;
	if (signature === "later") {
		fail("signature-deferred", `${image.signatureUrl}: the server still has no signature for the image`, {
			hint: "try again later",
		});
	}
	const name = image.expectation.name?.name;
	return options.keystore.verifyDetached({ name, signature, source: image.url, data: slot.file });
}
