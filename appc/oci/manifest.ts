import * as z from "zod/mini";
import { fail } from "../../lib/errors.ts";
import { parseJson } from "../../lib/json.ts";
import { checkSchema, type SchemaRefusal } from "../schema/read-schema.ts";
import { once, plainText } from "../schema/schema-kit.ts";
import { quote } from "../types/quote.ts";
import { mediaType, ociAnnotations, ociDescriptor } from "./descriptor.ts";
import { isIndexType, isManifestType, isSchema1Type } from "./media-types.ts";

/** No registry stores larger ones (OCI distribution specification 1.1, Pushing Manifests). */
export const MAX_OCI_MANIFEST_BYTES = 4 * 1024 * 1024;

const manifestSchema = once(() =>
	z.object({
		schemaVersion: z.literal(2),
		mediaType: z.optional(mediaType()),
		artifactType: z.optional(plainText()),
		config: ociDescriptor(),
		/** Bottom first. */
		layers: z.array(ociDescriptor()),
		subject: z.optional(ociDescriptor()),
		annotations: z.optional(ociAnnotations()),
	}),
);

const indexSchema = once(() =>
	z.object({
		schemaVersion: z.literal(2),
		mediaType: z.optional(mediaType()),
		artifactType: z.optional(plainText()),
		manifests: z.array(ociDescriptor()),
		annotations: z.optional(ociAnnotations()),
	}),
);

/** One image: an OCI image manifest, or docker's image manifest version 2, schema 2, which has the same members. */
export type OciManifest = z.infer<ReturnType<typeof manifestSchema>>;
/** A choice of images by platform: an OCI image index, or docker's manifest list. */
export type OciIndex = z.infer<ReturnType<typeof indexSchema>>;

export type OciDocument =
	| { readonly type: "manifest"; readonly manifest: OciManifest }
	| { readonly type: "index"; readonly index: OciIndex };

export const OCI_REFUSAL: SchemaRefusal = {
	code: "oci-invalid",
	hint: "the image has to be made anew: this document breaks the OCI image specification",
};

/**
 * Reads a manifest or an index. `announced` is the media type with which the document was delivered, if it was: that,
 * the document's own `mediaType` and its members must say the same, so that no two readers see different images in it.
 * Errors: `json-invalid`, `oci-invalid`, `oci-type-ambiguous`, `oci-schema1`.
 */
export function parseOciDocument(bytes: Uint8Array, source: string, announced = ""): OciDocument {
	const document = parseJson(bytes, source, { maxBytes: MAX_OCI_MANIFEST_BYTES });
	if (typeof document !== "object" || document === null || Array.isArray(document)) {
		return fail("oci-invalid", `${source}: the document must be an object`, { hint: OCI_REFUSAL.hint });
	}
	const type = documentType(document, source, announced);
	return type === "manifest"
		? { type, manifest: checkSchema(document, source, manifestSchema(), "", OCI_REFUSAL) }
		: { type, index: checkSchema(document, source, indexSchema(), "", OCI_REFUSAL) };
}

function documentType(document: object, source: string, announced: string): OciDocument["type"] {
	const members = new Map(Object.entries(document).map(([name, value]) => [name.toLowerCase(), value]));
	const types = [announced, members.get("mediatype")].filter(
		(type) => typeof type === "string" && type !== "",
	);
	if (members.get("schemaversion") === 1 || types.some((type) => isSchema1Type(type))) refuseSchema1(source);
	const said = types.map((type) => knownType(type)).filter((type) => type !== undefined);
	const shown = shownTypes(members);
	const all = new Set([...said, ...shown]);
	const [type, other] = all;
	if (other !== undefined) {
		fail("oci-type-ambiguous", `${source}: the document is both an image manifest and an index`, {
			hint: "such a document means different images to different programs: do not use it",
		});
	}
	if (types.length > said.length) {
		const unknown = types.find((name) => knownType(name) === undefined);
		fail("oci-invalid", `${source}: the type ${quote(unknown)} is neither an image manifest nor an index`, {
			hint: "rkt fetches OCI images and docker images of manifest version 2, schema 2",
		});
	}
	return (
		type ??
		fail("oci-invalid", `${source}: the document has neither "layers" nor "manifests"`, {
			hint: OCI_REFUSAL.hint,
		})
	);
}

function knownType(type: string): OciDocument["type"] | undefined {
	if (isManifestType(type)) return "manifest";
	return isIndexType(type) ? "index" : undefined;
}

function shownTypes(members: ReadonlyMap<string, unknown>): OciDocument["type"][] {
	const has = (name: string) => (members.get(name) ?? null) !== null;
	return [
		...(has("layers") || has("config") || has("fslayers") ? (["manifest"] as const) : []),
		...(has("manifests") ? (["index"] as const) : []),
	];
}

function refuseSchema1(source: string): never {
	return fail(
		"oci-schema1",
		`${source}: the registry offers the image only in docker's old manifest schema 1`,
		{
			hint: "have it pushed again by a docker of 2016 or later, podman, buildah or skopeo",
		},
	);
}
