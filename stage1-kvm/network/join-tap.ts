import { fail } from "../../lib/errors.ts";
import { runCommand } from "../../lib/process.ts";
import type { Nic } from "../hypervisors/hypervisor.ts";
import { type GuestLink, ip } from "./guest-links.ts";

/**
 * Joins an interface of the pod's namespace to a card of the guest: a tap device, and every frame that arrives at one of
 * them leaves at the other. The guest's card has the address of the interface, so that nobody outside sees a difference;
 * the host's kernel gives up the interface's own addresses and takes no part. All of it vanishes with the namespace.
 * Errors: `guest-network-failed`.
 */
export function joinTap(link: GuestLink, index: number): Nic {
	const tap = `tap${index}`;
	ip(["tuntap", "add", "dev", tap, "mode", "tap"]);
	ip(["link", "set", "dev", tap, "mtu", String(link.mtu), "up"]);
	ip(["address", "flush", "dev", link.name]);
	ip(["link", "set", "dev", link.name, "promisc", "on"]);
	redirect(link.name, tap);
	redirect(tap, link.name);
	return { tap, mac: link.mac, mtu: link.mtu };
}

/** tc-mirred(8) */
function redirect(from: string, to: string): void {
	tc(["qdisc", "add", "dev", from, "ingress"]);
	const everything = ["protocol", "all", "prio", "1", "u32", "match", "u32", "0", "0"];
	const action = ["action", "mirred", "egress", "redirect", "dev", to];
	tc(["filter", "add", "dev", from, "parent", "ffff:", ...everything, ...action]);
}

function tc(args: readonly string[]): void {
	const result = runCommand("tc", [...args]);
	if (result.status !== 0) fail("guest-network-failed", `tc ${args.join(" ")}: ${result.stderr.trim()}`);
}
