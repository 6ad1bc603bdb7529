import t from "tap";
import type { TarEntry } from "../../appc/aci/entry.ts";
import { type FlatImage, flattenDependencies, type ResolvedImage } from "../../appc/dependencies.ts";
import { createFileChoice, takesEverything } from "../../appc/file-choice.ts";
import type { Dependency } from "../../appc/schema/image-manifest.ts";

interface Spec {
	readonly needs?: string[];
	readonly whitelist?: string[];
}

const idOf = (name: string): string => `sha512-${Buffer.from(name).toString("hex").padEnd(128, "0")}`;

function image(name: string, { needs = [], whitelist = [] }: Spec): ResolvedImage {
	const dependencies: Dependency[] = needs.map((imageName) => ({ imageName, labels: [] }));
	return {
		id: idOf(name),
		manifest: {
			acKind: "ImageManifest",
			acVersion: "0.8.11",
			name,
			labels: [],
			annotations: [],
			dependencies,
			pathWhitelist: whitelist,
		},
	};
}

function flatten(specs: Record<string, Spec>, root = "a"): FlatImage[] {
	return flattenDependencies(image(root, specs[root] ?? {}), ({ imageName }) =>
		image(imageName, specs[imageName] ?? {}),
	);
}

t.test("order: each image, then its dependencies, the last one first", (t) => {
	const order = (specs: Record<string, Spec>): string[] =>
		flatten(specs).map(({ manifest, level }) => `${manifest.name}${level}`);
	t.strictSame(order({ a: {} }), ["a0"]);
	t.strictSame(order({ a: { needs: ["b", "c"] }, c: { needs: ["d"] } }), ["a0", "c1", "d2", "b1"]);
	t.strictSame(order({ a: { needs: ["b", "c"] }, b: { needs: ["d"] }, c: { needs: ["d"] } }), [
		"a0",
		"c1",
		"d2",
		"b1",
		"d2",
	]);
	t.strictSame(
		flatten({ a: { needs: ["b", "c"] }, c: { needs: ["d"] } }).map(({ parent }) => parent),
		[undefined, 0, 1, 0],
	);
	t.end();
});

t.test("cycles, depth, number, identity", (t) => {
	t.throws(() => flatten({ a: { needs: ["a"] } }), { code: "dependency-cycle", message: /circle: a → a$/ });
	t.throws(() => flatten({ a: { needs: ["x", "b"] }, b: { needs: ["c"] }, c: { needs: ["b"] } }), {
		code: "dependency-cycle",
		message: /circle: b → c → b$/,
	});
	const chain = Object.fromEntries(
		Array.from({ length: 100 }, (_, i) => [i === 0 ? "a" : `n${i}`, { needs: [`n${i + 1}`] }]),
	);
	t.throws(() => flatten(chain), { code: "dependency-too-deep" });
	const wide = Object.fromEntries(
		["a", "b", "c", "d", "e"].map((name, i, all) => [name, { needs: Array(10).fill(all[i + 1] ?? "leaf") }]),
	);
	t.throws(() => flatten(wide), { code: "dependency-too-deep", message: /more than 1024/ });
	const withID = (imageID: string) => {
		const root = image("a", {});
		const dependencies = [{ imageName: "b", imageID, labels: [] }];
		return () =>
			flattenDependencies({ ...root, manifest: { ...root.manifest, dependencies } }, () => image("b", {}));
	};
	t.doesNotThrow(withID(idOf("b")));
	t.doesNotThrow(withID(idOf("b").slice(0, 20)));
	t.throws(withID(idOf("c")), {
		code: "dependency-id-mismatch",
		message: /a depends on b with image ID sha512-63/,
	});
	t.throws(
		() =>
			flattenDependencies(image("a", { needs: ["b"] }), () => {
				throw new Error("not in the store");
			}),
		{ message: "not in the store" },
	);
	t.end();
});

const entry = (path: string, type: TarEntry["type"] = "file", linkTarget?: string): TarEntry => ({
	path,
	type,
	mode: 0o644,
	uid: 0,
	gid: 0,
	size: 0,
	mtimeNs: 0n,
	...(linkTarget === undefined ? {} : { linkTarget }),
});
const directory = (path: string): TarEntry => entry(path, "directory");

/** What each image of a list writes, in the order of its archive. */
function chosen(specs: Record<string, Spec>, contents: Record<string, TarEntry[]>): Record<string, string[]> {
	const images = flatten(specs);
	const choice = createFileChoice(images);
	return Object.fromEntries(
		images.map(({ manifest }, index) => {
			const entries = contents[manifest.name] ?? [];
			const selection = choice.choose(index, entries);
			const written = entries.flatMap(({ path }) => selection.get(path) ?? []);
			return [
				`${index}${manifest.name}`,
				written.map(({ path, type, linkTarget }) =>
					type === "hardlink" ? `${path} = ${linkTarget}` : `${path}${type === "directory" ? "/" : ""}`,
				),
			];
		}),
	);
}

t.test("the first image that has a path supplies it", (t) => {
	t.strictSame(
		chosen(
			{ a: { needs: ["b"] } },
			{
				a: [
					directory("rootfs"),
					directory("rootfs/etc"),
					entry("rootfs/etc/x"),
					entry("rootfs/l", "symlink", "/"),
				],
				b: [
					directory("rootfs"),
					directory("rootfs/etc"),
					entry("rootfs/etc/x"),
					entry("rootfs/etc/y"),
					directory("rootfs/l"),
					entry("rootfs/l/below"),
					entry("rootfs/etc/x/deep"),
				],
			},
		),
		{ "0a": ["rootfs/", "rootfs/etc/", "rootfs/etc/x", "rootfs/l"], "1b": ["rootfs/etc/y"] },
	);
	t.strictSame(
		chosen(
			{ a: { needs: ["b"] } },
			{
				a: [entry("rootfs/usr/bin/x")],
				b: [directory("rootfs"), directory("rootfs/usr"), entry("rootfs/usr/bin", "symlink", "/bin")],
			},
		),
		{ "0a": ["rootfs/usr/bin/x"], "1b": ["rootfs/", "rootfs/usr/"] },
		"an implied directory gets its entry, but cannot become a symlink",
	);
	t.end();
});

t.test("white-lists: one's own spares directories, that of the branch does not", (t) => {
	const contents = [
		directory("rootfs"),
		directory("rootfs/d"),
		entry("rootfs/d/1"),
		entry("rootfs/d/2"),
		entry("rootfs/e"),
	];
	t.strictSame(chosen({ a: { whitelist: ["/d/1"] } }, { a: contents }), {
		"0a": ["rootfs/", "rootfs/d/", "rootfs/d/1"],
	});
	t.strictSame(chosen({ a: { whitelist: ["/d/./x/..//2"] } }, { a: contents })["0a"]?.at(-1), "rootfs/d/2");
	t.strictSame(chosen({ a: { needs: ["b"], whitelist: ["/d/1", "/e"] } }, { b: contents })["1b"], [
		"rootfs/d/1",
		"rootfs/e",
	]);
	t.strictSame(
		chosen(
			{ a: { needs: ["b", "x"], whitelist: ["/d/1", "/e"] }, b: { needs: ["c"], whitelist: ["/e"] } },
			{ c: contents, b: contents, x: contents },
		),
		{ "0a": [], "1x": ["rootfs/d/1", "rootfs/e"], "2b": [], "3c": [] },
		"what the sibling supplied is not supplied again",
	);
	t.strictSame(
		chosen({ a: { needs: ["b"], whitelist: ["/d/1", "/e"] }, b: { needs: ["c"] } }, { c: contents })["2c"],
		["rootfs/d/1", "rootfs/e"],
		"the nearest white-list above counts through an image without one",
	);
	t.end();
});

t.test("hard links never lead to something that is not written", (t) => {
	const links = [
		entry("rootfs/f"),
		entry("rootfs/g", "hardlink", "rootfs/f"),
		entry("rootfs/h", "hardlink", "rootfs/g"),
	];
	t.strictSame(chosen({ a: {} }, { a: links })["0a"], [
		"rootfs/f",
		"rootfs/g = rootfs/f",
		"rootfs/h = rootfs/f",
	]);
	t.strictSame(chosen({ a: { whitelist: ["/g", "/h"] } }, { a: links })["0a"], [
		"rootfs/g",
		"rootfs/h = rootfs/g",
	]);
	t.strictSame(chosen({ a: { whitelist: ["/h"] } }, { a: links })["0a"], ["rootfs/h"]);
	t.strictSame(
		chosen({ a: { needs: ["b"] } }, { a: [entry("rootfs/f")], b: links }),
		{ "0a": ["rootfs/f"], "1b": ["rootfs/g", "rootfs/h = rootfs/g"] },
		"a name that another image took is not linked to",
	);
	t.end();
});

t.test("one image without white-list needs no choice", (t) => {
	t.equal(takesEverything(flatten({ a: {} })), true);
	t.equal(takesEverything(flatten({ a: { whitelist: ["/x"] } })), false);
	t.equal(takesEverything(flatten({ a: { needs: ["b"] } })), false);
	t.end();
});
