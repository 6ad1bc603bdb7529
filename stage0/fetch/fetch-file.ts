import * as fs from "node:fs";
import { PassThrough, type Readable } from "node:stream";
import { fail, isErrno } from "../../lib/errors.ts";
import type { ImageRecord } from "../store/image-record.ts";
import type { FetchOptions } from "./fetch-options.ts";
import { logVerification, readSignature } from "./fetch-signature.ts";

const READ_BYTES = 1024 * 1024;

/**
 * Imports an image file. The bytes are read once and go to gpgv and to the import alike, so that nobody can change the
 * file between the two; the keys are chosen by the name in the manifest, which no trusted key's image can get wrong.
 * Returns the full key.
 */
export async function fetchFile(file: string, options: FetchOptions): Promise<string> {
	options.log.info(`using image from file ${file}`);
	if (options.insecure.image)
		return (await options.store.importAci(file, { source: file, insecure: true })).key;
	const signature = readSignature(options.signature ?? `${file}.asc`);
	return (await importSigned(file, signature, options)).key;
}

async function importSigned(
	file: string,
	signature: Uint8Array,
	options: FetchOptions,
): Promise<ImageRecord> {
	const { keystore, store } = options;
	const [forVerifier, forImport] = readTwice(openFile(file));
	const verification = keystore.verifyDetached({
		name: undefined,
		signature,
		source: file,
		data: forVerifier,
	});
	verification.catch((error) => forImport.destroy(error));
	try {
		return await store.importAci(forImport, {
			source: file,
			accept: async ({ manifest }) => {
				const verified = await verification;
				keystore.checkTrusted(verified, manifest.name, file);
				logVerification(options, verified);
			},
		});
	} finally {
		forVerifier.destroy();
		forImport.destroy();
		await verification.catch(() => {});
	}
}

function openFile(file: string): Readable {
	try {
		const fd = fs.openSync(file, "r");
		return fs.createReadStream(file, { fd, highWaterMark: READ_BYTES });
	} catch (error) {
		if (!isErrno(error, "ENOENT", "ENOTDIR", "EACCES")) throw error;
		return fail("file-not-found", `cannot open the image file ${file}`, { cause: error });
	}
}

/** Both see every byte; the slower one sets the pace, and one that ends early does not stop the other. */
function readTwice(source: Readable): [PassThrough, PassThrough] {
	const copies: [PassThrough, PassThrough] = [
		new PassThrough({ highWaterMark: READ_BYTES }),
		new PassThrough({ highWaterMark: READ_BYTES }),
	];
	for (const copy of copies) {
		source.pipe(copy);
		copy.on("error", () => {});
	}
	source.on("error", (error) => {
		for (const copy of copies) copy.destroy(error);
	});
	Promise.all(copies.map((copy) => new Promise((resolve) => copy.once("close", resolve)))).then(() =>
		source.destroy(),
	);
	return copies;
}
