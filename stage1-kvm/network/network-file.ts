import type { GuestLink } from "./guest-links.ts";

/** What stage1-kvm/guest/network.c reads, which describes it. */
export function networkFile(hostname: string, links: readonly GuestLink[]): string {
	const lines = [
		`hostname ${hostname}`,
		...links.flatMap(({ name, mac, mtu, addresses, routes }) => [
			`link ${mac} ${mtu} ${name}`,
			...addresses.map((address) => `address ${name} ${address}`),
			// A gateway can only be named once there is a way to it.
			...[...routes]
				.sort((a, b) => Number(a.gateway !== undefined) - Number(b.gateway !== undefined))
				.map(
					({ destination, gateway = "-", source = "-", metric, onLink }) =>
						`${onLink ? "onlink" : "route"} ${destination} ${gateway} ${source} ${metric} ${name}`,
				),
		]),
	];
	return `${lines.join("\n")}\n`;
}
