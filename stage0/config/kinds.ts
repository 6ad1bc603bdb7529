import * as path from "node:path";
import { messageOf } from "../../lib/errors.ts";
import { ACCELERATORS } from "../../stage1/accelerator.ts";
import { SMALLEST_JOURNAL_SIZE } from "../../stage1/journal.ts";
import {
	MACHINE_SETTING_NAMES,
	type MachineSetting,
	parseMachineSetting,
} from "../../stage1/machine-settings.ts";
import {
	type BasicCredentials,
	type Credentials,
	type KvmSetting,
	PRIVATE_USERS_MODES,
	type PrivateUsersMode,
	type RegistrySettings,
} from "./config.ts";
import {
	type ConfigObject,
	failConfig,
	optionalString,
	requireObject,
	requireString,
	requireStrings,
} from "./config-object.ts";
import { parseJournalSize } from "./journal-size.ts";
import { readRegistrySettings } from "./registry-settings.ts";

/** What one directory sets; filled by the readers of each kind. */
export interface DirectorySettings {
	readonly auth: Map<string, Credentials>;
	readonly dockerAuth: Map<string, BasicCredentials>;
	readonly registries: Map<string, RegistrySettings>;
	data?: string;
	stage1Images?: string;
	stage1Identity?: { name: string; version: string };
	stage1Location?: string;
	/** As written. */
	journalSize?: string;
	/** Members of virtual machines, as written. */
	readonly kvm: Map<KvmSetting, string>;
	privateUsers?: PrivateUsersMode;
}

type KindReader = (object: ConfigObject, settings: DirectorySettings) => void;

/** The kinds that each sub-directory of a configuration directory may hold. */
export const CONFIG_KINDS: Readonly<Record<string, Readonly<Record<string, KindReader>>>> = {
	"auth.d": { auth: readAuth, dockerAuth: readDockerAuth },
	"registries.d": { registries: readRegistries },
	"paths.d": { paths: readPaths },
	"stage1.d": { stage1: readStage1 },
	"journal.d": { journal: readJournal },
	"kvm.d": { kvm: readKvm },
	"isolation.d": { isolation: readIsolation },
};

function readAuth(object: ConfigObject, settings: DirectorySettings): void {
	const credentials = readCredentials(object);
	for (const domain of requireStrings(object, "domains")) {
		setOnce(settings.auth, domain, credentials, object, "domain");
	}
}

function readCredentials(object: ConfigObject): Credentials {
	const type = requireString(object, "type");
	const credentials = requireObject(object, "credentials");
	switch (type) {
		case "basic":
			return { type, ...readBasic(credentials) };
		case "oauth":
			return { type, token: requireString(credentials, "token") };
		case "aws":
			return { type, ...readAws(credentials) };
		default:
			return failConfig(object.file, `unknown auth type "${type}": expected basic, oauth or aws`);
	}
}

function readBasic(credentials: ConfigObject): BasicCredentials {
	return { user: requireString(credentials, "user"), password: requireString(credentials, "password") };
}

function readAws(credentials: ConfigObject): Omit<Extract<Credentials, { type: "aws" }>, "type"> {
	const region = optionalString(credentials, "awsRegion");
	return {
		accessKeyID: requireString(credentials, "accessKeyID"),
		secretAccessKey: requireString(credentials, "secretAccessKey"),
		...(region && { awsRegion: region }),
	};
}

function readDockerAuth(object: ConfigObject, settings: DirectorySettings): void {
	const credentials = readBasic(requireObject(object, "credentials"));
	for (const registry of requireStrings(object, "registries")) {
		setOnce(settings.dockerAuth, registry, credentials, object, "registry");
	}
}

function readRegistries(object: ConfigObject, settings: DirectorySettings): void {
	const registry = readRegistrySettings(object);
	for (const host of requireStrings(object, "registries")) {
		setOnce(settings.registries, host.toLowerCase(), registry, object, "registry");
	}
}

function setOnce<T>(map: Map<string, T>, key: string, value: T, object: ConfigObject, what: string): void {
	if (map.has(key)) failConfig(object.file, `${what} "${key}" is already configured in this directory`);
	map.set(key, value);
}

function readPaths(object: ConfigObject, settings: DirectorySettings): void {
	const data = readAbsolutePath(object, "data");
	const images = readAbsolutePath(object, "stage1-images");
	if (data && settings.data) failConfig(object.file, '"data" is already configured in this directory');
	if (images && settings.stage1Images) {
		failConfig(object.file, '"stage1-images" is already configured in this directory');
	}
	if (data) settings.data = data;
	if (images) settings.stage1Images = images;
}

function readAbsolutePath(object: ConfigObject, member: string): string {
	const value = optionalString(object, member);
	if (value && !path.isAbsolute(value))
		failConfig(object.file, `"${member}" is not an absolute path: "${value}"`);
	return value;
}

function readStage1(object: ConfigObject, settings: DirectorySettings): void {
	const name = optionalString(object, "name");
	const version = optionalString(object, "version");
	const location = optionalString(object, "location");
	if (!name !== !version) failConfig(object.file, '"name" and "version" are only valid together');
	if (name && settings.stage1Identity)
		failConfig(object.file, '"name" is already configured in this directory');
	if (location && settings.stage1Location) {
		failConfig(object.file, '"location" is already configured in this directory');
	}
	if (location) settings.stage1Location = checkLocation(location, object);
	if (name) settings.stage1Identity = { name, version };
}

function readJournal(object: ConfigObject, settings: DirectorySettings): void {
	const size = requireString(object, "maxSize");
	if (settings.journalSize) failConfig(object.file, '"maxSize" is already configured in this directory');
	settings.journalSize = checkJournalSize(size, object);
}

function checkJournalSize(size: string, object: ConfigObject): string {
	try {
		if (parseJournalSize(size) !== undefined) return size;
	} catch (error) {
		failConfig(object.file, `"maxSize": ${messageOf(error)}`);
	}
	return failConfig(object.file, `"maxSize" is less than ${SMALLEST_JOURNAL_SIZE} bytes: "${size}"`);
}

/** Each member may be in one file or another, or nowhere; a file with none of them is a mistake. */
function readKvm(object: ConfigObject, settings: DirectorySettings): void {
	const names = ["accelerator", ...MACHINE_SETTING_NAMES] as const;
	if (names.every((name) => optionalString(object, name) === "")) requireString(object, "accelerator");
	for (const name of names) {
		const value = optionalString(object, name);
		if (value === "") continue;
		if (settings.kvm.has(name)) failConfig(object.file, `"${name}" is already configured in this directory`);
		if (name === "accelerator") checkAccelerator(value, object);
		else checkMachineSetting(name, value, object);
		settings.kvm.set(name, value);
	}
}

function checkAccelerator(accelerator: string, object: ConfigObject): void {
	if (ACCELERATORS.some((known) => known === accelerator)) return;
	failConfig(object.file, `"accelerator" is "${accelerator}": expected ${ACCELERATORS.join(", ")}`);
}

function checkMachineSetting(name: MachineSetting, value: string, object: ConfigObject): void {
	try {
		parseMachineSetting(name, value, `"${name}"`);
	} catch (error) {
		failConfig(object.file, messageOf(error));
	}
}

function readIsolation(object: ConfigObject, settings: DirectorySettings): void {
	const value = requireString(object, "privateUsers");
	if (settings.privateUsers)
		failConfig(object.file, '"privateUsers" is already configured in this directory');
	settings.privateUsers =
		PRIVATE_USERS_MODES.find((mode) => mode === value) ??
		failConfig(object.file, `"privateUsers" is "${value}": expected ${PRIVATE_USERS_MODES.join(", ")}`);
}

function checkLocation(location: string, object: ConfigObject): string {
	const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(location)?.[1]?.toLowerCase();
	const known = scheme === undefined ? path.isAbsolute(location) : /^(file|docker|https?)$/.test(scheme);
	if (known) return location;
	return failConfig(
		object.file,
		`"location" is neither an absolute path nor a file, docker, http or https URL: "${location}"`,
	);
}
