import type { OciDescriptor } from "../../appc/oci/descriptor.ts";
import type { OciImageConfig } from "../../appc/oci/image-config.ts";

/** The parts of an image's name in a registry. */
export interface OciReference {
	/** Host, and port if the name has one. */
	readonly registry: string;
	readonly repository: string;
	readonly tag?: string | undefined;
	readonly digest?: string | undefined;
}

export interface OciLayer {
	readonly descriptor: OciDescriptor;
	/** `sha256:` and the SHA-256 of the uncompressed archive in hex. */
	readonly diffId: string;
}

/**
 * One image of one platform, wherever it lies. Manifest and configuration are read and have their digests; layers are
 * checked while they are read.
 */
export interface OciImage {
	/** For messages. */
	readonly source: string;
	/** Absent when the place does not name its images. */
	readonly reference: OciReference | undefined;
	/** `sha256:…` or `sha512:…` of the manifest's bytes. */
	readonly manifestDigest: string;
	readonly manifestText: string;
	readonly configDigest: string;
	readonly config: OciImageConfig;
	readonly configText: string;
	/** Bottom first, as many as the configuration has diff IDs. */
	readonly layers: readonly OciLayer[];
	/**
	 * The bytes of a layer as stored. Size and digest are checked: wrong ones end it with an error, at the latest after
	 * the last byte.
	 */
	openLayer(index: number): AsyncIterable<Buffer>;
	close(): Promise<void>;
}
