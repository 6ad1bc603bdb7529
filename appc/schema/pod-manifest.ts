import * as z from "zod/mini";
import { appSchema, portSchema } from "./app.ts";
import { annotationList, ipAddress, labelList } from "./common.ts";
import { isolatorList } from "./isolators.ts";
import { readSchema } from "./read-schema.ts";
import {
	acIdentifier,
	acName,
	acVersion,
	customIssue,
	filledText,
	hash,
	integer,
	list,
	numericID,
	once,
	stringMap,
	text,
	uniqueList,
} from "./schema-kit.ts";

export const volumeSchema = once(() =>
	z
		.object({
			name: acName(),
			kind: z.enum(["host", "empty"]),
			source: z.optional(text((value) => value.startsWith("/"), "must be an absolute path")),
			readOnly: z.optional(z.boolean()),
			recursive: z.optional(z.boolean()),
			/** Our own: false shows the owners of the host also to a pod with users of its own. */
			idmap: z.optional(z.boolean()),
			/** Our own: set-user-ID programs and file capabilities of the volume have an effect. */
			suid: z.optional(z.boolean()),
			mode: z.optional(text((value) => /^0?[0-7]{1,4}$/.test(value), 'must be an octal mode such as "0755"')),
			uid: z.optional(numericID()),
			gid: z.optional(numericID()),
		})
		.check(
			z.check(({ value, issues }) => {
				for (const [member, problem] of volumeProblems(value))
					issues.push(customIssue(value[member as keyof typeof value], [member], problem));
			}),
		),
);

function volumeProblems(volume: Readonly<Record<string, unknown>>): [string, string][] {
	if (volume.kind === "empty") {
		return (["source", "idmap"] as const)
			.filter((member) => volume[member] !== undefined)
			.map((member) => [member, "is not allowed for a volume of kind empty"]);
	}
	const problems = (["mode", "uid", "gid"] as const)
		.filter((member) => volume[member] !== undefined)
		.map((member): [string, string] => [member, "is not allowed for a volume of kind host"]);
	return volume.source === undefined ? [["source", "is missing"], ...problems] : problems;
}

const mount = once(() =>
	z.object({
		volume: acName(),
		path: filledText(),
		appVolume: z.optional(volumeSchema()),
	}),
);

const runtimeApp = once(() =>
	z.object({
		name: acName(),
		image: z.object({
			name: z.optional(acIdentifier()),
			id: hash(),
			labels: labelList(),
		}),
		app: z.optional(appSchema()),
		readOnlyRootFS: z._default(z.boolean(), false),
		mounts: list(mount()),
		annotations: annotationList(),
	}),
);

const exposedPort = once(() =>
	z.object({
		name: acName(),
		hostPort: integer(0, 65535),
		hostIP: z.optional(ipAddress()),
		podPort: z.optional(portSchema()),
	}),
);

/** The pod manifest (appc 0.8.11, Pod Manifest Schema). Absent lists are empty. */
export const podManifestSchema = once(() =>
	z.object({
		acVersion: acVersion(),
		acKind: z.literal("PodManifest"),
		apps: uniqueList(runtimeApp(), "name", "apps"),
		volumes: uniqueList(volumeSchema(), "name", "volumes"),
		isolators: isolatorList("pod"),
		annotations: annotationList(),
		ports: list(exposedPort()),
		userAnnotations: stringMap(),
		userLabels: stringMap(),
	}),
);

export type PodManifest = z.infer<ReturnType<typeof podManifestSchema>>;
export type RuntimeApp = z.infer<ReturnType<typeof runtimeApp>>;
export type Volume = z.infer<ReturnType<typeof volumeSchema>>;
export type Mount = z.infer<ReturnType<typeof mount>>;
export type ExposedPort = z.infer<ReturnType<typeof exposedPort>>;

/** The mode of an empty volume that names none. */
export const DEFAULT_VOLUME_MODE = "0755";

/** Errors: `json-invalid`, `manifest-invalid`, naming `source`, the member and the value. */
export function parsePodManifest(text: string | Uint8Array, source: string): PodManifest {
	return readSchema(text, source, podManifestSchema());
}
