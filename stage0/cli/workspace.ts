import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { Config } from "../config/config.ts";
import { dataDirectory } from "../config/data-directory.ts";
import { loadConfig } from "../config/load-config.ts";
import type { FetchOptions, PullPolicy } from "../fetch/fetch-options.ts";
import type { Store } from "../store/store.ts";
import type { CommandContext } from "./command.ts";

const NO_CONFIG: Config = {
	auth: new Map(),
	dockerAuth: new Map(),
	registries: new Map(),
	paths: {},
	stage1: {},
	kvm: new Map(),
	warnings: [],
};

export function readConfig(context: CommandContext): Config {
	const { systemConfig: system, localConfig: local, userConfig: user } = context.globals;
	const config = loadConfig({ system, local, user });
	for (const warning of config.warnings) context.log.info(`warning: ${warning}`);
	return config;
}

/** Where pods and images are. The configuration is not read when --dir says it. Errors: `config-invalid`. */
export function findDataDirectory(context: CommandContext, known?: Config): string {
	const { dir } = context.globals;
	return dataDirectory(dir, known ?? (dir === undefined ? readConfig(context) : NO_CONFIG));
}

/** Loading the kernel interface costs 4 ms, so that a command which finds nothing to do goes without. */
export async function loadSyscall(): Promise<Syscall> {
	return (await import("../../lib/syscall/linux.ts")).createLinuxSyscall();
}

/** What a command that works with images needs. */
export interface Workspace {
	readonly dataDirectory: string;
	readonly config: Config;
	readonly syscall: Syscall;
	readonly store: Store;
	/** For `fetchImage` and `resolveStage1`, without what differs for each image. */
	readonly fetching: Omit<FetchOptions, "pullPolicy">;
}

/** Opens the store and the keystore. Errors: `config-invalid`, `data-directory-unusable`. */
export async function openWorkspace(context: CommandContext): Promise<Workspace> {
	const { globals, log } = context;
	const config = readConfig(context);
	const directory = dataDirectory(globals.dir, config);
	const syscall = await loadSyscall();
	const { openStore } = await import("../store/store.ts");
	const { openKeystore } = await import("../keystore/keystore.ts");
	const store = openStore(directory, syscall);
	const keystore = openKeystore({ system: globals.systemConfig, local: globals.localConfig });
	const fetching = {
		store,
		keystore,
		config,
		insecure: globals.insecure,
		trustKeysFromHttps: globals.trustKeysFromHttps,
		log: log.withPrefix("image"),
		syscall,
	};
	return { dataDirectory: directory, config, syscall, store, fetching };
}

export function toPullPolicy(word: string): PullPolicy {
	return word === "never" || word === "update" ? word : "new";
}
