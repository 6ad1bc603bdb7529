/** CNI version of the configurations that rkt makes itself; the plugins of Debian 12 and newer speak it. */
export const OWN_CNI_VERSION = "0.4.0";

export interface BuiltInNetwork {
	/** Base name; it decides the order among the administrator's files. */
	readonly fileName: string;
	readonly text: string;
}

/** Networks of a machine without any configuration (network.md section 2 of the reference). */
export const BUILT_IN_NETWORKS: readonly BuiltInNetwork[] = [
	{
		fileName: "99-default.conf",
		text: pointToPoint("default", true, "172.16.28.0/24", [{ dst: "0.0.0.0/0" }]),
	},
	{
		fileName: "99-default-restricted.conf",
		text: pointToPoint("default-restricted", false, "172.31.0.0/16", []),
	},
];

function pointToPoint(name: string, ipMasq: boolean, subnet: string, routes: { dst: string }[]): string {
	const ipam = { type: "host-local", subnet, ...(routes.length > 0 ? { routes } : {}) };
	const config = { cniVersion: OWN_CNI_VERSION, name, type: "ptp", ipMasq, ipam };
	return `${JSON.stringify(config, undefined, "\t")}\n`;
}
