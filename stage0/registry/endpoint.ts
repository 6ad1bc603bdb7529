import { type RegistryReference, registryAliases } from "../../appc/oci/reference.ts";
import type { Config, InsecureTransport } from "../config/config.ts";

/** One place where the repository of a reference is kept. */
export interface Endpoint {
	/** Host, with its port if it has one. */
	readonly host: string;
	/** As it is called there. */
	readonly repository: string;
	readonly insecure: InsecureTransport;
}

/** The mirrors of a registry in their order, then the registry itself. `everywhere` is what `--insecure-options` says. */
export function endpointsOf(
	{ registry, repository }: Pick<RegistryReference, "registry" | "repository">,
	{ registries }: Pick<Config, "registries">,
	everywhere: InsecureTransport,
): Endpoint[] {
	const [settings] = registryAliases(registry).flatMap((host) => registries.get(host) ?? []);
	const join = (insecure: InsecureTransport) => ({
		http: insecure.http || everywhere.http,
		tls: insecure.tls || everywhere.tls,
	});
	const mirrors = settings?.mirrors ?? [];
	return [
		...mirrors.map(({ host, prefix, insecure }) => ({
			host,
			repository: prefix === "" ? repository : `${prefix}/${repository}`,
			insecure: join(insecure),
		})),
		{ host: registry, repository, insecure: join(settings?.insecure ?? { http: false, tls: false }) },
	];
}
