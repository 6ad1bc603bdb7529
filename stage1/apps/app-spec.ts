import type { AppLimits, ResourceLimit } from "../../appc/schema/app-isolators.ts";
import { fail } from "../../lib/errors.ts";
import type { AppFilter } from "../security/app-filter.ts";
import type { AppLabel } from "../security/app-label.ts";
import type { AppUser } from "./app-user.ts";

/** Everything that the guest program `launch` needs to start an app, and `enter` to join it. */
export interface AppSpec {
	readonly app: string;
	/** Path in the pod. */
	readonly root: string;
	readonly readOnlyRoot: boolean;
	/** False when a volume takes the place of /sys or of something below it. */
	readonly bindSys: boolean;
	/** The app's /dev is made in the pod, which has a kernel of its own. */
	readonly makeDevices: boolean;
	/** Where volumes are, whose restrictions the pod's own kernel has to be told; with `+` in front set-user-ID holds. */
	readonly volumes: readonly string[];
	/** Paths of the pod that appear at the same place in the app; with `-` in front only if they exist. */
	readonly binds: readonly string[];
	readonly readOnlyPaths: readonly string[];
	readonly hiddenPaths: readonly string[];
	readonly user: AppUser;
	readonly workingDirectory: string;
	/** Bit mask in hexadecimal. */
	readonly capabilities: string;
	readonly noNewPrivileges: boolean;
	/** What systemd would set too, but for `enter`. */
	readonly rlimits: AppLimits["rlimits"];
	/** What the program's own label or profile is to be. */
	readonly label: AppLabel | undefined;
	readonly filter: AppFilter;
	/** Descriptors 0 to 2 come from the process that keeps the caller's. */
	readonly keeperStdio: boolean;
	/** Output reaches the caller through the pod's console: lines end in a newline alone. */
	readonly plainConsole: boolean;
	/** The app can open its standard output and error by name. */
	readonly openOutput: boolean;
	/** For each socket that systemd hands over the name of its port, in order. */
	readonly socketNames: readonly string[];
	readonly notify: boolean;
	readonly environment: ReadonlyMap<string, string>;
	readonly exec: readonly string[];
	readonly preStart: readonly string[];
	readonly postStop: readonly string[];
}

type Field = readonly [key: string, value: string | number | boolean];

/** The file that stage1/guest/spec.c reads: `key=value` strings, each ended by a NUL byte. */
export function encodeAppSpec(spec: AppSpec): Buffer {
	return Buffer.concat(fields(spec).map((field) => encodeField(spec.app, field)));
}

function fields(spec: AppSpec): Field[] {
	const each = (key: string, values: readonly (string | number)[]): Field[] =>
		values.map((value) => [key, value] as const);
	const compiled = spec.filter.compiled;
	return [
		["root", spec.root],
		["cwd", spec.workingDirectory],
		["readonly-root", spec.readOnlyRoot],
		["bind-sys", spec.bindSys],
		["make-devices", spec.makeDevices],
		["uid", spec.user.uid],
		["gid", spec.user.gid],
		["bounding", spec.capabilities],
		["no-new-privileges", spec.noNewPrivileges],
		...(spec.label === undefined ? [] : [[spec.label.module, spec.label.text] as const]),
		...each("rlimit", Object.entries(spec.rlimits ?? {}).map(rlimitText)),
		["keeper-stdio", spec.keeperStdio],
		["plain-console", spec.plainConsole],
		["open-output", spec.openOutput],
		["notify", spec.notify],
		...each("socket", spec.socketNames),
		...each("group", spec.user.groups),
		...each("volume", spec.volumes),
		...each("bind", spec.binds),
		...each("readonly", spec.readOnlyPaths),
		...each("mask", spec.hiddenPaths),
		...each("filter", spec.filter.files),
		...(compiled
			? ([
					["filter-mode", compiled.mode],
					["filter-errno", compiled.errno],
				] as const)
			: []),
		...each("call", compiled?.calls ?? []),
		...each(
			"env",
			[...spec.environment].map(([name, value]) => `${name}=${value}`),
		),
		...each("arg", spec.exec),
		...each("pre-start", spec.preStart),
		...each("post-stop", spec.postStop),
	];
}

function rlimitText([name, { soft, hard }]: readonly [string, ResourceLimit]): string {
	return `${name}:${soft ?? "unlimited"}:${hard ?? "unlimited"}`;
}

function encodeField(app: string, [key, value]: Field): Buffer {
	const text = typeof value === "boolean" ? String(Number(value)) : String(value);
	if (text.includes("\0")) fail("value-with-nul", `app ${app}: ${key} holds a NUL character`);
	return Buffer.from(`${key}=${text}\0`);
}
