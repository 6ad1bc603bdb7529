import * as z from "zod/mini";
import { fail } from "../../lib/errors.ts";
import { parseJson } from "../../lib/json.ts";
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
	/** The address that packets to there are from, unless the sender has chosen one. */
	readonly source: string | undefined;
	/** 0: what the kernel of the guest takes by itself. */
	readonly metric: number;
	/** The gateway is on the link, though no address or route says so. */
	readonly onLink: boolean;
}

/** Words of the file for the guest, which are parted by spaces. */
const word = z.string().check(z.regex(/^[\x21-\x7e]+$/));

/** `ip -json address show` */
const LINKS = z.array(
	z.object({
		ifname: word,
		link_type: z.string(),
		address: z.optional(word),
		mtu: z.int(),
		addr_info: z.array(
			z.object({
				family: z.string(),
				local: z.optional(word),
				prefixlen: z.int(),
				scope: z.string(),
				dynamic: z.optional(z.boolean()),
			}),
		),
	}),
);
/** `ip -json route show`; what is left out there is ordinary. */
const ROUTES = z.array(
	z.object({
		dst: word,
		gateway: z.optional(word),
		prefsrc: z.optional(word),
		metric: z.optional(z.int().check(z.minimum(0))),
		dev: z.optional(z.string()),
		flags: z.optional(z.array(z.string())),
		protocol: z.optional(z.string()),
		type: z.optional(z.string()),
	}),
);
type Address = z.infer<typeof LINKS>[number]["addr_info"][number];
type Route = z.infer<typeof ROUTES>[number];

/**
 * Reads what is really there, in the namespace of this process: any plugin gives the guest exactly what it gave the
 * namespace. Errors: `guest-network-failed`, `json-invalid`.
 */
export function readGuestLinks(): GuestLink[] {
	const links = ask(LINKS, ["-json", "address", "show"]);
	const routes = [...readRoutes("-4"), ...readRoutes("-6")];
	return links
		.filter((link) => link.link_type === "ether")
		.map((link) => ({
			name: link.ifname,
			mac: link.address ?? "",
			mtu: link.mtu,
			addresses: link.addr_info.filter(isGiven).map(({ local, prefixlen }) => `${local}/${prefixlen}`),
			routes: routes.filter(({ dev }) => dev === link.ifname).map(({ route }) => route),
		}));
}

/** The guest makes its own address of the link, and learns those that a router advertises. */
function isGiven({ family, local, scope, dynamic }: Address): boolean {
	return local !== undefined && scope !== "link" && !(family === "inet6" && dynamic === true);
}

/**
 * Those that came with an address too: a plugin may have removed them, as ptp does, so the guest makes none by itself.
 */
function isRouteOfGuest({ dst, protocol, type = "unicast" }: Route): boolean {
	return type === "unicast" && protocol !== "ra" && !dst.startsWith("fe80:");
}

function readRoutes(family: "-4" | "-6"): { dev: string | undefined; route: GuestRoute }[] {
	const [everything, bits] = family === "-6" ? ["::/0", 128] : ["0.0.0.0/0", 32];
	return ask(ROUTES, [family, "-json", "route", "show"])
		.filter(isRouteOfGuest)
		.map(({ dst, gateway, prefsrc: source, metric = 0, flags = [], dev }) => {
			const whole = dst.includes("/") ? dst : `${dst}/${bits}`;
			const destination = dst === "default" ? everything : whole;
			return { dev, route: { destination, gateway, source, metric, onLink: flags.includes("onlink") } };
		});
}

function ask<Schema extends z.ZodMiniType>(schema: Schema, args: readonly string[]): z.infer<Schema> {
	const result = schema.safeParse(parseJson(ip(args), `ip ${args.join(" ")}`));
	if (result.success) return result.data;
	const issue = result.error.issues[0];
	return fail("guest-network-failed", `ip ${args.join(" ")}: ${issue?.path.join(".")}: ${issue?.message}`, {
		hint: "this version of iproute2 prints something else than the known ones",
	});
}

/** ip(8) of iproute2. */
export function ip(args: readonly string[]): string {
	const result = runCommand("ip", [...args]);
	if (result.status === 0) return result.stdout;
	return fail("guest-network-failed", `ip ${args.join(" ")}: ${result.stderr.trim()}`, {
		hint: "the host's kernel needs tap devices (/dev/net/tun)",
	});
}
