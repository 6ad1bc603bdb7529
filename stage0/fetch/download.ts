import * as fs from "node:fs";
import { DEFAULT_ACI_LIMITS } from "../../appc/aci/limits.ts";
import { crashPoint } from "../../lib/crash-point.ts";
import { fail, isErrno, RktError } from "../../lib/errors.ts";
import { readTextIfExists } from "../../lib/files.ts";
import type { Headers } from "./authorization.ts";
import { maxAgeOf } from "./cache-control.ts";
import type { DownloadSlot } from "./download-slot.ts";
import { type HttpResponse, type HttpSettings, httpGet } from "./http-client.ts";
import { networkError } from "./network-error.ts";
import { createProgress } from "./progress.ts";

/** What is compressed is not larger than what comes out of it. */
const MAX_BYTES = DEFAULT_ACI_LIMITS.maxExpandedBytes;

export interface DownloadRequest {
	readonly url: string;
	/** For the progress line. */
	readonly label: string;
	/** Of the copy that is there, or "". */
	readonly etag: string;
	readonly settings: HttpSettings;
}

export interface Download {
	/** `unchanged` when the server says that the copy with the etag is current; else the file is in the slot. */
	readonly outcome: "complete" | "unchanged";
	readonly etag: string;
	/** Seconds. */
	readonly maxAge: number;
	/** Bytes in the file. */
	readonly size: number;
	/** The file was put together from the part of an earlier download and the rest. */
	readonly resumed: boolean;
}

/** What the server said of the file when its download began. */
interface DownloadState {
	readonly etag: string;
	readonly lastModified: string;
	/** Bytes; undefined when the server did not say. */
	readonly total: number | undefined;
}

/**
 * Downloads into a slot and goes on with the part that a killed download left, provided that the server still has the
 * same file: it is asked with If-Range, and its answer must fit byte for byte.
 * Errors: those of {@link httpGet}, `http-status`, `download-truncated`, `disk-full`.
 */
export async function download(request: DownloadRequest, slot: DownloadSlot): Promise<Download> {
	const partial = readPartial(slot);
	if (partial) {
		const resumed = await resume(request, slot, partial);
		if (resumed) return resumed;
	}
	return downloadWhole(request, slot);
}

interface Partial {
	readonly size: number;
	readonly state: DownloadState;
	/** A strong etag, or else the date of the last change. */
	readonly validator: string;
}

function readPartial(slot: DownloadSlot): Partial | undefined {
	const { size } = fs.fstatSync(slot.fd);
	const text = readTextIfExists(slot.stateFile);
	if (size === 0 || text === undefined) return undefined;
	try {
		const state = JSON.parse(text) as DownloadState;
		const validator = state.etag.startsWith('"') ? state.etag : state.lastModified;
		return validator ? { size, state, validator } : undefined;
	} catch {
		return undefined;
	}
}

async function resume(
	request: DownloadRequest,
	slot: DownloadSlot,
	partial: Partial,
): Promise<Download | undefined> {
	const headers: Headers = { Range: `bytes=${partial.size}-`, "If-Range": partial.validator };
	const response = await httpGet(request.url, headers, request.settings);
	if (response.status === 206 && fitsPartial(response, partial)) {
		return receive(request, slot, response, { offset: partial.size, total: partial.state.total });
	}
	if (response.status === 200) return receiveWhole(request, slot, response);
	response.body.destroy();
	return undefined;
}

/** The rest must begin where the part ends, of a file of the same size and the same etag. */
function fitsPartial(response: HttpResponse, { size, state }: Partial): boolean {
	const [, start, end, total] =
		/^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers["content-range"] ?? "") ?? [];
	if (Number(start) !== size || Number(end) + 1 !== Number(total)) return false;
	if (state.total !== undefined && state.total !== Number(total)) return false;
	return response.headers.etag === undefined || response.headers.etag === state.etag;
}

async function downloadWhole(request: DownloadRequest, slot: DownloadSlot): Promise<Download> {
	const headers: Headers = request.etag ? { "If-None-Match": request.etag } : {};
	const response = await httpGet(request.url, headers, request.settings);
	if (response.status === 304 && request.etag) {
		response.body.destroy();
		return { ...validity(response), etag: request.etag, outcome: "unchanged", size: 0, resumed: false };
	}
	if (response.status !== 200) {
		response.body.destroy();
		throw statusError(request.url, response.status);
	}
	return receiveWhole(request, slot, response);
}

/** A status that is no success, told in words. */
export function statusError(url: string, status: number): RktError {
	const meaning = { 401: " (unauthorized)", 403: " (forbidden)", 404: " (not found)" }[status] ?? "";
	const hint = status === 401 || status === 403 ? "configure credentials for this host in auth.d" : undefined;
	return new RktError("http-status", `${url}: the server answers ${status}${meaning}`, hint ? { hint } : {});
}

function receiveWhole(
	request: DownloadRequest,
	slot: DownloadSlot,
	response: HttpResponse,
): Promise<Download> {
	const length = response.headers["content-length"];
	const total = length === undefined ? undefined : Number(length);
	if (total !== undefined && total > MAX_BYTES) refuseSize(request.url, response);
	const { etag = "", "last-modified": lastModified = "" } = response.headers;
	fs.ftruncateSync(slot.fd, 0);
	fs.writeFileSync(slot.stateFile, JSON.stringify({ etag, lastModified, total } satisfies DownloadState));
	return receive(request, slot, response, { offset: 0, total });
}

async function receive(
	request: DownloadRequest,
	slot: DownloadSlot,
	response: HttpResponse,
	{ offset, total }: { offset: number; total: number | undefined },
): Promise<Download> {
	const progress = createProgress(request.label, total);
	let size = offset;
	try {
		for await (const chunk of response.body as AsyncIterable<Buffer>) {
			if (size > MAX_BYTES) refuseSize(request.url, response);
			writeAt(slot, chunk, size);
			size += chunk.length;
			crashPoint("fetch-downloading");
			progress.update(size);
		}
	} catch (error) {
		throw truncation(error, request.url, size);
	} finally {
		progress.finish();
	}
	if (!response.body.complete || (total !== undefined && size !== total)) {
		fail("download-truncated", `${request.url}: ${size} bytes came, but ${total ?? "more"} were announced`, {
			hint: "check the network and the server, and try again",
		});
	}
	return { ...validity(response), outcome: "complete", size, resumed: offset > 0 };
}

function refuseSize(url: string, response: HttpResponse): never {
	response.body.destroy();
	return fail("aci-too-large", `${url}: more than ${MAX_BYTES} bytes, no image is larger`, {
		hint: "check the address: this may not be an image",
	});
}

/** Errors: `disk-full`. */
export function writeAt(slot: DownloadSlot, chunk: Buffer, position: number): void {
	let written = 0;
	try {
		while (written < chunk.length) {
			written += fs.writeSync(slot.fd, chunk, written, chunk.length - written, position + written);
		}
	} catch (error) {
		if (!isErrno(error, "ENOSPC", "EDQUOT", "EFBIG")) throw error;
		fail("disk-full", `cannot write the download ${slot.file}: no space left`, {
			hint: "make room on the file system of the data directory, for example with rkt image gc",
			cause: error,
		});
	}
}

function truncation(error: unknown, url: string, size: number): unknown {
	if (!isErrno(error, "ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE", "HPE_INVALID_CHUNK_SIZE", "EPIPE")) {
		return networkError(error, url);
	}
	return new RktError("download-truncated", `${url}: the connection broke after ${size} bytes`, {
		hint: "check the network and the server, and try again",
		cause: error,
	});
}

function validity({ headers }: HttpResponse): Pick<Download, "etag" | "maxAge"> {
	return { etag: headers.etag ?? "", maxAge: maxAgeOf(headers["cache-control"]) };
}
