import * as fs from "node:fs";

/** First path of each file that has several names, by device and inode. */
export type FirstNames = Map<string, string>;

/** Extended attributes by name, in base64. */
export type DescribedXattrs = readonly { readonly Name: string; readonly Value: string }[];

export interface DescribedEntry {
	/** Where it is. */
	readonly file: string;
	/** What it is called in the description. */
	readonly name: string;
	readonly stats: fs.Stats;
	/** The name under which the same file was met before. */
	readonly link: string | undefined;
	readonly xattrs: DescribedXattrs;
}

/** The name under which the same file was met before. */
export function firstName(names: FirstNames, name: string, stats: fs.Stats): string | undefined {
	const inode = `${stats.dev}:${stats.ino}`;
	const known = names.get(inode);
	if (known === undefined) names.set(inode, name);
	return known;
}

/** The metadata of an entry of a tree, as in rkt's hash of a tree (image.md §9). The order of the members counts. */
export function describeEntry({ file, name, stats, link, xattrs }: DescribedEntry) {
	const device = stats.isCharacterDevice() || stats.isBlockDevice() ? stats.rdev : 0;
	return {
		Name: name,
		Mode: stats.mode & 0o7777,
		UID: stats.uid,
		GID: stats.gid,
		Size: stats.isFile() && link === undefined ? stats.size : 0,
		Typeflag: link === undefined ? typeFlag(stats) : "1",
		Linkname: link ?? (stats.isSymbolicLink() ? fs.readlinkSync(file) : ""),
		Devmajor: (device >> 8) & 0xfff,
		Devminor: (device & 0xff) | ((device >> 12) & 0xfff00),
		Xattrs: xattrs,
	};
}

/** As in tar headers. */
function typeFlag(stats: fs.Stats): string {
	if (stats.isDirectory()) return "5";
	if (stats.isSymbolicLink()) return "2";
	if (stats.isCharacterDevice()) return "3";
	if (stats.isBlockDevice()) return "4";
	return stats.isFIFO() ? "6" : "0";
}

/** Those that are wanted, sorted by name. */
export function describeXattrs(
	xattrs: ReadonlyMap<string, Buffer>,
	isWanted: (name: string) => boolean,
): DescribedXattrs {
	const wanted = [...xattrs].filter(([name]) => isWanted(name)).sort(([a], [b]) => (a < b ? -1 : 1));
	return wanted.map(([name, value]) => ({ Name: name, Value: value.toString("base64") }));
}
