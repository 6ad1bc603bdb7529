import { posix } from "node:path";
import type { MountPoint } from "../schema/app.ts";
import { sanitizeACName } from "../types/ac-name.ts";

/** Each is a mount when the image runs. */
export const MAX_VOLUMES = 1024;

/**
 * The paths of `Volumes` as mount points, sorted by path so that one inside another comes after it. A name is made of
 * the path, with `-1`, `-2` … behind it where two paths would have the same. `refuse` is called with a path that none
 * can be mounted at.
 */
export function volumeMountPoints(paths: readonly string[], refuse: (path: string) => never): MountPoint[] {
	const cleaned = paths.map((path) => {
		const clean = posix.resolve("/", path);
		return clean === "/" || /\p{Cc}/u.test(clean) ? refuse(path) : clean;
	});
	const taken = new Set<string>();
	return [...new Set(cleaned)].sort().map((path) => {
		const name = freeName(sanitizeACName(`volume${path}`), taken);
		taken.add(name);
		return { name, path, readOnly: false };
	});
}

function freeName(wanted: string, taken: ReadonlySet<string>): string {
	let name = wanted;
	for (let number = 1; taken.has(name); number++) name = `${wanted}-${number}`;
	return name;
}
