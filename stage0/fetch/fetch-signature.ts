import { fail, isErrno } from "../../lib/errors.ts";
import { readBytesUpTo } from "../../lib/files.ts";
import type { Verification } from "../keystore/gpgv-status.ts";
import { statusError } from "./download.ts";
import type { FetchOptions } from "./fetch-options.ts";
import { httpGet, readBody } from "./http-client.ts";
import { imageHttpSettings } from "./http-settings.ts";

const MAX_SIGNATURE_BYTES = 1024 * 1024;

/** `later` when the server says that the signature is still being made (status 202). */
export async function fetchSignature(url: string, options: FetchOptions): Promise<Uint8Array | "later"> {
	options.log.info(`downloading signature from ${url}`);
	const response = await httpGet(url, {}, imageHttpSettings(options, "image"));
	if (response.status === 200) return readBody(response, MAX_SIGNATURE_BYTES);
	response.body.destroy();
	if (response.status === 202) return "later";
	if (response.status === 404 || response.status === 410)
		return failUnsigned(`there is no signature at ${url}`);
	throw statusError(url, response.status);
}

/** The signature of a local file. Error `image-unsigned`. */
export function readSignature(file: string): Uint8Array {
	let signature: Uint8Array | undefined;
	try {
		signature = readBytesUpTo(file, MAX_SIGNATURE_BYTES);
	} catch (error) {
		if (!isErrno(error, "ENOENT", "ENOTDIR", "EACCES", "EISDIR")) throw error;
		return failUnsigned(`cannot read the signature ${file}`, error);
	}
	return signature ?? fail("signature-malformed", `${file} is too large for a signature`);
}

function failUnsigned(message: string, cause?: unknown): never {
	fail("image-unsigned", `the image is not signed: ${message}`, {
		hint: "give its signature with --signature=FILE, or accept any image with --insecure-options=image",
		cause,
	});
}

/** The lines that tell who signed. */
export function logVerification({ log }: FetchOptions, { identities }: Verification): void {
	log.info("signature verified:");
	for (const identity of identities) log.info(`  ${identity}`);
}

/** Who signed, for the record of the image. */
export function signerOf({ fingerprint }: Verification): string {
	return `openpgp:${fingerprint}`;
}

/** `X.aci` has its signature at `X.aci.asc`; the query of a URL stays behind. */
export function signatureUrlOf(url: string): string {
	const parsed = new URL(url);
	parsed.pathname = `${parsed.pathname}.asc`;
	return parsed.href;
}
