import { spawnSync } from "node:child_process";

/** Everything of a tree that matters as text: types, modes, owners, sizes, links, times, attributes, contents. */
export function listTree(directory: string): string {
	const script = `find . -printf '%P|%y|%m|%U|%G|%s|%l|%n|%T@\\n' | sed -E 's/^([^|]*\\|d\\|[^|]*\\|[^|]*\\|[^|]*)\\|[0-9]+\\|\\|[0-9]+/\\1/' | sort
		find . -type c -printf '%P ' -exec stat -c '%t:%T' {} \\;
		find . | sort | tr '\\n' '\\0' | xargs -0 getfattr -h -d -m '^(user|security.cap|system.posix)' 2>/dev/null
		find . -type f -exec sha256sum {} + | sort -k2`;
	const options = {
		cwd: directory,
		encoding: "utf8",
		maxBuffer: 1 << 28,
		env: { ...process.env, LC_ALL: "C" },
	} as const;
	return spawnSync("sh", ["-c", script], options).stdout;
}

/** Without the number of names of each file: overlayfs counts those that upper layers hide. */
export function withoutLinkCounts(listing: string): string {
	return listing.replace(/^([^|\n]*\|[^d](?:\|[^|\n]*){5})\|\d+(\|[\d.]+)$/gm, "$1$2");
}

/** Without time and attributes of the root, which an overlay has of its own. */
export function withoutRoot(listing: string): string {
	return listing.replace(/^\|d\|.*$/m, "").replace(/^# file: \.\n(?:.+\n)*\n/m, "");
}

/**
 * Without the times of directories that the other tree made after `since` (seconds since 1970): no layer describes
 * them, or something was put into them later.
 */
export function withoutNewTimes(listing: string, other: string, since: number): string {
	const made = new Set<string | undefined>();
	for (const [, name, time] of other.matchAll(/^(.*?)\|d\|.*\|([\d.]+)$/gm))
		if (Number(time) >= since) made.add(name);
	return listing.replace(/^(.*?)(\|d\|.*\|)[\d.]+$/gm, (line, name, more) =>
		made.has(name) ? name + more : line,
	);
}
