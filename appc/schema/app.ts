import * as z from "zod/mini";
import { ENVIRONMENT_NAME_RULE, isEnvironmentName } from "../types/environment.ts";
import { isolatorList } from "./isolators.ts";
import {
	acName,
	customIssue,
	filledText,
	integer,
	list,
	numericID,
	once,
	plainText,
	stringMap,
	text,
	uniqueList,
} from "./schema-kit.ts";

const eventHandler = once(() =>
	z.object({
		name: z.enum(["pre-start", "post-stop"]),
		exec: list(plainText()),
	}),
);

const environmentVariable = once(() =>
	z.object({
		name: text(isEnvironmentName, `must be the name of an environment variable: ${ENVIRONMENT_NAME_RULE}`),
		value: z._default(plainText(), ""),
	}),
);

const mountPoint = once(() =>
	z.object({
		name: acName(),
		path: filledText(),
		readOnly: z._default(z.boolean(), false),
	}),
);

/** A port, or `count` ports from `port` on. Used by apps and by the ports that a pod exposes. */
export const portSchema = once(() =>
	z
		.object({
			name: acName(),
			protocol: text((value) => /^[A-Za-z0-9]+$/.test(value), "must be a protocol such as tcp or udp"),
			port: integer(1, 65535),
			count: z._default(integer(1, 65535), 1),
			socketActivated: z._default(z.boolean(), false),
		})
		.check(
			z.check(({ value, issues }) => {
				if (value.port + value.count <= 65536) return;
				issues.push(
					customIssue(value.count, ["count"], `is too large: the ports from ${value.port} on end at 65535`),
				);
			}),
		),
);

/** The section `app` of an image manifest, and of an app in a pod manifest (appc 0.8.11, Image Manifest Schema). */
export const appSchema = once(() =>
	z.object({
		exec: list(plainText()),
		eventHandlers: uniqueList(eventHandler(), "name", "event handlers"),
		user: filledText(),
		group: filledText(),
		supplementaryGIDs: list(numericID()),
		workingDirectory: z.optional(
			text((value) => value === "" || value.startsWith("/"), "must be an absolute path"),
		),
		environment: uniqueList(environmentVariable(), "name", "environment variables"),
		mountPoints: list(mountPoint()),
		ports: list(portSchema()),
		isolators: isolatorList("app"),
		userAnnotations: stringMap(),
		userLabels: stringMap(),
	}),
);

export type App = z.infer<ReturnType<typeof appSchema>>;
export type EventHandler = z.infer<ReturnType<typeof eventHandler>>;
export type EnvironmentVariable = z.infer<ReturnType<typeof environmentVariable>>;
export type MountPoint = z.infer<ReturnType<typeof mountPoint>>;
export type Port = z.infer<ReturnType<typeof portSchema>>;

/** An app that runs as root and does nothing: what a caller fills in when an image has no `app` section. */
export function emptyApp(user: string, group: string): App {
	return {
		exec: [],
		eventHandlers: [],
		user,
		group,
		supplementaryGIDs: [],
		environment: [],
		mountPoints: [],
		ports: [],
		isolators: [],
		userAnnotations: {},
		userLabels: {},
	};
}
