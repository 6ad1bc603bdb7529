import * as path from "node:path";
import { registryAliases } from "../../appc/oci/reference.ts";
import { isErrno } from "../../lib/errors.ts";
import type { Config } from "../config/config.ts";
import type { Environment } from "../fetch/proxy.ts";
import { authEntry, entryCredentials, type RegistryCredentials, readAuthFile } from "./auth-file.ts";
import { askCredentialHelper } from "./credential-helper.ts";

/**
 * The credentials for a repository: `dockerAuth` of rkt's configuration, else what `podman login` or `docker login`
 * left. The first place that knows the registry decides.
 * Errors: `auth-file-invalid`, `credential-helper-failed`.
 */
export function findCredentials(
	registry: string,
	repository: string,
	config: Pick<Config, "dockerAuth">,
	environment: Environment = process.env,
): RegistryCredentials | undefined {
	const hosts = registryAliases(registry);
	for (const host of hosts) {
		const own = config.dockerAuth.get(host);
		if (own) return { type: "password", ...own };
	}
	for (const file of authFiles(environment)) {
		const found = fromFile(file, hosts, repository);
		if (found) return found;
	}
	return undefined;
}

/** `REGISTRY_AUTH_FILE` replaces the others, as it does for podman and skopeo. */
function authFiles(environment: Environment): string[] {
	const { REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, DOCKER_CONFIG, HOME } = environment;
	if (REGISTRY_AUTH_FILE) return [REGISTRY_AUTH_FILE];
	const runtime = XDG_RUNTIME_DIR || `/run/containers/${process.getuid?.() ?? 0}`;
	const config = XDG_CONFIG_HOME || (HOME && path.join(HOME, ".config"));
	const docker = DOCKER_CONFIG || (HOME && path.join(HOME, ".docker"));
	return [
		path.join(runtime, XDG_RUNTIME_DIR ? "containers/auth.json" : "auth.json"),
		...(config ? [path.join(config, "containers/auth.json")] : []),
		...(docker ? [path.join(docker, "config.json")] : []),
	];
}

function fromFile(
	file: string,
	hosts: readonly string[],
	repository: string,
): RegistryCredentials | undefined {
	const content = readAuthFile(file);
	if (!content) return undefined;
	for (const host of hosts) {
		const helper = content.credHelpers?.[host];
		if (helper) return askCredentialHelper(helper, host);
	}
	const entry = authEntry(content, hosts, repository);
	const credentials = entry && entryCredentials(entry, file);
	if (credentials || !content.credsStore) return credentials;
	const [server = ""] = hosts;
	// The key under which `docker login` keeps what is for docker's own registry.
	const key = hosts.length > 1 ? "https://index.docker.io/v1/" : server;
	// An empty entry says that `docker login` gave the password to the helper. Helpers of clouds are asked without one.
	return entry ? askCredentialHelper(content.credsStore, key) : askWithoutLogin(content.credsStore, key);
}

/** Nobody said that the helper knows this registry, so that one which cannot answer, knows nothing. */
function askWithoutLogin(name: string, server: string): RegistryCredentials | undefined {
	try {
		return askCredentialHelper(name, server);
	} catch (error) {
		if (isErrno(error, "credential-helper-failed")) return undefined;
		throw error;
	}
}
