/** What one image may cost its reader. */
export interface AciLimits {
	/** Bytes of the archive after decompression. */
	readonly maxExpandedBytes: number;
	/** Holes of sparse files together: they take time, but neither room in the archive nor on the disk. */
	readonly maxHoleBytes: number;
	/** Archive entries, counting directories that are only implied by paths below them. */
	readonly maxEntries: number;
	/** Bytes of all paths together: they are kept in memory to find duplicates. */
	readonly maxNameBytes: number;
	readonly maxManifestBytes: number;
	/** Expanded bytes for each compressed byte, looked at once an archive is larger than `ratioFloorBytes`. */
	readonly maxRatio: number;
	readonly ratioFloorBytes: number;
}

/**
 * Far above every real root file system: Debian's desktop has 300,000 files in 10 GiB. gzip cannot exceed a ratio
 * of 1032, and only on constant data; file systems lie between 2 and 10. Two GiB of zeros, as tests of storage and empty
 * disks have them, are still taken.
 */
export const DEFAULT_ACI_LIMITS: AciLimits = {
	maxExpandedBytes: 64 * 2 ** 30,
	maxHoleBytes: 16 * 2 ** 30,
	maxEntries: 500_000,
	maxNameBytes: 128 * 2 ** 20,
	maxManifestBytes: 4 * 2 ** 20,
	maxRatio: 200,
	ratioFloorBytes: 2 * 2 ** 30,
};
