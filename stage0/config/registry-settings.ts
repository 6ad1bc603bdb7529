import { isRegistryHost, isRepository } from "../../appc/oci/reference.ts";
import type { InsecureTransport, RegistryMirror, RegistrySettings } from "./config.ts";
import { type ConfigObject, failConfig, requireString, requireStrings, toObject } from "./config-object.ts";

/** The members `mirrors` and `insecure` of a registries configuration. Errors: `config-invalid`. */
export function readRegistrySettings(object: ConfigObject): RegistrySettings {
	for (const host of requireStrings(object, "registries")) {
		if (!isRegistryHost(host))
			failConfig(object.file, `"registries" holds "${host}", which is not HOST or HOST:PORT`);
	}
	return { mirrors: readMirrors(object), insecure: readInsecure(object) };
}

function readMirrors(object: ConfigObject): RegistryMirror[] {
	const mirrors = object.members.mirrors ?? [];
	if (!Array.isArray(mirrors)) failConfig(object.file, '"mirrors" is not a list');
	return mirrors.map((mirror) => readMirror(toObject(mirror, object.file, 'an element of "mirrors"')));
}

function readMirror(object: ConfigObject): RegistryMirror {
	const location = requireString(object, "location");
	const slash = location.indexOf("/");
	const host = slash === -1 ? location : location.slice(0, slash);
	const prefix = slash === -1 ? "" : location.slice(slash + 1);
	if (!isRegistryHost(host) || (slash !== -1 && !isRepository(prefix))) {
		failConfig(object.file, `"location" is not HOST[:PORT][/PREFIX]: "${location}"`);
	}
	return { host, prefix, insecure: readInsecure(object) };
}

function readInsecure(object: ConfigObject): InsecureTransport {
	const words = object.members.insecure ?? [];
	if (!Array.isArray(words) || words.some((word) => word !== "http" && word !== "tls")) {
		failConfig(object.file, '"insecure" is not a list of "http" and "tls"');
	}
	return { http: words.includes("http"), tls: words.includes("tls") };
}
