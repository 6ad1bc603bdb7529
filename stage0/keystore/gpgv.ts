import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { isErrno, RktError } from "../../lib/errors.ts";
import { malformed } from "./gpgv-status.ts";
import { dearmor, readPackets, TAG_SIGNATURE } from "./openpgp-packets.ts";

export interface GpgvRequest {
	/** Binary key blocks, one after the other. */
	readonly keyring: Uint8Array;
	/** Armored or binary. */
	readonly signature: Uint8Array;
	/** What is signed, for messages. */
	readonly source: string;
	/** The signed bytes: an open descriptor at its start, or a stream. */
	readonly data: number | Readable;
}

const MAX_SIGNATURE_BYTES = 64 * 1024;
const MAX_SIGNATURES = 8;

/**
 * Runs gpgv with a keyring of its own and returns its status lines, which nothing but gpgv writes to.
 * Errors: `image-unsigned`, `signature-malformed`, `program-missing`.
 */
export async function runGpgv(request: GpgvRequest): Promise<{ status: string; exitCode: number }> {
	const signature = normalizeSignature(request.signature, request.source);
	const keyring = namelessFile(request.keyring);
	const signatureFile = namelessFile(signature);
	try {
		return await spawnGpgv(keyring, signatureFile, request.data);
	} finally {
		fs.closeSync(keyring);
		fs.closeSync(signatureFile);
	}
}

/** Open for reading and already removed, so that nothing stays behind when rkt is killed. */
function namelessFile(content: Uint8Array): number {
	const directory = fs.mkdtempSync(path.join(os.tmpdir(), "rkt-gpgv-"));
	try {
		const file = path.join(directory, "file");
		fs.writeFileSync(file, content, { mode: 0o600 });
		return fs.openSync(file, "r");
	} finally {
		fs.rmSync(directory, { recursive: true, force: true });
	}
}

/** Only signature packets get through, in binary: no inline or clear-signed message, no text around the armor. */
function normalizeSignature(data: Uint8Array, source: string): Uint8Array {
	if (data.length === 0) {
		throw new RktError("image-unsigned", `${source}: the signature is empty`, {
			hint: "fetch it again, or ask the publisher to sign the image",
		});
	}
	const binary = data.length > MAX_SIGNATURE_BYTES ? undefined : dearmor(data, "SIGNATURE", true);
	const packets = binary && readPackets(binary);
	const signatures = packets?.filter((packet) => packet.tag === TAG_SIGNATURE).length ?? 0;
	if (!binary || signatures === 0 || signatures > MAX_SIGNATURES || signatures !== packets?.length) {
		throw malformed(source);
	}
	return binary;
}

function spawnGpgv(
	keyring: number,
	signature: number,
	data: number | Readable,
): Promise<{ status: string; exitCode: number }> {
	const args = [
		"--homedir",
		"/nonexistent",
		"--status-fd",
		"3",
		"--keyring",
		"/proc/self/fd/4",
		"/proc/self/fd/5",
		"-",
	];
	const child = spawn("gpgv", args, {
		stdio: [typeof data === "number" ? data : "pipe", "ignore", "ignore", "pipe", keyring, signature],
		env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
	});
	let status = "";
	child.stdio[3]?.on("data", (chunk: Buffer) => {
		status += chunk.toString("latin1");
	});
	const ended = new Promise<{ status: string; exitCode: number }>((resolve, reject) => {
		child.once("error", (cause) => reject(missingProgram(cause)));
		child.once("close", (code) =>
			resolve({ status: Buffer.from(status, "latin1").toString(), exitCode: code ?? 1 }),
		);
	});
	if (typeof data === "number" || !child.stdin) return ended;
	return Promise.all([ended, feed(data, child.stdin)]).then(([result]) => result);
}

/** gpgv may stop reading early when the signature is of no use; its status says why. */
async function feed(data: Readable, stdin: NodeJS.WritableStream): Promise<void> {
	try {
		await pipeline(data, stdin);
	} catch (error) {
		if (!isErrno(error, "EPIPE", "ERR_STREAM_PREMATURE_CLOSE")) throw error;
	}
}

function missingProgram(cause: Error): RktError {
	return new RktError("program-missing", `cannot start gpgv: ${cause.message}`, {
		hint: "install the program gpgv (Debian package gpgv)",
		cause,
	});
}
