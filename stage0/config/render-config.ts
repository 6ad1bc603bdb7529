import type { Config, Credentials, InsecureTransport, RegistrySettings } from "./config.ts";

type Entry = Record<string, unknown>;

/**
 * The value that `rkt config` prints as JSON: one entry for each domain and each setting of a registry, sorted, then always one
 * `paths` and one `stage1` entry, and those for the journal and virtual machines that are configured. Credentials are in clear.
 */
export function renderConfig(config: Config): { stage0: Entry[] } {
	return {
		stage0: [
			...sorted(config.auth).map(([domain, credentials]) => authEntry(domain, credentials)),
			...sorted(config.dockerAuth).map(([registry, credentials]) =>
				entry("dockerAuth", { registries: [registry], credentials }),
			),
			...sorted(config.registries).map(([registry, settings]) =>
				entry("registries", { registries: [registry], ...registryMembers(settings) }),
			),
			entry("paths", { data: config.paths.data ?? "", "stage1-images": config.paths.stage1Images ?? "" }),
			entry("stage1", {
				name: config.stage1.name ?? "",
				version: config.stage1.version ?? "",
				location: config.stage1.location ?? "",
			}),
			...(config.journal ? [entry("journal", { maxSize: config.journal.maxSize })] : []),
			...(config.isolation ? [entry("isolation", { privateUsers: config.isolation.privateUsers })] : []),
			...(config.kvm.size > 0 ? [entry("kvm", Object.fromEntries(sorted(config.kvm)))] : []),
		],
	};
}

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
	return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

function authEntry(domain: string, { type, ...credentials }: Credentials): Entry {
	return entry("auth", { domains: [domain], type, credentials });
}

function registryMembers({ mirrors, insecure }: RegistrySettings): Entry {
	const listed = mirrors.map((mirror) => ({
		location: mirror.prefix === "" ? mirror.host : `${mirror.host}/${mirror.prefix}`,
		insecure: insecureWords(mirror.insecure),
	}));
	return { mirrors: listed, insecure: insecureWords(insecure) };
}

function insecureWords({ http, tls }: InsecureTransport): string[] {
	return [...(http ? ["http"] : []), ...(tls ? ["tls"] : [])];
}

function entry(kind: string, members: Entry): Entry {
	return { rktVersion: "v1", rktKind: kind, ...members };
}
