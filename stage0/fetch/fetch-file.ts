import * as fs from "node:fs";
import { PassThrough, type Readable } from "node:stream";
import { fail, isErrno } from "../../lib/errors.ts";
import type { ImageRecord } from "../store/image-record.ts";
import { canRender } from "./can-render.ts";
import type { FetchOptions } from "./fetch-options.ts";
import { logVerification, readSignature, signerOf } from "./fetch-signature.ts";

const READ_BYTES = 1024 * 1024;

/**
 * Imports an image file. The bytes are read once and go to gpgv and to the import alike, so that nobody can change the
 * file between the two; the keys are chosen by the name in the manifest, which no trusted key's image can get wrong.
 * Returns the full key.
 */
export async function fetchFile(file: string, options: FetchOptions): Promise<string> {
	options.log.info(`using image from file ${file}`);
	if (!options.insecure.image) return (await importSigned(file, options)).key;
	const render = await canRender(options);
	return (await options.store.importAci(file, { source: file, insecure: true, render })).key;
}

async function importSigned(file: string, options: FetchOptions): Promise<ImageRecord> {
	const { keystore, store } = options;
	const input = openFile(file);
	let signature: Uint8Array;
	try {
		signature = readSignature(options.signature ?? `${file}.asc`);
	} catch (error) {
		input.destroy();
		throw error;
	}
	const [forVerifier, forImport] = readTwice(input);
	const verification = keystore.verifyDetached({
		name: undefined,
		signature,
		source: file,
		data: forVerifier,
	});
	verification.catch((error) => forImport.destroy(error));
	const imported = store.importAci(forImport, {
		source: file,
		accept: async ({ manifest }) => {
			const verified = await verification;
			keystore.checkTrusted(verified, manifest.name, file);
			logVerification(options, verified);
			return signerOf(verified);
		},
	});
	try {
		return await imported;
	} catch (error) {
		// What the signature says matters more than what is wrong with an archive that nobody vouches for.
		forImport.destroy();
		await verification;
		throw error;
	} finally {
		forVerifier.destroy();
	}
}

function openFile(file: string): Readable {
	try {
		// Without O_NONBLOCK, opening a FIFO would wait for a writer.
		const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
		if (!fs.fstatSync(fd).isFile()) {
			fs.closeSync(fd);
			fail("file-not-found", `${file} is not a regular file`);
		}
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
