import * as fs from "node:fs";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { parseRegistryReference, type RegistryReference } from "../../appc/oci/reference.ts";
import { type ImageName, parseImageName } from "../../appc/types/image-name.ts";
import type { Label } from "../../appc/types/labels.ts";
import { fail } from "../../lib/errors.ts";

/** An IMAGE argument of the command line. `text` is what the user typed. */
export type ImageReference =
	| { readonly type: "hash"; readonly text: string; readonly prefix: string }
	| { readonly type: "name"; readonly text: string; readonly name: string; readonly labels: readonly Label[] }
	| { readonly type: "url"; readonly text: string; readonly url: string }
	| { readonly type: "file"; readonly text: string; readonly path: string }
	| { readonly type: "docker"; readonly text: string; readonly reference: RegistryReference }
	| OciFileReference;

/** OCI or docker images in files: a layout directory, the same in a tar archive, and what `docker save` writes. */
export interface OciFileReference {
	readonly type: "oci" | "oci-archive" | "docker-archive";
	readonly text: string;
	/** Absolute. */
	readonly path: string;
	/** Which image, when there are several: its tag or, in a docker-archive, its name. */
	readonly image: string | undefined;
}

const SCHEME = /^(https?|file|docker|docker-archive|oci|oci-archive|cimd):/i;

/**
 * Tells what an IMAGE argument means, in rkt's order: hash, URL scheme, path, name. Relative paths are taken from
 * the current directory. Errors: `image-reference-invalid`, `image-name-invalid`.
 */
export function parseImageReference(text: string): ImageReference {
	if (text.startsWith("sha512-")) return { type: "hash", text, prefix: text };
	const scheme = SCHEME.exec(text)?.[1]?.toLowerCase();
	switch (scheme) {
		case "http":
		case "https":
			return urlReference(text, text);
		case "file":
			return { type: "file", text, path: pathOfUrl(text) };
		case "docker":
			return registryImage(text, text.replace(/^docker:(?:\/\/)?/i, ""));
		case "oci":
		case "oci-archive":
		case "docker-archive":
			return ociFile(text, scheme);
		case "cimd":
			return distributionPoint(text);
		default:
			return looksLikePath(text)
				? { type: "file", text, path: path.resolve(text) }
				: nameReference(text, text);
	}
}

function looksLikePath(text: string): boolean {
	if (path.isAbsolute(text) || fs.statSync(text, { throwIfNoEntry: false })?.isFile()) return true;
	return !text.includes(":") && (text.includes("./") || text.endsWith(".aci"));
}

function nameReference(text: string, name: string): ImageReference {
	return { type: "name", text, ...parseImageName(name) } satisfies ImageReference & ImageName;
}

function urlReference(text: string, url: string): ImageReference {
	if (!URL.canParse(url)) refuse(text, "it is not a URL");
	if (!new URL(url).pathname.endsWith(".aci")) refuse(text, 'the path of the URL must end in ".aci"');
	return { type: "url", text, url };
}

function pathOfUrl(text: string): string {
	if (!text.toLowerCase().startsWith("file:///")) refuse(text, "a file URL is file:///PATH");
	if (!new URL(text).pathname.endsWith(".aci")) refuse(text, 'the path of the URL must end in ".aci"');
	return fileURLToPath(text);
}

function registryImage(text: string, name: string): ImageReference {
	const reference = parseRegistryReference(name);
	return typeof reference === "string" ? refuse(text, reference) : { type: "docker", text, reference };
}

/** `SCHEME:PATH[:IMAGE]`, as skopeo and podman write it: the path holds no colon. */
function ociFile(text: string, type: OciFileReference["type"]): ImageReference {
	const [, file = "", image] = /^[^:]*:([^:]*)(?::(.*))?$/s.exec(text) ?? [];
	if (file === "" || file.includes("\0")) refuse(text, `no path stands behind "${type}:"`);
	if (image === "") refuse(text, 'nothing stands behind the last ":"');
	return { type, text, path: path.resolve(file), image };
}

/** `cimd:TYPE:v=0:REST`, the form in which rkt writes down where an image came from. */
function distributionPoint(text: string): ImageReference {
	const [, type, version, rest = ""] = /^cimd:([a-z-]+):v=(\d+):(.*)$/is.exec(text) ?? [];
	if (type === undefined) refuse(text, "a distribution point is cimd:TYPE:v=0:REST");
	if (version !== "0") refuse(text, `version ${version} of distribution points is not known`);
	switch (type) {
		case "appc":
			return appcPoint(text, rest);
		case "aci-archive":
			return archivePoint(text, decodeURIComponent(rest));
		case "docker":
			return registryImage(text, rest);
		default:
			return refuse(text, `distribution points of type "${type}" are not known`);
	}
}

/** `NAME?LABEL=VALUE&…`, escaped as in the query of a URL. */
function appcPoint(text: string, rest: string): ImageReference {
	const [name = "", query = ""] = rest.split("?");
	const labels = [...new URLSearchParams(query)].map(([label, value]) => `,${label}=${value}`);
	return nameReference(text, decodeURIComponent(name) + labels.join(""));
}

function archivePoint(text: string, location: string): ImageReference {
	if (/^file:/i.test(location)) return { type: "file", text, path: pathOfUrl(location) };
	if (/^https?:/i.test(location)) return urlReference(text, location);
	return refuse(text, "an aci-archive is at a file, http or https URL");
}

function refuse(text: string, problem: string): never {
	return fail("image-reference-invalid", `"${text}" is not an image: ${problem}`, {
		hint: "give an image name, a path or URL that ends in .aci, an image ID (sha512-…), or docker://NAME",
	});
}
