import type { Port } from "../../appc/schema/app.ts";
import type { ExposedPort } from "../../appc/schema/pod-manifest.ts";
import { fail } from "../../lib/errors.ts";
import type { PortOwner } from "../network/ports.ts";
import { type ListenSetting, listenText, type PassedSocket } from "./passed-sockets.ts";

/** One socket of an app, as the socket unit in the pod names it. */
export interface ActivationSocket {
	/** Name of the port, which the app finds in LISTEN_FDNAMES. */
	readonly port: string;
	readonly setting: ListenSetting;
	/** Address in the form of systemd.socket(5). */
	readonly address: string;
}

export interface SocketRequest {
	readonly sockets: readonly PassedSocket[];
	readonly apps: readonly PortOwner[];
	/** Ports that --port mapped. */
	readonly exposed: readonly ExposedPort[];
	/** The pod has the host's network. */
	readonly hostNetwork: boolean;
	readonly warn: (message: string) => void;
}

export interface AssignedSockets {
	/** By app, in the order of its ports. */
	readonly byApp: ReadonlyMap<string, readonly ActivationSocket[]>;
	/** The mapped ports for which nobody passed a socket: these are to be forwarded. */
	readonly forwarded: readonly ExposedPort[];
}

/** A port with `socketActivated`, and the app that has it. */
interface Candidate {
	readonly app: string;
	readonly port: Port;
	readonly mappings: readonly ExposedPort[];
	readonly found: PassedSocket[];
}

/**
 * Finds the port of an app for each socket that systemd of the host passed: by `FileDescriptorName=` when that is the
 * name of a port, else by the protocol and the number given with --port. In the pod systemd tells the sockets by their
 * addresses and hands them on. An app whose ports got none has systemd of the pod listen.
 * Errors: `socket-unmatched`, `socket-ambiguous`, `socket-missing`, `port-protocol-unknown`.
 */
export function assignSockets(request: SocketRequest): AssignedSockets {
	const candidates = request.apps.flatMap((owner) => candidatesOf(owner, request.exposed));
	for (const socket of request.sockets) findPort(candidates, socket).found.push(socket);
	warnOfUnmapped(candidates, request.warn);
	const byApp = new Map<string, readonly ActivationSocket[]>();
	for (const { name } of request.apps) {
		const own = candidates.filter(({ app }) => app === name);
		if (own.length > 0) byApp.set(name, socketsOf(own, request));
	}
	const served = new Set(candidates.filter(({ found }) => found.length > 0).flatMap((one) => one.mappings));
	return { byApp, forwarded: request.exposed.filter((entry) => !served.has(entry)) };
}

function candidatesOf({ name: app, ports }: PortOwner, exposed: readonly ExposedPort[]): Candidate[] {
	return ports
		.filter(({ socketActivated }) => socketActivated)
		.map((port) => {
			const mappings = exposed.filter((entry) => entry.podPort === undefined && entry.name === port.name);
			return { app, port, mappings, found: [] };
		});
}

function findPort(candidates: readonly Candidate[], socket: PassedSocket): Candidate {
	const named = candidates.filter(({ port }) => port.name === socket.name && fitsProtocol(port, socket));
	const fitting = named.length > 0 ? named : candidates.filter((candidate) => hasNumber(candidate, socket));
	const [first, second] = fitting;
	const address = listenText(socket.address);
	if (first !== undefined && second !== undefined) {
		return fail(
			"socket-ambiguous",
			`the socket ${address} fits port ${first.port.name} of app ${first.app} and port ${second.port.name} of app ${second.app}`,
			{ hint: "name the port with FileDescriptorName= in a .socket unit of its own" },
		);
	}
	return first ?? unmatched(candidates, address);
}

function unmatched(candidates: readonly Candidate[], address: string): never {
	const ports = candidates.map(({ port }) => port.name);
	return fail("socket-unmatched", `no port of the pod is for the socket ${address} that systemd passed`, {
		hint:
			ports.length === 0
				? "no port of this pod has socketActivated; stop the .socket unit, or set it in the manifest"
				: `map it with --port=NAME:NUMBER, or set FileDescriptorName=NAME in the .socket unit; NAME is one of ${ports.join(", ")}`,
	});
}

/** A Unix socket belongs to a port of protocol unix, tcp when it has connections, or udp when it has none. */
function fitsProtocol(port: Port, { setting, address }: PassedSocket): boolean {
	const protocol = port.protocol.toLowerCase();
	const needed = setting === "ListenDatagram" ? "udp" : "tcp";
	return protocol === needed || (protocol === "unix" && address.family === "unix");
}

function hasNumber({ port, mappings }: Candidate, socket: PassedSocket): boolean {
	const { address } = socket;
	if (address.family === "unix" || !fitsProtocol(port, socket)) return false;
	const isIn = (first: number): boolean => address.port >= first && address.port < first + port.count;
	if (mappings.length === 0) return isIn(port.port);
	return mappings.some(({ hostPort, hostIP }) => isIn(hostPort) && fitsHost(hostIP, address.host));
}

const EVERY_ADDRESS: readonly (string | undefined)[] = [undefined, "0.0.0.0", "::"];

function fitsHost(wanted: string | undefined, bound: string): boolean {
	return wanted === bound || EVERY_ADDRESS.includes(wanted) || EVERY_ADDRESS.includes(bound);
}

function warnOfUnmapped(candidates: readonly Candidate[], warn: SocketRequest["warn"]): void {
	for (const { port, mappings, found } of candidates) {
		const isNamed = found.some(({ name }) => name === port.name);
		if (mappings.length > 0 || isNamed || port.protocol.toLowerCase() === "unix") continue;
		warn(`warning: no --port for the socket-activated port "${port.name}", using ${port.port}`);
	}
}

function socketsOf(own: readonly Candidate[], request: SocketRequest): ActivationSocket[] {
	if (own.every(({ found }) => found.length === 0)) {
		return own.flatMap((candidate) => ownSockets(candidate, request.hostNetwork));
	}
	for (const { app, port, found } of own) {
		if (found.length === 0) request.warn(`warning: app ${app} gets no socket for its port "${port.name}"`);
	}
	return own.flatMap(({ port, found }) =>
		found.map(({ setting, address }) => ({ port: port.name, setting, address: listenText(address) })),
	);
}

/** Sockets that systemd of the pod makes, on the numbers to which the network leads. */
function ownSockets({ app, port, mappings }: Candidate, hostNetwork: boolean): ActivationSocket[] {
	const setting = { tcp: "ListenStream", udp: "ListenDatagram" }[port.protocol.toLowerCase()];
	if (setting === undefined) return noListener(app, port);
	const first = (hostNetwork ? mappings[0]?.hostPort : undefined) ?? port.port;
	return Array.from({ length: port.count }, (_, offset) => ({
		port: port.name,
		setting: setting as ListenSetting,
		address: String(first + offset),
	}));
}

function noListener(app: string, { name, protocol }: Port): never {
	if (protocol.toLowerCase() === "unix") {
		return fail("socket-missing", `nobody passed the Unix socket for port ${name} of app ${app}`, {
			hint: `start the pod by a .socket unit with FileDescriptorName=${name}`,
		});
	}
	return fail("port-protocol-unknown", `port ${name}: systemd has no sockets for the protocol ${protocol}`, {
		hint: "a port with socketActivated is tcp, udp or unix",
	});
}
