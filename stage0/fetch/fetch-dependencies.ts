import { normalizeImageIDPrefix } from "../../appc/types/image-id.ts";
import { fail, isErrno } from "../../lib/errors.ts";
import type { RecordedDependency } from "../store/image-record.ts";
import { fetchByName } from "./fetch-image.ts";
import type { FetchOptions } from "./fetch-options.ts";

/** Of one image, itself included: more is no image that somebody made on purpose. */
const MAX_IMAGES = 256;

/**
 * Gets everything that an image depends on, level by level. A dependency that names an image ID must have exactly
 * that one. Images that can never be rendered are not kept when they were imported at `began` (milliseconds since
 * the epoch) or later. Errors: `dependency-cycle`, `dependency-limit`, and those of fetching by name.
 */
export async function fetchDependencies(topKey: string, options: FetchOptions, began: number): Promise<void> {
	const graph = new Map<string, string[]>();
	try {
		await fetchGraph(graph, topKey, options);
	} catch (error) {
		if (isErrno(error, "dependency-cycle", "dependency-limit")) removeNew([...graph.keys()], options, began);
		throw error;
	}
}

function removeNew(keys: readonly string[], { store }: FetchOptions, began: number): void {
	for (const key of keys) {
		const record = store.record(key);
		if (record && record.importTime >= began) store.remove(key);
	}
}

async function fetchGraph(
	graph: Map<string, string[]>,
	topKey: string,
	options: FetchOptions,
): Promise<void> {
	const queue = [topKey];
	for (let key = queue.shift(); key !== undefined; key = queue.shift()) {
		if (graph.has(key)) continue;
		if (graph.size >= MAX_IMAGES) {
			fail("dependency-limit", `image ${topKey} depends on more than ${MAX_IMAGES} images`);
		}
		const found: string[] = [];
		graph.set(key, found);
		for (const dependency of options.store.record(key)?.dependencies ?? []) {
			found.push(await fetchDependency(dependency, options));
		}
		queue.push(...found);
		refuseCycle(graph, topKey, options);
	}
}

async function fetchDependency(dependency: RecordedDependency, options: FetchOptions): Promise<string> {
	const { imageName, labels, imageID, size } = dependency;
	const wanted = imageID === undefined ? undefined : normalizeImageIDPrefix(imageID);
	const stored = wanted === undefined ? undefined : findById(wanted, options);
	if (stored !== undefined) return stored;
	return fetchByName(
		{ name: imageName, labels },
		{ imageId: wanted, size },
		{ ...options, signature: undefined },
	);
}

function findById(prefix: string, { store }: FetchOptions): string | undefined {
	try {
		return store.resolveKey(prefix);
	} catch (error) {
		if (isErrno(error, "image-not-found")) return undefined;
		throw error;
	}
}

/** Checked after each image, because a cycle would otherwise be fetched to its limit first. */
function refuseCycle(
	graph: ReadonlyMap<string, readonly string[]>,
	top: string,
	{ store }: FetchOptions,
): void {
	const done = new Set<string>();
	const visit = (key: string, path: readonly string[]): void => {
		if (path.includes(key)) {
			const names = [...path.slice(path.indexOf(key)), key].map(
				(member) => store.record(member)?.name ?? member,
			);
			fail("dependency-cycle", `images depend on each other in a circle: ${names.join(" -> ")}`, {
				hint: "one of these images must be made again without the dependency",
			});
		}
		if (done.has(key)) return;
		for (const child of graph.get(key) ?? []) visit(child, [...path, key]);
		done.add(key);
	};
	visit(top, []);
}
