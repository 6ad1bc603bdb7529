import { isIPv4 } from "node:net";
import type { Port } from "../../appc/schema/app.ts";
import type { ExposedPort } from "../../appc/schema/pod-manifest.ts";
import { fail } from "../../lib/errors.ts";
import type { ForwardedPort, Protocol } from "./types.ts";

/** An app of the pod with the ports of its effective `app` section. */
export interface PortOwner {
	readonly name: string;
	readonly ports: readonly Port[];
}

const EVERY_ADDRESS = "0.0.0.0";

/**
 * Finds what each exposed port leads to: its `podPort`, else the port of that name among all apps. A port
 * with `count` becomes that many, on consecutive numbers on both sides.
 * Errors: `port-not-found`, `port-ambiguous`, `port-invalid`, `port-in-use`.
 */
export function matchPorts(exposed: readonly ExposedPort[], apps: readonly PortOwner[]): ForwardedPort[] {
	const forwarded: ForwardedPort[] = [];
	for (const entry of exposed) {
		const target = entry.podPort ?? findPort(entry.name, apps);
		for (const port of expand(entry, target)) {
			const taken = forwarded.find((other) => portsConflict(other, port));
			if (taken)
				fail("port-in-use", `port ${entry.name}: ${describePort(port)} is forwarded twice in this pod`);
			forwarded.push(port);
		}
	}
	return forwarded;
}

/** Same protocol and number on the same address, or one of them on every address. */
export function portsConflict(a: ForwardedPort, b: ForwardedPort): boolean {
	const sameAddress = a.hostIP === undefined || b.hostIP === undefined || a.hostIP === b.hostIP;
	return sameAddress && a.protocol === b.protocol && a.hostPort === b.hostPort;
}

/** `8080/tcp` or `127.0.0.1:8080/tcp`. */
export function describePort(port: ForwardedPort): string {
	return `host port ${port.hostIP ? `${port.hostIP}:` : ""}${port.hostPort}/${port.protocol}`;
}

function findPort(name: string, apps: readonly PortOwner[]): Port {
	const found = apps.flatMap((app) =>
		app.ports.filter((port) => port.name === name).map((port) => ({ app: app.name, port })),
	);
	const [first, second] = found;
	if (first === undefined) {
		const names = apps.flatMap((app) => app.ports.map((port) => port.name));
		return fail("port-not-found", `port name "${name}" could not be found in any apps`, {
			hint: names.length > 0 ? `the apps have: ${names.join(", ")}` : "no app of this pod has a port",
		});
	}
	if (second === undefined) return first.port;
	return fail("port-ambiguous", `port name "${name}" is in app ${first.app} and in app ${second.app}`, {
		hint: "give the port's number with podPort in a pod manifest",
	});
}

function expand(entry: ExposedPort, target: Port): ForwardedPort[] {
	const last = entry.hostPort + target.count - 1;
	if (entry.hostPort < 1 || last > 65535) {
		fail(
			"port-invalid",
			`port ${entry.name}: host ports ${entry.hostPort} to ${last} are not within 1 to 65535`,
		);
	}
	const protocol = readProtocol(entry.name, target.protocol);
	const hostIP = readHostIP(entry);
	return Array.from({ length: target.count }, (_, offset) => ({
		protocol,
		...(hostIP === undefined ? {} : { hostIP }),
		hostPort: entry.hostPort + offset,
		podPort: target.port + offset,
	}));
}

function readProtocol(name: string, protocol: string): Protocol {
	const lower = protocol.toLowerCase();
	if (lower === "tcp" || lower === "udp") return lower;
	return fail("port-invalid", `port ${name}: protocol ${protocol} cannot be forwarded, only tcp and udp`);
}

function readHostIP({ name, hostIP }: ExposedPort): string | undefined {
	if (hostIP === undefined || hostIP === EVERY_ADDRESS) return undefined;
	if (isIPv4(hostIP)) return hostIP;
	return fail("port-invalid", `port ${name}: ${hostIP} is no IPv4 address, and only those are forwarded`);
}
