import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import * as fs from "node:fs";
import { fail, isErrno } from "../../lib/errors.ts";
import { replaceFile } from "../../lib/files.ts";
import { signingKeyPath } from "./paths.ts";

/** Signs for pods: HMAC-SHA512 over the 16 bytes of the UUID and then the content (rkt's form). */
export interface SigningKey {
	/** 64 bytes. */
	sign(uuid: string, content: Uint8Array): Buffer;
	/** In constant time. */
	verify(uuid: string, content: Uint8Array, signature: Uint8Array): boolean;
}

const KEY_BYTES = 64;

/** The key of an earlier service, or a new one. Errors: `metadata-state-damaged`. */
export function openSigningKey(state: string): SigningKey {
	const file = signingKeyPath(state);
	const key = readKey(file) ?? makeKey(file);
	const sign = (uuid: string, content: Uint8Array): Buffer =>
		createHmac("sha512", key)
			.update(Buffer.from(uuid.replaceAll("-", ""), "hex"))
			.update(content)
			.digest();
	return {
		sign,
		verify: (uuid, content, signature) => {
			const expected = sign(uuid, content);
			return signature.length === expected.length && timingSafeEqual(signature, expected);
		},
	};
}

function readKey(file: string): Buffer | undefined {
	try {
		const key = fs.readFileSync(file);
		if (key.length === KEY_BYTES) return key;
	} catch (error) {
		if (isErrno(error, "ENOENT")) return undefined;
		throw error;
	}
	return fail("metadata-state-damaged", `${file} is no key of ${KEY_BYTES} bytes`, {
		hint: `remove it: rm ${file}; signatures made so far are void then`,
	});
}

function makeKey(file: string): Buffer {
	const key = randomBytes(KEY_BYTES);
	replaceFile(file, key, 0o600);
	return key;
}
