/** The kinds of archive entry that an image may hold. */
export type EntryType =
	| "file"
	| "directory"
	| "symlink"
	| "hardlink"
	| "character-device"
	| "block-device"
	| "fifo";

/** A part of a sparse file that has data; what no range covers is a hole and reads as zeros. */
export interface DataRange {
	/** Bytes, as is the length. */
	readonly offset: number;
	readonly length: number;
}

/** One entry of an archive, as it is checked on reading and as it is written. */
export interface TarEntry {
	/** Relative path without `.` components and trailing slash: `manifest`, `rootfs`, `rootfs/etc/passwd`. Valid UTF-8. */
	readonly path: string;
	readonly type: EntryType;
	/** Permission bits with set-user-ID, set-group-ID and sticky: at most 0o7777. */
	readonly mode: number;
	readonly uid: number;
	readonly gid: number;
	/** Bytes of content; 0 for everything but files. */
	readonly size: number;
	/** Modification time in nanoseconds since 1970. */
	readonly mtimeNs: bigint;
	/** Text of a symlink, or the path of the entry that a hard link repeats. */
	readonly linkTarget?: string;
	/** Of a device. */
	readonly device?: { readonly major: number; readonly minor: number };
	/** Extended attributes by full name, such as `security.capability`. */
	readonly xattrs?: ReadonlyMap<string, Buffer>;
	/** Where a sparse file has data, in order. Its body has the zeros of the holes all the same. */
	readonly data?: readonly DataRange[];
}

/** The content of an entry in order, in chunks; to be read before the next entry comes. */
export type EntryBody = AsyncIterable<Buffer>;
