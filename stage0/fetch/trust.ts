import * as fs from "node:fs";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { fail, isErrno } from "../../lib/errors.ts";
import { parseCosignKey } from "../keystore/cosign-keys.ts";
import { checkPrefix } from "../keystore/keystore.ts";
import { parseKey } from "../keystore/parse-key.ts";
import { discoverKeys } from "./discover.ts";
import { statusError } from "./download.ts";
import type { FetchOptions } from "./fetch-options.ts";
import { httpGet, readBody } from "./http-client.ts";
import { imageHttpSettings } from "./http-settings.ts";
import { describeCosignKey, reviewDescription, reviewKey } from "./review-key.ts";

export interface TrustRequest {
	/** Image name prefix; undefined for root keys. */
	readonly prefix: string | undefined;
	/** Files or URLs; none to discover keys at the prefix. */
	readonly locations: readonly string[];
	/** `--insecure-allow-http`. */
	readonly allowHttp: boolean;
	/** `--skip-fingerprint-review`. */
	readonly skipReview: boolean;
	/** `--cosign`: keys of cosign, not of OpenPGP. */
	readonly cosign?: boolean;
}

export type TrustOptions = Pick<
	FetchOptions,
	"keystore" | "config" | "insecure" | "log" | "trustKeysFromHttps"
>;

const MAX_KEY_BYTES = 1024 * 1024;
const KEY_TIMEOUT_MS = 120_000;
const CONNECT_TIMEOUT_MS = 30_000;

/**
 * `rkt trust`: gets keys, has them reviewed on the terminal and stores them. Returns the written files; keys that
 * the user did not want are left out. Errors: `trust-prefix-invalid`, `discovery-failed`, `key-malformed`,
 * `key-not-found`, `key-over-http`, `key-review-impossible`, `keystore-unusable`, and those of the network.
 */
export async function addTrust(request: TrustRequest, options: TrustOptions): Promise<string[]> {
	if (request.prefix !== undefined) checkPrefix(request.prefix);
	const written: string[] = [];
	for (const location of await keyLocations(request, options)) {
		const file = await addKey(location, request, options);
		if (file !== undefined) written.push(file);
	}
	return written;
}

async function keyLocations(request: TrustRequest, options: TrustOptions): Promise<readonly string[]> {
	if (request.locations.length > 0 || request.prefix === undefined) return request.locations;
	const settings = imageHttpSettings(options, "page");
	return discoverKeys(request.prefix, { settings, log: options.log });
}

async function addKey(
	location: string,
	request: TrustRequest,
	options: TrustOptions,
): Promise<string | undefined> {
	const { log, keystore } = options;
	const data = await readKey(location, request, options);
	const trusted = request.skipReview || (options.trustKeysFromHttps && /^https:/i.test(location));
	if (!review(data, location, request, !trusted)) return undefined;
	const how = trusted ? "without fingerprint review" : "after fingerprint review";
	const purpose = request.prefix === undefined ? "as root key" : `for prefix "${request.prefix}"`;
	log.info(`Trusting "${location}" ${purpose} ${how}.`);
	const added = { data, prefix: request.prefix, source: location };
	const file = request.cosign ? keystore.addCosignKey(added) : keystore.addKey(added);
	log.info(
		request.prefix === undefined ? `Added root key at "${file}"` : `Added key ${purpose} at "${file}"`,
	);
	return file;
}

function review(data: Uint8Array, location: string, { prefix, cosign }: TrustRequest, ask: boolean): boolean {
	if (!cosign) return reviewKey(parseKey(data, location), { location, prefix, ask });
	return reviewDescription(describeCosignKey(parseCosignKey(data, location), { location, prefix }), ask);
}

function readKey(
	location: string,
	request: TrustRequest,
	options: TrustOptions,
): Promise<Uint8Array> | Uint8Array {
	if (/^https?:/i.test(location)) return downloadKey(location, request, options);
	return readKeyFile(/^file:/i.test(location) ? fileURLToPath(location) : path.resolve(location));
}

function readKeyFile(file: string): Uint8Array {
	try {
		if (fs.statSync(file).size > MAX_KEY_BYTES) fail("key-malformed", `${file} is too large for a key`);
		return fs.readFileSync(file);
	} catch (error) {
		if (!isErrno(error, "ENOENT", "ENOTDIR", "EACCES", "EISDIR")) throw error;
		return fail("key-not-found", `cannot read the key file ${file}`, { cause: error });
	}
}

/** No credentials are sent for keys, and the whole download has a time limit. */
async function downloadKey(
	url: string,
	{ allowHttp }: TrustRequest,
	options: TrustOptions,
): Promise<Uint8Array> {
	if (/^http:/i.test(url) && !allowHttp) {
		fail("key-over-http", `${url}: keys are not fetched over plain http`, {
			hint: "use an https URL or a file; --insecure-allow-http of rkt trust lifts the rule",
		});
	}
	const response = await httpGet(
		url,
		{},
		{ allowHttp, allowUntrustedTls: options.insecure.tls, connectTimeoutMs: CONNECT_TIMEOUT_MS },
	);
	if (response.status !== 200) {
		response.body.destroy();
		throw statusError(url, response.status);
	}
	const timer = setTimeout(() => response.body.destroy(new Error("the key took too long")), KEY_TIMEOUT_MS);
	try {
		return await readBody(response, MAX_KEY_BYTES);
	} finally {
		clearTimeout(timer);
	}
}
