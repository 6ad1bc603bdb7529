import type { Label } from "../../appc/types/labels.ts";

/** An image that the manifest of another one names. */
export interface RecordedDependency {
	readonly imageName: string;
	/** Full or shortened `sha512-…`. */
	readonly imageID?: string;
	readonly labels: readonly Label[];
	/** Of the uncompressed image, in bytes. */
	readonly size?: number;
}

/**
 * What the store knows of an image, `cas/imageinfo/<key>.json`. The image exists exactly when this file does.
 * `lastUsed` is the file's modification time, so that using an image is one system call.
 */
export interface ImageRecord {
	/** The image ID, `sha512-` and 128 hex digits. */
	readonly key: string;
	readonly name: string;
	readonly labels: readonly Label[];
	readonly dependencies: readonly RecordedDependency[];
	/** Milliseconds since 1970. */
	readonly importTime: number;
	/** Milliseconds since 1970. */
	readonly lastUsed: number;
	/** Found by discovery without a version, so it is what `latest` means. */
	readonly latest: boolean;
	/** Of the uncompressed archive, in bytes. */
	readonly size: number;
	/** Of the rendered tree, in bytes; 0 when it is not rendered. */
	readonly treeStoreSize: number;
	/** Imported without a signature check. */
	readonly insecure: boolean;
	/** What it was imported from, for people: a URL or path. */
	readonly source: string;
}

/** What is known of a URL that was fetched, `cas/remote/<hash of the URL>.json`. */
export interface RemoteRecord {
	readonly url: string;
	readonly signatureUrl: string;
	readonly etag: string;
	/** The image it gave. */
	readonly key: string;
	/** Seconds during which the server promises no change; 0 when it promises nothing. */
	readonly maxAge: number;
	/** Milliseconds since 1970. */
	readonly downloadTime: number;
}
