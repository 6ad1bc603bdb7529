import { cleanPath } from "../aci/path-rules.ts";
import { refuseAci } from "../aci/refuse.ts";
import { quote } from "../types/quote.ts";

/** What the name of a layer's entry says; paths are relative to the root, which is the empty path. */
export type LayerName =
	/** Something that the layer holds. */
	| { readonly kind: "entry"; readonly path: string }
	/** This path is gone from the layers below. */
	| { readonly kind: "whiteout"; readonly path: string }
	/** Everything in this directory is gone from the layers below. */
	| { readonly kind: "opaque"; readonly path: string }
	/** Book-keeping of a union file system that no layer needs. */
	| { readonly kind: "ignored" };

const PREFIX = ".wh.";
const META_PREFIX = ".wh..wh.";
const OPAQUE = ".wh..wh..opq";

/**
 * Reads a name as the image specification of the Open Container Initiative has it (layer.md, Whiteouts). A leading
 * slash or `./` means the root. Errors: `aci-invalid`.
 */
export function readLayerName(raw: string, what: string, source: string): LayerName {
	const path = cleanPath(raw.replace(/^\/+/, ""), what, source);
	if (!path.includes(PREFIX)) return { kind: "entry", path };
	const parts = path.split("/");
	const last = parts.pop() ?? "";
	const parent = parts.join("/");
	if (parts.some((part) => part.startsWith(META_PREFIX))) return { kind: "ignored" };
	const marker = parts.find((part) => part.startsWith(PREFIX));
	if (marker !== undefined) refuseAci(source, `${quote(path)} lies below the white-out ${quote(marker)}`);
	if (last === OPAQUE) return { kind: "opaque", path: parent };
	if (last.startsWith(META_PREFIX)) return { kind: "ignored" };
	if (!last.startsWith(PREFIX)) return { kind: "entry", path };
	const name = last.slice(PREFIX.length);
	if (name === "" || name === "." || name === "..")
		refuseAci(source, `${quote(path)} is a white-out of ${quote(name)}`);
	return { kind: "whiteout", path: parent === "" ? name : `${parent}/${name}` };
}
