import * as z from "zod/mini";
import { parseJson } from "../../lib/json.ts";
import { checkSchema } from "../schema/read-schema.ts";
import { once, plainText, text } from "../schema/schema-kit.ts";
import { MAX_OCI_MANIFEST_BYTES, OCI_REFUSAL } from "./manifest.ts";

/** A set as Go writes it: names with empty objects. */
const nameSet = once(() =>
	z.custom<Readonly<Record<string, unknown>>>(
		(value) =>
			typeof value === "object" &&
			value !== null &&
			!Array.isArray(value) &&
			Object.keys(value).every((name) => !name.includes("\0")),
		"must be an object whose names hold no NUL character",
	),
);

const words = once(() => z.array(plainText()));
/** Nanoseconds, as Go writes durations. */
const duration = once(() => z.int());

/** Docker's health check; rkt keeps it, but does not run it. */
const healthcheck = once(() =>
	z.object({
		Test: z.optional(words()),
		Interval: z.optional(duration()),
		Timeout: z.optional(duration()),
		StartPeriod: z.optional(duration()),
		StartInterval: z.optional(duration()),
		Retries: z.optional(z.int()),
	}),
);

const execution = once(() =>
	z.object({
		User: z.optional(plainText()),
		ExposedPorts: z.optional(nameSet()),
		Env: z.optional(words()),
		Entrypoint: z.optional(words()),
		Cmd: z.optional(words()),
		Volumes: z.optional(nameSet()),
		WorkingDir: z.optional(plainText()),
		Labels: z.optional(z.record(z.string(), plainText())),
		StopSignal: z.optional(plainText()),
		/** Seconds; docker only. */
		StopTimeout: z.optional(z.int()),
		Shell: z.optional(words()),
		/** docker only: what builds on top of the image run. */
		OnBuild: z.optional(words()),
		Healthcheck: z.optional(healthcheck()),
	}),
);

const diffId = once(() =>
	text(
		(value) => /^sha256:[0-9a-f]{64}$/.test(value),
		'must be "sha256:" and 64 lower-case hexadecimal digits',
	),
);

const history = once(() =>
	z.object({
		created: z.optional(plainText()),
		created_by: z.optional(plainText()),
		author: z.optional(plainText()),
		comment: z.optional(plainText()),
		empty_layer: z.optional(z.boolean()),
	}),
);

/** The configuration of an image (OCI image specification 1.1, Image Configuration), and what docker adds to it. */
const imageConfig = once(() =>
	z.object({
		created: z.optional(plainText()),
		author: z.optional(plainText()),
		comment: z.optional(plainText()),
		/** Empty in images of old programs that did not say it. */
		architecture: z._default(plainText(), ""),
		variant: z.optional(plainText()),
		os: z._default(plainText(), ""),
		config: z.optional(execution()),
		rootfs: z.object({
			type: z.literal("layers"),
			/** SHA-256 of each layer's uncompressed archive, bottom first. */
			diff_ids: z.array(diffId()),
		}),
		history: z.optional(z.array(history())),
	}),
);

export type OciImageConfig = z.infer<ReturnType<typeof imageConfig>>;
export type OciExecution = z.infer<ReturnType<typeof execution>>;

/** Errors: `json-invalid`, `oci-invalid`, naming `source`, the member and the value. */
export function parseOciImageConfig(bytes: string | Uint8Array, source: string): OciImageConfig {
	const document = parseJson(bytes, source, { maxBytes: MAX_OCI_MANIFEST_BYTES });
	return checkSchema(document, source, imageConfig(), "", OCI_REFUSAL);
}
