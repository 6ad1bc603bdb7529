/** The files that images are kept in, of a directory or an archive. Names are relative, with slashes. */
export interface ImageFiles {
	/** For messages. */
	readonly source: string;
	/** Bytes of a regular file; undefined when there is none of that name. */
	size(name: string): number | undefined;
	/** From the beginning. Error `oci-file-missing` when there is no such file. */
	open(name: string): AsyncIterable<Buffer>;
	close(): Promise<void>;
}
