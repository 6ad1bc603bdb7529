import { isOciDigest } from "./digest.ts";

/** An image in a registry, normalised: what was left out is filled in. */
export interface RegistryReference {
	/** Host as it was written, lower-case, with its port if one was given. */
	readonly registry: string;
	/** With `library/` for the short names of docker's own registry. */
	readonly repository: string;
	readonly tag?: string | undefined;
	readonly digest?: string | undefined;
}

/** What `docker pull` asks when a name has no host. */
export const DOCKER_HUB = "registry-1.docker.io";
const HUB_ALIASES = new Set(["docker.io", "index.docker.io", DOCKER_HUB]);

const MAX_NAME = 255;
const LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const HOST = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:]{2,39}\\])(?::([0-9]{1,5}))?$`);
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/**
 * Reads `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`, the grammar of docker and podman; the tag is `latest` when there is
 * none, and means nothing beside a digest. Returns what is wrong as a string.
 */
export function parseRegistryReference(text: string): RegistryReference | string {
	const named = parseNamedReference(text);
	if (typeof named === "string") return named;
	const { registry, repository, tag = "latest", digest } = named;
	return digest === undefined ? { registry, repository, tag } : { registry, repository, digest };
}

/** {@link parseRegistryReference} with exactly the parts that are written there. */
export function parseNamedReference(text: string): RegistryReference | string {
	const at = text.indexOf("@");
	const digest = at === -1 ? undefined : text.slice(at + 1);
	const named = at === -1 ? text : text.slice(0, at);
	if (digest !== undefined && !isOciDigest(digest)) {
		return 'behind "@" stands no digest, which is sha256: and 64 or sha512: and 128 hexadecimal digits';
	}
	const colon = named.lastIndexOf(":");
	const hasTag = colon > named.lastIndexOf("/");
	const path = hasTag ? named.slice(0, colon) : named;
	const tag = hasTag ? named.slice(colon + 1) : undefined;
	if (tag !== undefined && !isTag(tag)) {
		return 'behind ":" stands no tag, which is up to 128 letters, digits and "_", ".", "-"';
	}
	const place = splitHost(path);
	if (typeof place === "string") return place;
	return { ...place, tag, digest };
}

export function isTag(text: string): boolean {
	return TAG.test(text);
}

export function isRepository(text: string): boolean {
	return REPOSITORY.test(text) && text.length <= MAX_NAME;
}

/** A host of a registry with an optional port; IPv6 addresses stand in brackets. */
export function isRegistryHost(text: string): boolean {
	const port = HOST.exec(text)?.[1];
	return (
		HOST.test(text) &&
		text.length <= MAX_NAME &&
		(port === undefined || (Number(port) > 0 && Number(port) < 65536))
	);
}

function splitHost(path: string): Pick<RegistryReference, "registry" | "repository"> | string {
	const slash = path.indexOf("/");
	const first = slash === -1 ? "" : path.slice(0, slash);
	const isHost = /[.:]/.test(first) || first.toLowerCase() === "localhost";
	if (isHost && !isRegistryHost(first)) return "the registry is not HOST or HOST:PORT";
	const registry = isHost ? first.toLowerCase() : DOCKER_HUB;
	const rest = isHost ? path.slice(slash + 1) : path;
	if (!isRepository(rest))
		return 'the repository must be lower-case words that ".", "_", "-" or "/" separate';
	const hub = HUB_ALIASES.has(registry);
	return hub
		? { registry: DOCKER_HUB, repository: rest.includes("/") ? rest : `library/${rest}` }
		: { registry, repository: rest };
}

/** `HOST/NAME:TAG` or `HOST/NAME@DIGEST`. */
export function formatRegistryReference({ registry, repository, tag, digest }: RegistryReference): string {
	return `${registry}/${repository}${digest === undefined ? `:${tag}` : `@${digest}`}`;
}

/** The names under which credentials for a registry may be written down. */
export function registryAliases(registry: string): readonly string[] {
	return registry === DOCKER_HUB ? [...HUB_ALIASES] : [registry];
}
