import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { messageOf } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { type Answer, type Route, refuse, type ServiceRequest, TooLarge } from "./answer.ts";

/** A pod that opens connections and says nothing must not keep others out. */
const CONNECTIONS_PER_ADDRESS = 32;
const CONNECTIONS = 512;
const SILENCE_MS = 15_000;
const SHOWN_PATH = 200;

/** An HTTP server with one route for everything; each answer is one line of the log, without tokens. */
export function createHttpServer(route: Route, log: Log): Server {
	const server = createServer(
		{
			maxHeaderSize: 8192,
			headersTimeout: 5000,
			requestTimeout: 10_000,
			keepAliveTimeout: 5000,
			connectionsCheckingInterval: 1000,
		},
		(request, response) => {
			void respond(route, log, request, response);
		},
	);
	server.maxConnections = CONNECTIONS;
	// For those who do not read their answer.
	server.setTimeout(SILENCE_MS);
	server.on("connection", limitConnections());
	return server;
}

/** Local sockets have no address and are not counted. */
function limitConnections(): (socket: Socket) => void {
	const open = new Map<string, number>();
	return (socket) => {
		const address = socket.remoteAddress;
		if (address === undefined) return;
		const count = (open.get(address) ?? 0) + 1;
		open.set(address, count);
		socket.once("close", () => {
			const left = (open.get(address) ?? 1) - 1;
			if (left === 0) open.delete(address);
			else open.set(address, left);
		});
		if (count > CONNECTIONS_PER_ADDRESS) socket.destroy();
	};
}

async function respond(
	route: Route,
	log: Log,
	request: IncomingMessage,
	response: ServerResponse,
): Promise<void> {
	const answer = await route(readRequest(request)).catch((error: unknown): Answer | undefined => {
		if (error instanceof TooLarge) return { ...refuse(413, messageOf(error)), shown: "/-" };
		if (request.destroyed && !request.complete) return undefined;
		log.info(`warning: ${request.method}: ${messageOf(error)}`);
		return { ...refuse(500, "internal error"), shown: "/-" };
	});
	if (answer === undefined) return;
	log.info(`${request.method} ${printable(answer.shown)} - ${answer.status}`);
	response.writeHead(answer.status, {
		"content-type": answer.contentType,
		"content-length": Buffer.byteLength(answer.body),
		"cache-control": "no-store",
		...(answer.allow === undefined ? {} : { allow: answer.allow }),
		// The rest of a body that was not read would be taken for the next request.
		...(request.complete ? {} : { connection: "close" }),
	});
	response.end(answer.body);
}

/** A token that stands where none belongs is not shown either. */
function printable(path: string): string {
	const shown = path.slice(0, SHOWN_PATH).replace(/[0-9a-f]{32}/gi, "-");
	return shown.replace(/[^\x21-\x7e]/g, "?");
}

function readRequest(request: IncomingMessage): ServiceRequest {
	const url = request.url ?? "/";
	const at = url.indexOf("?");
	return {
		method: request.method ?? "GET",
		path: decodePath(at < 0 ? url : url.slice(0, at)),
		query: new URLSearchParams(at < 0 ? "" : url.slice(at + 1)),
		contentType: (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "",
		readBody: (limit) => readBody(request, limit),
	};
}

function decodePath(path: string): string[] | undefined {
	try {
		return path.replace(/^\//, "").split("/").map(decodeURIComponent);
	} catch {
		return undefined;
	}
}

async function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
	const chunks: Buffer[] = [];
	let total = 0;
	if (Number(request.headers["content-length"] ?? 0) > limit) throw new TooLarge(tooLarge(limit));
	for await (const chunk of request.iterator({ destroyOnReturn: false })) {
		total += (chunk as Buffer).length;
		if (total > limit) throw new TooLarge(tooLarge(limit));
		chunks.push(chunk as Buffer);
	}
	return Buffer.concat(chunks);
}

function tooLarge(limit: number): string {
	return `the body has more than ${limit} bytes`;
}
