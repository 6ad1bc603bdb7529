import * as z from "zod/mini";
import { fail } from "../../lib/errors.ts";
import { runCommand } from "../../lib/process.ts";

/** One interface of the pod's network namespace as the plugins left it. */
export interface GuestLink {
	readonly name: string;
	readonly mac: string;
	readonly mtu: number;
	/** ADDRESS/PREFIX, of both families; none that the kernel gave by itself. */
	readonly addresses: readonly string[];
	readonly routes: readonly GuestRoute[];
}

export interface GuestRoute {
	/** ADDRESS/PREFIX. */
	readonly destination: string;
	/** undefined: the destination is on the link. */
	readonly gateway: string | undefined;
}

const Links = z.array(
	z.object({
		ifname: z.string(),
		link_type: z.string(),
		address: z.optional(z.string()),
		mtu: z.number(),
		addr_info: z.array(
			z.object({
				family: z.string(),
				local: z.optional(z.string()),
				prefixlen: z.number(),
				scope: z.string(),
			}),
		),
	}),
);
const Routes = z.array(
	z.object({
		dst: z.string(),
		gateway: z.optional(z.string()),
		dev: z.optional(z.string()),
		protocol: z.optional(z.string()),
		type: z.optional(z.string()),
	}),
);

/**
 * Reads what is really there, in the namespace of this process: any plugin gives the guest exactly what it gave the
 * namespace. Errors: `guest-network-failed`.
 */
export function readGuestLinks(): GuestLink[] {
	const links = Links.parse(JSON.parse(ip(["-json", "address", "show"])));
	const routes = [
		...Routes.parse(JSON.parse(ip(["-4", "-json", "route", "show"]))),
		...Routes.parse(JSON.parse(ip(["-6", "-json", "route", "show"]))),
	];
	return links
		.filter((link) => link.link_type === "ether")
		.map((link) => ({
			name: link.ifname,
			mac: link.address ?? "",
			mtu: link.mtu,
			addresses: link.addr_info
				.filter(({ local, scope }) => local !== undefined && scope !== "link")
				.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
			routes: routes.filter((route) => route.dev === link.ifname && isOurs(route)).map(toRoute),
		}));
}

/** The kernel makes its own again from the addresses. */
function isOurs({ protocol, type }: { protocol?: string | undefined; type?: string | undefined }): boolean {
	return protocol !== "kernel" && (type ?? "unicast") === "unicast";
}

function toRoute({ dst, gateway }: { dst: string; gateway?: string | undefined }): GuestRoute {
	const six = dst.includes(":") || gateway?.includes(":") === true;
	const everything = six ? "::/0" : "0.0.0.0/0";
	const whole = dst.includes("/") ? dst : `${dst}/${six ? 128 : 32}`;
	return { destination: dst === "default" ? everything : whole, gateway };
}

/** ip(8) of iproute2. */
export function ip(args: readonly string[]): string {
	const result = runCommand("ip", [...args]);
	if (result.status === 0) return result.stdout;
	return fail("guest-network-failed", `ip ${args.join(" ")}: ${result.stderr.trim()}`);
}
