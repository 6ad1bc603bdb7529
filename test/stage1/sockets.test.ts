import * as net from "node:net";
import * as path from "node:path";
import t from "tap";
import type { Port } from "../../appc/schema/app.ts";
import { createFakeSyscall } from "../../lib/syscall/fake.ts";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import { decodeSocketAddress, type SocketState } from "../../lib/syscall/socket-state.ts";
import {
	type AssignedSockets,
	assignSockets,
	type SocketRequest,
} from "../../stage1/sockets/assign-sockets.ts";
import {
	listenText,
	type PassedSocket,
	passedDescriptors,
	readPassedSockets,
} from "../../stage1/sockets/passed-sockets.ts";

const port = (name: string, protocol: string, number: number, more: Partial<Port> = {}): Port => ({
	...{ name, protocol, port: number, count: 1, socketActivated: true },
	...more,
});
const inet = (number: number, host = "0.0.0.0", name = ""): PassedSocket => ({
	name,
	setting: "ListenStream",
	address: { family: host.includes(":") ? "inet6" : "inet", host, port: number },
});
const unix = (name: string, setting: PassedSocket["setting"] = "ListenStream"): PassedSocket => ({
	...{ name, setting, address: { family: "unix", path: `/run/${name}` } },
});
const datagram = (socket: PassedSocket): PassedSocket => ({ ...socket, setting: "ListenDatagram" });

const warnings: string[] = [];
function assign(request: Partial<SocketRequest>): AssignedSockets {
	warnings.length = 0;
	const warn = (message: string): void => void warnings.push(message);
	return assignSockets({ sockets: [], apps: [], exposed: [], hostNetwork: false, warn, ...request });
}

/** Port and address of each socket of an app. */
function socketsOf(assigned: AssignedSockets, app = "web"): string[] {
	return (assigned.byApp.get(app) ?? []).map((one) => `${one.port} ${one.setting.slice(6)} ${one.address}`);
}

const WEB = {
	name: "web",
	ports: [port("http", "tcp", 80), port("dns", "UDP", 53), port("admin", "unix", 1)],
};
const ADMIN = unix("admin");

t.test("sockets find their ports by number and protocol, or by name", (t) => {
	const exposed = [
		{ name: "http", hostPort: 8080 },
		{ name: "dns", hostPort: 8080 },
	];
	const sockets = [datagram(inet(8080)), ADMIN, inet(8080, "::1"), inet(8080, "127.0.0.1")];
	const found = assign({ apps: [WEB], exposed, sockets });
	t.strictSame(socketsOf(found), [
		"http Stream [::1]:8080",
		"http Stream 127.0.0.1:8080",
		"dns Datagram 0.0.0.0:8080",
		"admin Stream /run/admin",
	]);
	t.strictSame(found.forwarded, [], "what was passed is not forwarded");
	t.strictSame(warnings, []);

	const named = assign({ apps: [WEB], sockets: [inet(4711, "::", "http"), datagram(inet(53)), ADMIN] });
	t.strictSame(socketsOf(named), [
		"http Stream [::]:4711",
		"dns Datagram 0.0.0.0:53",
		"admin Stream /run/admin",
	]);
	t.strictSame(warnings, ['warning: no --port for the socket-activated port "dns", using 53']);
	t.end();
});

t.test("ranges of ports and addresses of the host", (t) => {
	const apps = [{ name: "web", ports: [port("http", "tcp", 80, { count: 3 })] }];
	const exposed = [{ name: "http", hostPort: 8000, hostIP: "10.0.0.1" }];
	const found = assign({ apps, exposed, sockets: [inet(8002, "10.0.0.1"), inet(8000)] });
	t.strictSame(socketsOf(found), ["http Stream 10.0.0.1:8002", "http Stream 0.0.0.0:8000"]);
	for (const stray of [inet(8003, "10.0.0.1"), inet(8000, "10.0.0.2"), inet(80), datagram(inet(8000))]) {
		t.throws(() => assign({ apps, exposed, sockets: [stray] }), { code: "socket-unmatched" });
	}
	t.end();
});

t.test("sockets that are for no port, or for two", (t) => {
	const other = { name: "other", ports: [port("http", "tcp", 80)] };
	t.throws(() => assign({ apps: [WEB, other], sockets: [inet(80)] }), {
		code: "socket-ambiguous",
		message: "the socket 0.0.0.0:80 fits port http of app web and port http of app other",
	});
	const plain = { name: "web", ports: [port("http", "tcp", 80, { socketActivated: false })] };
	t.throws(() => assign({ apps: [plain], sockets: [inet(80)] }), { code: "socket-unmatched" });
	t.throws(() => assign({ apps: [WEB], sockets: [unix("http.socket")] }), {
		code: "socket-unmatched",
		hint: /FileDescriptorName=NAME in the \.socket unit; NAME is one of http, dns, admin/,
	});
	t.throws(() => assign({ apps: [WEB], sockets: [unix("dns")] }), { code: "socket-unmatched" }, "dns is udp");
	const datagrams = assign({ apps: [WEB], sockets: [unix("dns", "ListenDatagram")] });
	t.strictSame(socketsOf(datagrams), ["dns Datagram /run/dns"]);
	t.strictSame(warnings.slice(1), [
		'warning: app web gets no socket for its port "http"',
		'warning: app web gets no socket for its port "admin"',
	]);
	t.end();
});

t.test("without passed sockets systemd of the pod listens", (t) => {
	const apps = [{ name: "web", ports: [port("http", "tcp", 80, { count: 2 })] }];
	const exposed = [{ name: "http", hostPort: 8080 }];
	const own = assign({ apps, exposed });
	t.strictSame(socketsOf(own), ["http Stream 80", "http Stream 81"]);
	t.strictSame(own.forwarded, exposed);
	t.strictSame(socketsOf(assign({ apps, exposed, hostNetwork: true })), [
		"http Stream 8080",
		"http Stream 8081",
	]);
	t.throws(() => assign({ apps: [WEB] }), { code: "socket-missing" });
	const sctp = { name: "web", ports: [port("x", "sctp", 1)] };
	t.throws(() => assign({ apps: [sctp] }), { code: "port-protocol-unknown" });
	t.equal(assign({ apps: [{ name: "web", ports: [] }] }).byApp.size, 0);
	t.end();
});

t.test("what systemd passed", (t) => {
	t.strictSame(passedDescriptors({ LISTEN_FDS: "2", LISTEN_PID: "7" }, 7), [3, 4]);
	for (const [count, pid] of [
		["2", "8"],
		["x", "7"],
		["-1", "7"],
		["0", "7"],
		["99999", "7"],
		["1.5", "7"],
	] as const) {
		t.strictSame(passedDescriptors({ LISTEN_FDS: count, LISTEN_PID: pid }, 7), [], `${count} ${pid}`);
	}
	const read = (state: SocketState, names = "a:b"): PassedSocket[] => {
		const syscall = createFakeSyscall({ describeSocket: () => state });
		return readPassedSockets(syscall, { LISTEN_FDS: "2", LISTEN_PID: "7", LISTEN_FDNAMES: names }, 7);
	};
	const address = { family: "inet", host: "1.2.3.4", port: 5 } as const;
	t.strictSame(
		read({ type: "stream", listening: true, address }).map(({ name }) => name),
		["a", "b"],
	);
	t.strictSame(read({ type: "datagram", listening: false, address }, "")[1], {
		...{ name: "", setting: "ListenDatagram", address },
	});
	const refused: SocketState[] = [
		{ type: "stream", listening: false, address },
		{ type: "other", listening: true, address },
		{ type: "stream", listening: true, address: { family: "other", number: 40 } },
		{ type: "stream", listening: true, address: { family: "unix", path: "" } },
		{ type: "stream", listening: true, address: { family: "unix", path: "relative" } },
	];
	for (const state of refused) t.throws(() => read(state), { code: "socket-unsupported" });
	t.end();
});

t.test("addresses as the kernel writes them", async (t) => {
	const text = (hex: string): string =>
		listenText(decodeSocketAddress(Buffer.from(hex, "hex")) as PassedSocket["address"]);
	t.equal(text("02001f907f0000010000000000000000"), "127.0.0.1:8080");
	t.equal(text(`0a001f9000000000${"00".repeat(15)}0100000000`), "[::1]:8080");
	t.equal(text(`0a00005000000000fd${"00".repeat(14)}0a00000000`), "[fd00::a]:80");
	t.equal(text(`0100${Buffer.from("/run/x").toString("hex")}00`), "/run/x");
	t.equal(text(`010000${Buffer.from("name").toString("hex")}`), "@name");

	const syscall = createLinuxSyscall();
	const server = net.createServer();
	const file = path.join(t.testdir({}), "socket");
	await new Promise<void>((resolve) => server.listen(file, resolve));
	const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
	t.strictSame(syscall.describeSocket(fd), {
		...{ type: "stream", listening: true, address: { family: "unix", path: file } },
	});
	t.throws(() => syscall.describeSocket(2000), { code: "EBADF" });
	server.close();
});
