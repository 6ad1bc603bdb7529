import * as fs from "node:fs";
import * as path from "node:path";
import { readTextIfExists } from "../../lib/files.ts";

/** A path has at most as many links, path_resolution(7). */
const MOST_LINKS = 40;

/** Their members may change what is in the directories of rkt, docs/security.md. */
const TRUSTED_GROUPS = ["root", "rkt-admin"];

/**
 * The first part of an absolute path that others than root could exchange, by its own mode or because a link leads
 * there; undefined when only root decides what is found under the path.
 */
export function exchangeablePart(target: string): string | undefined {
	const groups = trustedGroups();
	const pending = parts(target);
	let current = "/";
	for (let links = 0; ; ) {
		const stat = fs.lstatSync(current, { throwIfNoEntry: false });
		if (stat === undefined) return undefined;
		if (stat.isSymbolicLink()) {
			if (stat.uid !== 0 || ++links > MOST_LINKS) return current;
			const goal = path.resolve(path.dirname(current), fs.readlinkSync(current));
			pending.unshift(...parts(goal));
			current = "/";
			continue;
		}
		if (stat.uid !== 0 || isOpen(stat, groups)) return current;
		const next = pending.shift();
		if (next === undefined) return undefined;
		current = path.join(current, next);
	}
}

function parts(target: string): string[] {
	return path
		.resolve(target)
		.split("/")
		.filter((part) => part !== "");
}

/** In a sticky directory such as /tmp, nobody exchanges what is root's. */
function isOpen({ mode, gid }: fs.Stats, groups: ReadonlySet<number>): boolean {
	if ((mode & 0o1000) !== 0) return false;
	return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && !groups.has(gid));
}

function trustedGroups(): Set<number> {
	const lines = (readTextIfExists("/etc/group") ?? "").split("\n").map((line) => line.split(":"));
	return new Set([
		0,
		...lines.filter(([name = ""]) => TRUSTED_GROUPS.includes(name)).map((line) => Number(line[2])),
	]);
}
