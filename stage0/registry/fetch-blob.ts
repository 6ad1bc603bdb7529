import * as fs from "node:fs";
import type { OciDescriptor } from "../../appc/oci/descriptor.ts";
import { crashPoint } from "../../lib/crash-point.ts";
import { fail, isErrno, messageOf } from "../../lib/errors.ts";
import type { Headers } from "../fetch/authorization.ts";
import { writeAt } from "../fetch/download.ts";
import type { DownloadSlot } from "../fetch/download-slot.ts";
import { networkError } from "../fetch/network-error.ts";
import type { Registry } from "./registry.ts";

/** A connection may break that often in one blob. */
const MAX_BREAKS = 8;
const BREAK_DELAY_MS = 500;
const READ_BYTES = 1024 * 1024;

export interface BlobDownload {
	readonly registry: Registry;
	readonly descriptor: Pick<OciDescriptor, "digest" | "size">;
	/** Where the bytes are kept until the blob is whole, so that a killed download can go on. */
	readonly slot?: DownloadSlot;
}

/**
 * The bytes of a blob as they come: what the slot has, then those of the registry. When the connection breaks, the rest
 * is asked for. Size and digest are left to the reader.
 * Errors: `download-truncated`, `registry-answer-invalid`, `disk-full`, those of {@link Registry}.
 */
export async function* fetchBlob({ registry, descriptor, slot }: BlobDownload): AsyncGenerator<Buffer> {
	let offset = 0;
	for (const chunk of slot ? readPart(slot, descriptor.size) : []) {
		offset += chunk.length;
		yield chunk;
	}
	for (let breaks = 0; offset < descriptor.size; ) {
		try {
			for await (const chunk of bytesFrom(registry, descriptor, offset)) {
				if (slot) {
					writeAt(slot, chunk, offset);
					crashPoint("fetch-downloading");
				}
				offset += chunk.length;
				yield chunk;
			}
			if (offset < descriptor.size) failTruncated(descriptor, offset);
		} catch (error) {
			if (!isBroken(error) || ++breaks > MAX_BREAKS) throw error;
			registry.waiting.tell(`${messageOf(error)}; going on after ${offset} bytes`);
			await registry.waiting.delay(BREAK_DELAY_MS * breaks);
		}
	}
}

/** True for what may be better at the next attempt. */
export function isBroken(error: unknown): boolean {
	return isErrno(error, "network-failed", "network-timeout", "download-truncated");
}

/** What an earlier download left of the blob. */
function* readPart(slot: DownloadSlot, size: number): Generator<Buffer> {
	const { size: there } = fs.fstatSync(slot.fd);
	if (there > size) fs.ftruncateSync(slot.fd, 0);
	for (let at = 0; there <= size && at < there; ) {
		const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, there - at));
		const count = fs.readSync(slot.fd, buffer, 0, buffer.length, at);
		if (count === 0) return;
		at += count;
		yield buffer.subarray(0, count);
	}
}

async function* bytesFrom(
	registry: Registry,
	{ digest, size }: Pick<OciDescriptor, "digest" | "size">,
	offset: number,
): AsyncGenerator<Buffer> {
	const range: Headers = offset === 0 ? {} : { Range: `bytes=${offset}-` };
	const response = await registry.withEndpoint(({ get }) => get(`blobs/${digest}`, range));
	let skip = offset;
	if (response.status === 206) {
		const [, start, total] =
			/^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers["content-range"] ?? "") ?? [];
		if (Number(start) !== offset || (total !== "*" && Number(total) !== size)) {
			response.body.destroy();
			fail(
				"registry-answer-invalid",
				`${response.url}: it sends another part of the blob than was asked for`,
			);
		}
		skip = 0;
	}
	try {
		for await (const chunk of response.body as AsyncIterable<Buffer>) {
			const skipped = Math.min(skip, chunk.length);
			skip -= skipped;
			if (skipped < chunk.length) yield skipped === 0 ? chunk : chunk.subarray(skipped);
		}
	} catch (error) {
		throw networkError(error, response.url);
	}
}

function failTruncated({ digest, size }: Pick<OciDescriptor, "digest" | "size">, offset: number): never {
	return fail("download-truncated", `${digest}: ${offset} bytes came, but ${size} were announced`, {
		hint: "check the network and the registry, and try again",
	});
}
