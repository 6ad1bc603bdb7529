import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { fsyncPath, listDirectory, readTextIfExists, writeFileAtomic } from "../../lib/files.ts";
import type { StoreLayout } from "./layout.ts";

/** What is known of a URL that was fetched, `cas/remote/<hash of the URL>.json`. */
export interface RemoteRecord {
	readonly url: string;
	readonly signatureUrl: string;
	readonly etag: string;
	/** The image it gave. */
	readonly key: string;
	/** Seconds during which the server promises no change; 0 when it promises nothing. */
	readonly maxAge: number;
	/** When the server last said that this is its current content; milliseconds since 1970. */
	readonly downloadTime: number;
}

export function readRemote(layout: StoreLayout, url: string): RemoteRecord | undefined {
	const remote = parse(remoteFile(layout, url));
	return remote?.url === url ? remote : undefined;
}

export function writeRemote(layout: StoreLayout, remote: RemoteRecord): void {
	writeFileAtomic(remoteFile(layout, remote.url), `${JSON.stringify(remote)}\n`, 0o660);
}

/** Forgets every URL that gave this image. */
export function removeRemotesOf(layout: StoreLayout, key: string): void {
	const files = listDirectory(layout.remoteDirectory).map((name) => path.join(layout.remoteDirectory, name));
	const matching = files.filter((file) => parse(file)?.key === key);
	for (const file of matching) fs.rmSync(file, { force: true });
	if (matching.length > 0) fsyncPath(layout.remoteDirectory);
}

function remoteFile(layout: StoreLayout, url: string): string {
	return layout.remote(createHash("sha512").update(url).digest("hex"));
}

/** A damaged record is as good as none: the URL is fetched again. */
function parse(file: string): RemoteRecord | undefined {
	const text = readTextIfExists(file);
	if (text === undefined) return undefined;
	try {
		return JSON.parse(text) as RemoteRecord;
	} catch {
		return undefined;
	}
}
