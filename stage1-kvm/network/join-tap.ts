import * as fs from "node:fs";
import { fail } from "../../lib/errors.ts";
import { runCommand } from "../../lib/process.ts";
import type { Nic } from "../hypervisors/hypervisor.ts";
import { type GuestLink, ip } from "./guest-links.ts";

/**
 * Joins an interface of the pod's namespace to a card of the guest: a tap device, and every frame that arrives at one of
 * them leaves at the other. The guest's card has the address of the interface, so that nobody outside sees a difference.
 * The host's kernel sees none of these frames, so it answers nothing although the interface keeps its addresses: ipvlan
 * delivers by them, and a plugin's DEL looks for them. Nothing is left to undo: all of it vanishes with the namespace.
 * Errors: `guest-network-failed`.
 */
export function joinTap(link: GuestLink, index: number): Nic {
	const tap = `tap${index}`;
	ip(["tuntap", "add", "dev", tap, "mode", "tap"]);
	silence(tap);
	ip(["link", "set", "dev", tap, "mtu", String(link.mtu), "up"]);
	// Which groups the guest joins is not known here.
	ip(["link", "set", "dev", link.name, "allmulticast", "on"]);
	redirect(link.name, tap);
	redirect(tap, link.name);
	return { tap, mac: link.mac, mtu: link.mtu };
}

/** The host's kernel would show itself to the guest with an IPv6 address of the device. */
function silence(tap: string): void {
	const file = `/proc/sys/net/ipv6/conf/${tap}/disable_ipv6`;
	if (fs.existsSync(file)) fs.writeFileSync(file, "1");
}

/** tc-mirred(8); of the classifiers that match everything u32 is the one that small kernels have too. */
function redirect(from: string, to: string): void {
	tc(["qdisc", "add", "dev", from, "ingress"]);
	const everything = ["protocol", "all", "prio", "1", "u32", "match", "u32", "0", "0"];
	const action = ["action", "mirred", "egress", "redirect", "dev", to];
	tc(["filter", "add", "dev", from, "parent", "ffff:", ...everything, ...action]);
}

function tc(args: readonly string[]): void {
	const result = runCommand("tc", [...args]);
	if (result.status === 0) return;
	fail("guest-network-failed", `tc ${args.join(" ")}: ${result.stderr.trim()}`, {
		hint: "the host's kernel needs the tc classifier u32 and its action mirred",
	});
}
