import type { ImageName } from "../types/image-name.ts";
import type { DiscoveryTag } from "./meta-tags.ts";

/** Where an image and its detached signature are. */
export interface ImageEndpoint {
	readonly image: string;
	readonly signature: string;
}

/**
 * The pages to ask for discovery tags, nearest first: for `a.com/b/c` those of `a.com/b/c`, `a.com/b` and `a.com`,
 * with `?ac-discovery=1`.
 */
export function discoveryURLs(name: string, scheme: "https" | "http" = "https"): string[] {
	const parts = name.split("/");
	return parts.map(
		(_, index) => `${scheme}://${parts.slice(0, parts.length - index).join("/")}?ac-discovery=1`,
	);
}

/** Whether `name` is `prefix` or below it; only whole path components count, so that example.com/foo is not a prefix of example.com/foobar. */
export function hasNamePrefix(name: string, prefix: string): boolean {
	const clean = prefix.replace(/\/+$/, "");
	return clean !== "" && (name === clean || name.startsWith(`${clean}/`));
}

/**
 * Renders the templates that apply to an image, in order; those that need a label which is not given are left out.
 * A missing `version` is `latest` here and nowhere else.
 */
export function imageEndpoints(tags: readonly DiscoveryTag[], { name, labels }: ImageName): ImageEndpoint[] {
	const values = new Map(labels.map((label) => [label.name, label.value]));
	values.set("name", name);
	if (!values.has("version")) values.set("version", "latest");
	return tags
		.filter((tag) => hasNamePrefix(name, tag.prefix))
		.flatMap((tag) => {
			const image = renderTemplate(tag.template, new Map([...values, ["ext", "aci"]]));
			const signature = renderTemplate(tag.template, new Map([...values, ["ext", "aci.asc"]]));
			return image === undefined || signature === undefined ? [] : [{ image, signature }];
		});
}

/** The URLs of the keys for an image name or a prefix of names. */
export function pubkeyEndpoints(tags: readonly DiscoveryTag[], name: string): string[] {
	return tags
		.filter((tag) => hasNamePrefix(name, tag.prefix))
		.map((tag) => webURL(tag.template))
		.filter((url) => url !== undefined);
}

/**
 * A URL with every `{…}` replaced; undefined when a value is missing or the result is no http(s) URL. Characters
 * that would end a path or begin another part of the URL are escaped in values, all others are literal.
 */
function renderTemplate(template: string, values: ReadonlyMap<string, string>): string | undefined {
	let complete = true;
	const url = template.replace(/\{([^{}]*)\}/g, (whole, variable: string) => {
		const value = values.get(variable);
		if (value === undefined) complete = false;
		return value === undefined ? whole : escapeValue(value);
	});
	return complete && !/[{}]/.test(url) ? webURL(url) : undefined;
}

function escapeValue(value: string): string {
	return value.replace(/[^A-Za-z0-9\-._~/:!$&'()*+,;=]/gu, encodeURIComponent);
}

function webURL(text: string): string | undefined {
	if (!/^https?:\/\/[^/@?#]+(?:[/?#]|$)/i.test(text) || /[\s\p{Cc}\\]/u.test(text)) return undefined;
	return URL.canParse(text) ? text : undefined;
}
