import * as fs from "node:fs";
import * as path from "node:path";
import * as z from "zod/mini";
import { fail, isErrno } from "../../lib/errors.ts";
import { listDirectory } from "../../lib/files.ts";
import { parseJson } from "../../lib/json.ts";
import type { Log } from "../../lib/log.ts";
import { BUILT_IN_NETWORKS } from "./built-in-networks.ts";
import type { NetList } from "./net-list.ts";
import { readTrustedFile } from "./trusted-file.ts";

/** The configuration of one plugin; what rkt does not know is kept and handed on. */
export type PluginConfig = Readonly<Record<string, unknown>> & { readonly type: string };

/** A configured network. */
export interface Network {
	readonly name: string;
	/** Base name of the file: networks are joined in its order, and the pod's copy has it. */
	readonly fileName: string;
	/** Where it was read, for messages. */
	readonly source: string;
	/** The file as it is. */
	readonly text: string;
	/** Version of the CNI specification that the plugins are to speak; 0.1.0 when the file says nothing. */
	readonly cniVersion: string;
	/** In the order of ADD; more than one only in a chained list. */
	readonly plugins: readonly PluginConfig[];
}

const FILE_NAME = /\.(?:conf|conflist|json)$/;
const MAX_CONFIG_BYTES = 1024 * 1024;

/** A plugin is searched in directories, so its type is no path (CVE-2021-20206). */
const pluginType = z
	.string()
	.check(z.regex(/^(?!\.{1,2}$)[^/\0]+$/, "must be the name of a plugin, no path"));
/** The name becomes a directory of host-local (CNI specification, section 1). */
const networkName = z
	.string()
	.check(z.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, "must be letters, digits, and _ . - after the first"));
const cniVersion = z.optional(z.string().check(z.regex(/^[0-9]+\.[0-9]+\.[0-9]+$/, "must be like 0.4.0")));

const plugin = z.looseObject({
	type: pluginType,
	ipMasq: z.optional(z.boolean()),
	ipam: z.nullish(z.looseObject({ type: z.optional(z.union([pluginType, z.literal("")])) })),
});
const chained = z.looseObject({
	name: networkName,
	cniVersion,
	plugins: z.array(plugin).check(z.minLength(1, "must name at least one plugin")),
});
const single = z.extend(plugin, { name: networkName, cniVersion });

/**
 * Every network that is configured, in the order of file names: the files of `<local-config>/net.d` and the
 * built-in networks, of which a file with the same network name takes the place.
 * Errors: `network-config-invalid`, `network-config-untrusted`, `json-invalid`.
 */
export function loadNetworks(localConfig: string, log: Log): Network[] {
	const byName = new Map<string, Network>();
	const directory = path.join(localConfig, "net.d");
	for (const fileName of listDirectory(directory).filter((name) => FILE_NAME.test(name))) {
		const network = readNetwork(directory, fileName);
		if (network === undefined) continue;
		if (byName.has(network.name)) {
			log.info(`"${network.name}" network already defined, ignoring ${fileName}`);
		} else byName.set(network.name, network);
	}
	for (const { fileName, text } of BUILT_IN_NETWORKS) {
		const network = parseNetwork(text, fileName, `built-in ${fileName}`);
		const override = byName.get(network.name);
		if (override) log.debug(`overriding "${network.name}" network with one from ${override.source}`);
		else byName.set(network.name, network);
	}
	return [...byName.values()].sort((a, b) => (a.fileName < b.fileName ? -1 : 1));
}

/** The networks that --net asks for. Errors: `network-not-found`, naming all that are missing. */
export function selectNetworks(networks: readonly Network[], net: NetList): Network[] {
	if (net.kind !== "networks") return [];
	const missing = [...net.args.keys()].filter((name) => !networks.some((network) => network.name === name));
	if (missing.length > 0) {
		fail("network-not-found", `networks not found: ${missing.sort().join(", ")}`, {
			hint: `configured are: ${networks.map((network) => network.name).join(", ")}`,
		});
	}
	return networks.filter((network) => net.all || net.args.has(network.name));
}

/** Reads one configuration: a network of one plugin, or a chained list with the member `plugins`. */
export function parseNetwork(text: string, fileName: string, source: string): Network {
	const value = parseJson(text, source, { maxBytes: MAX_CONFIG_BYTES });
	const isChained = typeof value === "object" && value !== null && "plugins" in value;
	const result = isChained ? chained.safeParse(value) : single.safeParse(value);
	if (!result.success) {
		const issue = result.error.issues[0];
		return fail("network-config-invalid", `${source}: ${issue?.path.join(".")}: ${issue?.message}`, {
			hint: "mend the file; the form is that of the CNI specification",
		});
	}
	const plugins = ("plugins" in result.data ? result.data.plugins : [result.data]) as PluginConfig[];
	const { name, cniVersion = "0.1.0" } = result.data;
	return { name, fileName, source, text, cniVersion, plugins };
}

/** True when the pods of this network reach others with the address of the host. */
export function isMasqueraded(network: Network): boolean {
	return network.plugins.some((config) => config.ipMasq === true);
}

/** undefined for what is no regular file. */
function readNetwork(directory: string, fileName: string): Network | undefined {
	const file = path.join(directory, fileName);
	try {
		if (!fs.statSync(file).isFile()) return undefined;
		const text = readTrustedFile(file, MAX_CONFIG_BYTES, "network-config-untrusted");
		return parseNetwork(text, fileName, file);
	} catch (error) {
		if (isErrno(error, "ENOENT")) return undefined;
		throw error;
	}
}
