import { fail, isErrno } from "../../lib/errors.ts";
import type { SocketAddress, SocketState } from "../../lib/syscall/socket-state.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";

/** A setting of systemd.socket(5). */
export type ListenSetting = "ListenStream" | "ListenDatagram" | "ListenSequentialPacket";

/** A socket on which systemd of the host listens for this pod. */
export interface PassedSocket {
	/** `FileDescriptorName=` of the host's unit, which is the unit's own name by default; empty when unknown. */
	readonly name: string;
	readonly setting: ListenSetting;
	readonly address: Exclude<SocketAddress, { family: "other" }>;
}

const FIRST = 3;
const LIMIT = 1024;
const SETTINGS: Readonly<Record<string, ListenSetting>> = {
	stream: "ListenStream",
	datagram: "ListenDatagram",
	seqpacket: "ListenSequentialPacket",
};
const NO_ACCEPT = "leave Accept= out of the .socket unit: the pod gets the listening socket";

/** The descriptors that systemd passed (sd_listen_fds(3)) when they are meant for this process. */
export function passedDescriptors(environment: Readonly<Record<string, string>>, pid: number): number[] {
	const count = Number(environment.LISTEN_FDS ?? "0");
	if (environment.LISTEN_PID !== String(pid) || !Number.isInteger(count) || count < 1 || count > LIMIT) {
		return [];
	}
	return Array.from({ length: count }, (_, index) => FIRST + index);
}

/**
 * What the passed descriptors are. Errors: `socket-unsupported` for everything that is no listening socket of the
 * families inet, inet6 and unix, such as a connection of a unit with `Accept=yes`.
 */
export function readPassedSockets(
	syscall: Syscall,
	environment: Readonly<Record<string, string>>,
	pid: number,
): PassedSocket[] {
	const names = (environment.LISTEN_FDNAMES ?? "").split(":");
	return passedDescriptors(environment, pid).map((fd, index) => {
		const what = `descriptor ${fd} that systemd passed`;
		const { type, listening, address } = describe(syscall, fd, what);
		const setting = SETTINGS[type];
		if (setting === undefined || address.family === "other") {
			return unsupported(`${what} is neither a TCP, UDP nor Unix socket`);
		}
		if (type !== "datagram" && !listening) unsupported(`${what} is a connection`, NO_ACCEPT);
		if (address.family === "unix" && !/^[/@]./.test(address.path)) {
			unsupported(`${what} is a Unix socket without an absolute path`);
		}
		return { name: names[index] ?? "", setting, address };
	});
}

/** As systemd.socket(5) writes it. */
export function listenText(address: PassedSocket["address"]): string {
	if (address.family === "unix") return address.path;
	return `${address.family === "inet6" ? `[${address.host}]` : address.host}:${address.port}`;
}

function describe(syscall: Syscall, fd: number, what: string): SocketState {
	try {
		return syscall.describeSocket(fd);
	} catch (error) {
		if (!isErrno(error, "ENOTSOCK", "EBADF")) throw error;
		return unsupported(`${what} is no socket`);
	}
}

function unsupported(message: string, hint?: string): never {
	return fail("socket-unsupported", message, {
		hint: hint ?? "a pod takes ListenStream=, ListenDatagram= and ListenSequentialPacket= of a .socket unit",
	});
}
