import type { Nic } from "../hypervisors/hypervisor.ts";
import { readGuestLinks } from "./guest-links.ts";
import { joinTap } from "./join-tap.ts";
import { networkFile } from "./network-file.ts";

export interface GuestNetwork {
	readonly nics: readonly Nic[];
	/** Text of the file that the guest configures itself by. */
	readonly text: string;
}

/** Gives the guest the network that the plugins made in the namespace in which this process is. */
export function setUpGuestNetwork(hostname: string): GuestNetwork {
	const links = readGuestLinks();
	return { nics: links.map(joinTap), text: networkFile(hostname, links) };
}
