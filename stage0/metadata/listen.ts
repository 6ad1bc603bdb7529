import * as fs from "node:fs";
import type { Server } from "node:http";
import { connect } from "node:net";
import * as path from "node:path";
import { fail, isErrno } from "../../lib/errors.ts";
import { lstatIfExists, makeDirectories } from "../../lib/files.ts";
import type { PassedSocket } from "../../stage1/sockets/passed-sockets.ts";

/** What a listening socket turned out to be. */
export type SocketKind = "registration" | "public";

/** An address, or a socket that listens already. */
export type Place = { port: number; host: string } | { path: string } | { fd: number };

/** Listens as told. Errors: `metadata-listen-failed`. */
export async function listen(server: Server, place: Place, what: string): Promise<void> {
	await new Promise<void>((resolve, reject) => {
		server.once("error", reject);
		server.listen(place, () => {
			server.removeListener("error", reject);
			resolve();
		});
	}).catch((error: unknown) =>
		fail("metadata-listen-failed", `cannot listen on ${what}`, {
			hint: "something else may listen there; the port is chosen with --listen-port",
			cause: error,
		}),
	);
}

/**
 * Binds the registration socket for root and its group. The caller holds the lock of the service, so a socket on
 * which nobody answers is an old one. Errors: `metadata-listen-failed`.
 */
export async function listenOnSocket(server: Server, socket: string): Promise<void> {
	makeDirectories(path.dirname(socket), 0o755);
	if (await isAnswered(socket)) {
		fail("metadata-listen-failed", `something listens on ${socket} already`, {
			hint: "when that is systemd, start the service with systemctl start rkt-metadata.service",
		});
	}
	fs.rmSync(socket, { force: true });
	const before = process.umask(0o117);
	try {
		await listen(server, { path: socket }, socket);
	} finally {
		process.umask(before);
	}
}

/** What a passed socket is for. Errors: `metadata-socket-open`, `metadata-listen-failed`. */
export function kindOfSocket({ address, setting }: PassedSocket): SocketKind {
	if (setting !== "ListenStream") fail("metadata-listen-failed", "a passed socket is no stream socket");
	if (address.family !== "unix") return "public";
	checkOwnership(address.path);
	return "registration";
}

/** Whoever may connect can give a pod any metadata: a unit with a wrong mode is no way to get that. */
function checkOwnership(socket: string): void {
	// An abstract socket has no file, and so no owner.
	const stats = socket.startsWith("/") ? lstatIfExists(socket) : undefined;
	if (stats?.uid === 0 && (stats.mode & 0o007) === 0) return;
	fail("metadata-socket-open", `${socket} must be root's and closed to others`, {
		hint: "set SocketUser=root and SocketMode=0660 in rkt-metadata.socket",
	});
}

function isAnswered(socket: string): Promise<boolean> {
	return new Promise((resolve, reject) => {
		const connection = connect(socket, () => {
			connection.destroy();
			resolve(true);
		});
		connection.once("error", (error) => {
			if (isErrno(error, "ENOENT", "ECONNREFUSED", "ENOTSOCK")) resolve(false);
			else reject(error);
		});
	});
}
