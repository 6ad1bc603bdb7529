import * as fs from "node:fs";
import * as path from "node:path";
import { isErrno } from "../../lib/errors.ts";
import { parseJson } from "../../lib/json.ts";
import type { Config, ConfigDirectories } from "./config.ts";
import { failConfig, requireString, toObject } from "./config-object.ts";
import { CONFIG_KINDS, type DirectorySettings } from "./kinds.ts";

const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Reads the directories of {@link CONFIG_KINDS} in each directory: a setting may stand once in a directory, and a later
 * directory replaces single settings of an earlier one. Every error has the code `config-invalid`.
 */
export function loadConfig(directories: ConfigDirectories): Config {
	const warnings: string[] = [];
	const merged = emptySettings();
	for (const directory of [directories.system, directories.local, directories.user]) {
		if (directory) mergeInto(merged, readConfigDirectory(directory, warnings));
	}
	return {
		auth: merged.auth,
		dockerAuth: merged.dockerAuth,
		registries: merged.registries,
		paths: {
			...(merged.data && { data: merged.data }),
			...(merged.stage1Images && { stage1Images: merged.stage1Images }),
		},
		stage1: { ...merged.stage1Identity, ...(merged.stage1Location && { location: merged.stage1Location }) },
		...(merged.journalSize && { journal: { maxSize: merged.journalSize } }),
		kvm: merged.kvm,
		...(merged.privateUsers && { isolation: { privateUsers: merged.privateUsers } }),
		warnings,
	};
}

function emptySettings(): DirectorySettings {
	return { auth: new Map(), dockerAuth: new Map(), registries: new Map(), kvm: new Map() };
}

function mergeInto(target: DirectorySettings, later: DirectorySettings): void {
	const { auth, dockerAuth, registries, kvm, ...single } = later;
	for (const [domain, credentials] of auth) target.auth.set(domain, credentials);
	for (const [registry, credentials] of dockerAuth) target.dockerAuth.set(registry, credentials);
	for (const [registry, how] of registries) target.registries.set(registry, how);
	for (const [name, value] of kvm) target.kvm.set(name, value);
	Object.assign(target, single);
}

function readConfigDirectory(directory: string, warnings: string[]): DirectorySettings {
	const settings = emptySettings();
	for (const [subdirectory, kinds] of Object.entries(CONFIG_KINDS)) {
		for (const file of configFiles(path.join(directory, subdirectory))) {
			const object = readConfigFile(file);
			const kind = requireString(object, "rktKind");
			const read = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
			if (!read) {
				failConfig(file, `kind "${kind}" in ${subdirectory}: expected ${Object.keys(kinds).join(" or ")}`);
			}
			read(object, settings);
			if (subdirectory === "auth.d") warnAboutMode(file, warnings);
		}
	}
	return settings;
}

/** Regular files `*.json` directly in a directory, in lexical order; links and other names are left out. */
function configFiles(directory: string): string[] {
	let entries: fs.Dirent[];
	try {
		entries = fs.readdirSync(directory, { withFileTypes: true });
	} catch (error) {
		if (isErrno(error, "ENOENT")) return [];
		if (isErrno(error, "ENOTDIR")) failConfig(directory, "is not a directory");
		throw error;
	}
	const names = entries
		.filter((entry) => entry.isFile() && entry.name.endsWith(".json"))
		.map((entry) => entry.name);
	return names.sort().map((name) => path.join(directory, name));
}

function readConfigFile(file: string) {
	const text = readText(file);
	const object = toObject(parseConfigJson(text, file), file, "the content");
	const version = requireString(object, "rktVersion");
	if (version !== "v1") failConfig(file, `"rktVersion" is "${version}": only v1 is known`);
	return object;
}

function readText(file: string): string {
	try {
		if (fs.statSync(file).size > MAX_FILE_BYTES) failConfig(file, `is larger than ${MAX_FILE_BYTES} bytes`);
		return fs.readFileSync(file, "utf8");
	} catch (error) {
		if (isErrno(error, "EACCES")) failConfig(file, "cannot be read: permission denied");
		throw error;
	}
}

function parseConfigJson(text: string, file: string): unknown {
	try {
		return parseJson(text, file);
	} catch (error) {
		return failConfig(file, error instanceof Error ? error.message : String(error));
	}
}

function warnAboutMode(file: string, warnings: string[]): void {
	const mode = fs.statSync(file).mode & 0o777;
	if ((mode & 0o004) === 0) return;
	warnings.push(
		`warning: every user can read the credentials in ${file}: chmod 0600 (now 0${mode.toString(8)})`,
	);
}
