import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fail } from "../../lib/errors.ts";
import { makeDirectories } from "../../lib/files.ts";
import { lockPath } from "../../lib/lock.ts";
import type { Log } from "../../lib/log.ts";
import type { Syscall } from "../../lib/syscall/syscall.ts";
import type { PassedSocket } from "../../stage1/sockets/passed-sockets.ts";
import type { Route } from "./answer.ts";
import { createHttpServer } from "./http-server.ts";
import { kindOfSocket, listen, listenOnSocket, type SocketKind } from "./listen.ts";
import { publicRoutes } from "./public-routes.ts";
import { registrationRoutes } from "./registration-routes.ts";
import { openRegistry } from "./registry.ts";
import { openSigningKey } from "./signing-key.ts";

export interface ServiceOptions {
	/** Path of the registration socket; not used when one is passed. */
	readonly socket: string;
	/** Directory of what outlives a restart; made when it is missing. */
	readonly state: string;
	/** For pods, on every IPv4 address; 0 takes a free one. Not used when a TCP socket is passed. */
	readonly port: number;
	/** Listening sockets from systemd, from descriptor 3 on. */
	readonly passed: readonly PassedSocket[];
	readonly syscall: Syscall;
	readonly log: Log;
}

export interface MetadataService {
	/** Where pods are answered. */
	readonly port: number;
	/** Ends every connection; a second call waits for the first. */
	close(): Promise<void>;
}

/**
 * Starts the metadata service of the App Container specification. Pods can be registered as soon as it returns, and
 * those that an earlier service knew are known.
 * Errors: `metadata-service-running`, `metadata-listen-failed`, `metadata-socket-open`, `metadata-state-damaged`.
 */
export async function startMetadataService(options: ServiceOptions): Promise<MetadataService> {
	const { state, log } = options;
	makeDirectories(state, 0o700);
	const lock = lockPath(options.syscall, state, { noWait: true });
	if (lock === undefined) {
		return fail("metadata-service-running", `another metadata service works on ${state}`, {
			hint: "there is one for the whole machine, and it need not be started again",
		});
	}
	const servers: Server[] = [];
	let closed: Promise<void> | undefined;
	const close = (): Promise<void> => {
		closed ??= Promise.all(servers.map(closeServer)).then(() => lock.release());
		return closed;
	};
	try {
		const registry = openRegistry(state, log);
		const routes = {
			public: publicRoutes(registry, openSigningKey(state)),
			registration: registrationRoutes(registry),
		};
		return { port: await openServers(options, routes, servers), close };
	} catch (error) {
		await close();
		throw error;
	}
}

type Routes = Readonly<Record<SocketKind, Route>>;

const FIRST_PASSED = 3;

/** TCP first: a pod that could be registered is answered. Gives the port. */
async function openServers(options: ServiceOptions, routes: Routes, servers: Server[]): Promise<number> {
	const open = (kind: SocketKind): Server => {
		const server = createHttpServer(routes[kind], options.log);
		servers.push(server);
		return server;
	};
	const kinds = options.passed.map(kindOfSocket);
	let tcp: Server | undefined;
	for (const [index, kind] of kinds.entries()) {
		const server = open(kind);
		if (kind === "public") tcp ??= server;
		const fd = FIRST_PASSED + index;
		await listen(server, { fd }, `the passed descriptor ${fd}`);
	}
	if (tcp === undefined) {
		tcp = open("public");
		await listen(tcp, { port: options.port, host: "0.0.0.0" }, `port ${options.port}`);
	}
	if (!kinds.includes("registration")) await listenOnSocket(open("registration"), options.socket);
	return (tcp.address() as AddressInfo).port;
}

function closeServer(server: Server): Promise<void> {
	return new Promise((resolve) => {
		server.close(() => resolve());
		server.closeAllConnections();
	});
}
