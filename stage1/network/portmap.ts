import { OWN_CNI_VERSION } from "./built-in-networks.ts";
import type { Network, PluginConfig } from "./config.ts";
import type { ForwardingRecord } from "./forwarding-record.ts";
import { runPlugin } from "./plugins.ts";
import type { ForwardedPort, NetworkContext } from "./types.ts";

/** Where the ports lead; for DEL the record is enough. */
export interface PortmapTarget {
	readonly network?: Network;
	/** "" when it is gone. */
	readonly namespace: string;
	readonly lockFd: number;
}

/**
 * portmap gets a result of our own making: networks of versions that know no chaining can be forwarded to as
 * well. A chained list that has portmap itself decides its settings.
 * Errors: `network-plugin-failed`.
 */
export function callPortmap(
	context: NetworkContext,
	command: "ADD" | "DEL",
	record: ForwardingRecord,
	target: PortmapTarget,
): void {
	const configured = target.network?.plugins.find(({ type }) => type === "portmap");
	const config: PluginConfig = {
		snat: true,
		...configured,
		type: "portmap",
		capabilities: { portMappings: true },
		runtimeConfig: { portMappings: record.ports.map(toPortMapping) },
	};
	runPlugin(context, {
		command,
		networkName: record.networkName,
		cniVersion: OWN_CNI_VERSION,
		config,
		namespace: target.namespace,
		ifName: record.ifName,
		args: "",
		prevResult: {
			cniVersion: OWN_CNI_VERSION,
			interfaces: [{ name: record.ifName, sandbox: target.namespace || "gone" }],
			ips: [{ version: "4", address: record.podAddress, interface: 0 }],
			dns: {},
		},
		lockFd: target.lockFd,
	});
}

/** The form of the capability `portMappings` (CNI conventions). */
function toPortMapping(port: ForwardedPort): Record<string, unknown> {
	return {
		hostPort: port.hostPort,
		containerPort: port.podPort,
		protocol: port.protocol,
		...(port.hostIP === undefined ? {} : { hostIP: port.hostIP }),
	};
}
