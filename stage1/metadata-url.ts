import type { NetInfo } from "./pod-record.ts";

/** Port of the metadata service, since rkt 0.8.1. */
const METADATA_PORT = 18112;

/**
 * Where an app finds the metadata service: on the host's side of the pod's network, which is the first address of the
 * subnet, or on the loopback with host networking. undefined without a token or a network.
 */
export function metadataUrl(
	token: string | undefined,
	networks: readonly NetInfo[] | "host",
): string | undefined {
	if (token === undefined) return undefined;
	if (networks === "host") return `http://127.0.0.1:${METADATA_PORT}/${token}`;
	const network = networks[0];
	if (network === undefined || network.ip === "") return undefined;
	const mask = network.mask.split(".").map(Number);
	const subnet = network.ip.split(".").map((octet, index) => Number(octet) & (mask[index] ?? 0));
	const host = [...subnet.slice(0, 3), (subnet[3] ?? 0) + 1].join(".");
	return `http://${host}:${METADATA_PORT}/${token}`;
}
