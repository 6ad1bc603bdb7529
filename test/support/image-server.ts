import * as fs from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Certificates } from "./certificates.ts";

export type Route = (request: IncomingMessage, response: ServerResponse) => void;

export interface ImageServer {
	readonly port: number;
	/** Every request as `METHOD HOST/PATH`, oldest first. */
	readonly requests: string[];
	/** What answers a path; later calls replace earlier ones. */
	route(path: string, answer: Route): void;
	close(): Promise<void>;
}

/** An HTTPS server on the loopback address; unknown paths get 404. Port 0 takes a free one. */
export async function startImageServer(certificates: Certificates, port = 0): Promise<ImageServer> {
	const routes = new Map<string, Route>();
	const requests: string[] = [];
	const server = createServer(
		{ key: certificates.key, cert: certificates.certificate },
		(request, response) => {
			const path = new URL(request.url ?? "/", "https://x").pathname;
			requests.push(`${request.method} ${request.headers.host}${request.url}`);
			const answer = routes.get(path);
			if (answer) answer(request, response);
			else response.writeHead(404).end("not found\n");
		},
	);
	await new Promise<void>((resolve, reject) => {
		server.once("error", reject);
		server.listen(port, "127.0.0.1", resolve);
	});
	return {
		port: (server.address() as AddressInfo).port,
		requests,
		route: (path, answer) => {
			routes.set(path, answer);
		},
		close: () =>
			new Promise((resolve) => {
				server.closeAllConnections();
				server.close(() => resolve());
			}),
	};
}

/** Serves a file whole. */
export function fileRoute(file: string): Route {
	return (_request, response) => {
		response.writeHead(200, { "content-length": fs.statSync(file).size });
		fs.createReadStream(file).pipe(response);
	};
}

export function textRoute(text: string, headers: Record<string, string> = {}): Route {
	return (_request, response) => {
		response.writeHead(200, { "content-type": "text/html", ...headers }).end(text);
	};
}

/** The page that App Container discovery looks for (spec, "Meta Discovery"). */
export function discoveryPage(prefix: string, imageTemplate: string, keyUrl: string): string {
	return `<!DOCTYPE html>
<html>
<head>
	<title>${prefix}</title>
	<meta name="ac-discovery" content="${prefix} ${imageTemplate}">
	<meta name="ac-discovery-pubkeys" content="${prefix} ${keyUrl}">
</head>
<body>Images of ${prefix}</body>
</html>
`;
}
