import { RktError } from "../../lib/errors.ts";

/** A discovery tag: images below `prefix` are found through `template`. */
export interface DiscoveryTag {
	readonly prefix: string;
	/** A URL, for images with `{name}` and the like in it. */
	readonly template: string;
}

export interface DiscoveryTags {
	readonly images: readonly DiscoveryTag[];
	readonly pubkeys: readonly DiscoveryTag[];
}

/** Largest discovery page that is read, in bytes of text. */
export const MAX_DISCOVERY_PAGE: number = 4 * 1024 * 1024;

/** Elements open at once. The parser's work grows with the square of this number. */
const MAX_DEPTH = 512;

/**
 * The `ac-discovery` and `ac-discovery-pubkeys` tags of a page (appc 0.8.11, Image Discovery), in their order,
 * wherever they stand in it; those without both parts are passed over. Errors: `discovery-page-too-large`.
 */
export async function readDiscoveryTags(
	page: AsyncIterable<Uint8Array | string> | string,
	source: string,
): Promise<DiscoveryTags> {
	const { Parser } = await import("htmlparser2");
	const lists = new Map<string, DiscoveryTag[]>([
		["ac-discovery", []],
		["ac-discovery-pubkeys", []],
	]);
	let depth = 0;
	const parser = new Parser({
		onopentag: (name, attributes) => {
			if (++depth > MAX_DEPTH) refusePage(source, `is nested deeper than ${MAX_DEPTH} elements`);
			if (name !== "meta") return;
			const tag = splitContent(attributes.content ?? "");
			if (tag) lists.get(attributes.name ?? "")?.push(tag);
		},
		onclosetag: () => {
			depth--;
		},
	});
	await feed(parser, typeof page === "string" ? [page] : page, source);
	return { images: lists.get("ac-discovery") ?? [], pubkeys: lists.get("ac-discovery-pubkeys") ?? [] };
}

interface TextParser {
	write(text: string): void;
	end(): void;
}

async function feed(
	parser: TextParser,
	page: AsyncIterable<Uint8Array | string> | Iterable<string>,
	source: string,
): Promise<void> {
	const decoder = new TextDecoder();
	let length = 0;
	for await (const chunk of page) {
		length += chunk.length;
		if (length > MAX_DISCOVERY_PAGE) refusePage(source, `is larger than ${MAX_DISCOVERY_PAGE} bytes`);
		parser.write(typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true }));
	}
	parser.end();
}

/** `PREFIX TEMPLATE`, divided at the first white space. */
function splitContent(content: string): DiscoveryTag | undefined {
	const match = /^(\S+)\s+(\S+)$/.exec(content.trim());
	return match?.[1] && match[2] ? { prefix: match[1], template: match[2] } : undefined;
}

function refusePage(source: string, problem: string): never {
	throw new RktError("discovery-page-too-large", `${source}: the discovery page ${problem}`, {
		hint: "the owner of the page must put the ac-discovery tags on a smaller one",
	});
}
