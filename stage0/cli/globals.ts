import * as path from "node:path";
import { type InsecureOptions, parseInsecureOptions } from "./insecure-options.ts";
import { flag, type OptionSpec, text } from "./option.ts";
import type { ParsedOptions } from "./parsed-options.ts";
import { invalidValue } from "./values/scalars.ts";

/** The flags of every command, read once. All directories are absolute. */
export interface Globals {
	readonly debug: boolean;
	/** Only what --dir says; undefined leaves it to the configuration. */
	readonly dir: string | undefined;
	readonly systemConfig: string;
	readonly localConfig: string;
	readonly userConfig: string | undefined;
	readonly insecure: InsecureOptions;
	readonly trustKeysFromHttps: boolean;
}

export const DEFAULT_DATA_DIRECTORY = "/var/lib/rkt";

export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
	flag("debug", "print out more debug information to stderr"),
	text("dir", "rkt data directory", { default: DEFAULT_DATA_DIRECTORY }),
	text(
		"insecure-options",
		"comma-separated list of security features to disable: none, image, tls, ondisk, http, pubkey, capabilities, paths, seccomp, all-fetch, all-run, all",
		{ default: "none" },
	),
	text("local-config", "local configuration directory", { default: "/etc/rkt" }),
	text("system-config", "system configuration directory", { default: "/usr/lib/rkt" }),
	flag("trust-keys-from-https", "automatically trust gpg keys fetched from https"),
	text("user-config", "user configuration directory"),
	flag("insecure-skip-verify", "the name of --insecure-options=image,tls in rkt 0.8", {
		deprecated: "use --insecure-options=image,tls instead",
	}),
];

/** Errors: `flag-value-invalid` for an empty directory or an unknown insecure option. */
export function readGlobals(options: ParsedOptions): Globals {
	const directory = (name: string): string => {
		if (options.text(name) === "") invalidValue(name, "", "a directory is needed");
		return path.resolve(options.text(name));
	};
	const insecure = parseInsecureOptions(options.text("insecure-options"));
	const skipVerify = options.on("insecure-skip-verify");
	return {
		debug: options.on("debug"),
		dir: options.given("dir") ? directory("dir") : undefined,
		systemConfig: directory("system-config"),
		localConfig: directory("local-config"),
		userConfig: options.given("user-config") ? directory("user-config") : undefined,
		insecure: skipVerify ? { ...insecure, image: true, tls: true } : insecure,
		trustKeysFromHttps: options.on("trust-keys-from-https"),
	};
}
