import * as path from "node:path";
import type { ExposedPort, Volume } from "../../appc/schema/pod-manifest.ts";
import { fail } from "../../lib/errors.ts";
import type { PrivateUsersMode } from "../config/config.ts";
import type { PullPolicy } from "../fetch/fetch-options.ts";
import { type ImageReference, parseImageReference } from "../fetch/image-reference.ts";
import type { Stage1Selection } from "../fetch/resolve-stage1.ts";
import type { AppOverrides } from "../pod/app-overrides.ts";
import { readAppFlags, readAppOverrides } from "./app-overrides.ts";
import type { CommandContext, Invocation } from "./command.ts";
import type { ParsedOptions } from "./parsed-options.ts";
import { APP_OPTIONS } from "./tables/app-options.ts";
import { type PodEnvironment, readPodEnvironment } from "./values/environment.ts";
import { parseMount } from "./values/mount.ts";
import { parsePort } from "./values/port.ts";
import { invalidValue, parseBool } from "./values/scalars.ts";
import { parseVolume } from "./values/volume.ts";
import { toPullPolicy } from "./workspace.ts";

export interface ImageRequest {
	readonly reference: ImageReference;
	/** Path of a detached signature. */
	readonly signature: string | undefined;
	readonly overrides: AppOverrides;
}

/** Everything that `prepare` is told, checked before anything is made. */
export interface PrepareFlags {
	readonly stage1: Stage1Selection;
	readonly pullPolicy: PullPolicy;
	readonly volumes: readonly Volume[];
	readonly ports: readonly ExposedPort[];
	readonly environment: PodEnvironment;
	readonly overlay: boolean;
	/** Undefined leaves it to the configuration. */
	readonly privateUsers: PrivateUsersMode | undefined;
	/** Every file of the images is read before they run. */
	readonly verifyAll: boolean;
	/** Path of a ready pod manifest; then there are no images. */
	readonly podManifest: string | undefined;
	readonly images: readonly ImageRequest[];
}

/** Errors: `image-required`, `flags-conflict`, and those of each flag. */
export function readPrepareFlags(context: CommandContext, invocation: Invocation): PrepareFlags {
	const { options } = invocation;
	const pullPolicy = readPullPolicy(options);
	checkPodManifest(invocation, pullPolicy);
	const globalMounts = invocation.globalMounts.map(parseMount);
	const images = invocation.apps.map((app) => {
		const flags = readAppFlags(app, APP_OPTIONS);
		return {
			reference: parseImageReference(app.image),
			signature: flags.given("signature") ? flags.text("signature") : undefined,
			overrides: readAppOverrides(app, flags, globalMounts),
		};
	});
	return {
		stage1: readStage1Flags(options),
		pullPolicy,
		volumes: options.list("volume").map(parseVolume),
		ports: options.list("port").map(parsePort),
		environment: readPodEnvironment(options, context.environment),
		overlay: !options.on("no-overlay"),
		privateUsers: options.given("private-users")
			? readPrivateUsers(options.text("private-users"))
			: undefined,
		verifyAll: readVerify(options),
		podManifest: options.given("pod-manifest") ? path.resolve(options.text("pod-manifest")) : undefined,
		images,
	};
}

/** rkt's own flag was a switch, whose words count too. */
function readPrivateUsers(value: string): PrivateUsersMode {
	const words: Readonly<Record<string, PrivateUsersMode>> = { yes: "on", no: "off", auto: "auto" };
	const word = Object.hasOwn(words, value) ? words[value] : undefined;
	const on = parseBool(value);
	if (word !== undefined || on !== undefined) return word ?? (on ? "on" : "off");
	return invalidValue("private-users", value, "expected yes, no or auto");
}

/** `--pull-policy` and the flags that it took the place of. Errors: `flags-conflict`. */
export function readPullPolicy(options: ParsedOptions): PullPolicy {
	const never = options.on("store-only") || options.on("local");
	if (never && options.on("no-store")) conflict("--store-only and --no-store exclude each other");
	if (never) return "never";
	return options.on("no-store") ? "update" : toPullPolicy(options.text("pull-policy"));
}

/** `--verify=always`. */
export function readVerify(options: ParsedOptions): boolean {
	return options.text("verify") === "always";
}

const STAGE1_FLAGS = ["url", "path", "name", "hash", "from-dir", "image"] as const;

/** Errors: `flags-conflict`, `flag-value-invalid`. */
function readStage1Flags(options: ParsedOptions): Stage1Selection {
	const given = STAGE1_FLAGS.filter((kind) => options.given(`stage1-${kind}`));
	const [kind, second] = given;
	if (kind === undefined) return { kind: "default" };
	if (second !== undefined) conflict(`--stage1-${kind} and --stage1-${second} exclude each other`);
	const value = options.text(`stage1-${kind}`);
	if (value === "") {
		fail("flag-value-invalid", `--stage1-${kind} is empty`, { hint: "leave it away for the default stage1" });
	}
	return { kind, value };
}

const EXCLUDED_BY_MANIFEST = ["volume", "port", "inherit-env", "set-env", "set-env-file"];

function checkPodManifest(invocation: Invocation, pullPolicy: PullPolicy): void {
	const { options, apps, globalMounts } = invocation;
	if (!options.given("pod-manifest")) {
		if (apps.length > 0) return;
		fail("image-required", "must provide at least one image", {
			hint: "name an image: rkt run example.com/app, or give --pod-manifest=FILE",
		});
	}
	const flags = EXCLUDED_BY_MANIFEST.filter((name) => options.given(name)).map((name) => `--${name}`);
	if (apps.length > 0) flags.push(`image ${apps[0]?.image}`);
	if (globalMounts.length > 0) flags.push("--mount");
	if (pullPolicy !== "new") flags.push(`--pull-policy=${pullPolicy}`);
	if (flags.length > 0) conflict(`conflicting flags set with --pod-manifest: ${flags.join(", ")}`);
}

export function conflict(message: string): never {
	return fail("flags-conflict", message, { hint: "leave one of them away" });
}
