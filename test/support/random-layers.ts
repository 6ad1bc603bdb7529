import {
	directoryEntry,
	fileEntry,
	hardlinkEntry,
	type LayerEntry,
	opaqueEntry,
	symlinkEntry,
	whiteoutEntry,
} from "./oci-layer.ts";

/** A small generator of numbers, so that a failure can be repeated. */
export function createRandom(seed: number): (below: number) => number {
	let state = seed * 2654435761 + 1;
	return (below) => {
		state = (Math.imul(state, 1103515245) + 12345) >>> 0;
		return (state >>> 8) % below;
	};
}

/** A layer of few names, so that they meet those of other layers; nothing in it is refused by itself. */
export function randomLayer(random: (below: number) => number): LayerEntry[] {
	const names = "a b c a/x a/y b/x b/x/1 b/x/2 c/y c/y/1 a/x/1 a/x/2".split(" ");
	const entries: LayerEntry[] = [];
	const directories = new Set<string>();
	const others = new Set<string>();
	const parents = (name: string) =>
		name
			.split("/")
			.map((_, index, parts) => parts.slice(0, index).join("/"))
			.slice(1);
	const more = () => ({
		mode: [0o644, 0o755, 0o700, 0o4711][random(4)] as number,
		uid: random(3),
		gid: random(3),
		mtime: `${1_600_000_000 + random(1000)}`,
		...(random(3) === 0 && { xattrs: { "user.k": `v${random(9)}` } }),
	});
	for (let left = 1 + random(9); left > 0; left--) {
		const name = names[random(names.length)] as string;
		const kind = random(12);
		if (parents(name).some((parent) => others.has(parent))) continue;
		const target = [...others][random(9)];
		const isDirectory = (kind >= 3 && kind < 6) || kind === 8;
		if (isDirectory ? others.has(name) : kind !== 7 && directories.has(name)) continue;
		if (kind < 3) entries.push(fileEntry(name, `content ${random(100)}`, more()));
		else if (kind < 6) entries.push(directoryEntry(name, more()));
		else if (kind === 6) entries.push(symlinkEntry(name, "a"));
		else if (kind === 7) entries.push(whiteoutEntry(name));
		else if (kind === 8) entries.push(opaqueEntry(name));
		else if (target !== undefined && target !== name) entries.push(hardlinkEntry(name, target));
		else continue;
		for (const parent of parents(name)) directories.add(parent);
		if (kind !== 7) (isDirectory ? directories : others).add(name);
	}
	if (random(4) === 0) entries.unshift(directoryEntry(".", { ...more(), mode: 0o755 }));
	// What umoci makes of a white-out depends on what it has met before.
	const isMarker = ({ path: name }: LayerEntry): boolean => name.includes(".wh.");
	return [...entries.filter(isMarker), ...entries.filter((entry) => !isMarker(entry))];
}
