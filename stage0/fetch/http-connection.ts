import * as http from "node:http";
import * as https from "node:https";
import type { Socket } from "node:net";
import * as tls from "node:tls";
import { RktError } from "../../lib/errors.ts";
import { RKT_VERSION } from "../../lib/version.ts";
import { type Headers, urlCredentials } from "./authorization.ts";
import { timeoutError } from "./network-error.ts";
import { type Environment, proxyFor } from "./proxy.ts";
import { sharedSecureContext } from "./secure-context.ts";

export interface ConnectionSettings {
	/** The server's certificate is not checked; a proxy's always is. */
	readonly allowUntrustedTls: boolean;
	/** Until the proxy has made a tunnel. */
	readonly connectMs: number;
	readonly environment: Environment;
	readonly method?: "GET" | "POST";
	/** Not on a connection that served before. */
	readonly fresh?: boolean;
}

export interface PreparedRequest {
	/** Not yet sent. */
	readonly request: http.ClientRequest;
	/** Its connection, to the server or to the proxy, is TLS. */
	readonly secure: boolean;
}

/**
 * A request through the proxy that the environment names for the URL. Without one its connection may be one that
 * served before and stayed open, and stays open afterwards when the answer is read to its end.
 */
export async function prepareRequest(
	url: URL,
	headers: Headers,
	settings: ConnectionSettings,
): Promise<PreparedRequest> {
	const proxy = proxyFor(url, settings.environment);
	const own = { "User-Agent": `rkt/${RKT_VERSION}`, ...headers };
	if (proxy && url.protocol === "http:") return throughProxy(url, proxy, own, settings);
	const secure = url.protocol === "https:";
	const server = {
		method: settings.method ?? "GET",
		hostname: bareHost(url),
		port: url.port,
		path: url.pathname + url.search,
		headers: own,
	};
	const reuse = settings.fresh !== true && server.method === "GET";
	if (!secure) return { request: http.request({ ...server, agent: reuse && plainAgent }), secure };
	const trust = { ...serverTrust(settings), rejectUnauthorized: !settings.allowUntrustedTls };
	if (!proxy) {
		const agent = reuse && secureAgent(trust.secureContext);
		return { request: https.request({ ...server, ...trust, agent }), secure };
	}
	const socket = await openTunnel(url, proxy, settings);
	const secured = tls.connect({ ...trust, socket, servername: server.hostname });
	return { request: https.request({ ...server, createConnection: () => secured }), secure };
}

const KEEP_OPEN: https.AgentOptions = { keepAlive: true, maxFreeSockets: 4, maxCachedSessions: 0 };
const plainAgent = new http.Agent(KEEP_OPEN);
const secureAgents = new WeakMap<tls.SecureContext, https.Agent>();

/** What is trusted is not among the things by which an agent tells connections apart. */
function secureAgent(context: tls.SecureContext): https.Agent {
	const agent = secureAgents.get(context) ?? new https.Agent(KEEP_OPEN);
	secureAgents.set(context, agent);
	return agent;
}

/** Without the brackets of IPv6 addresses. */
function bareHost(url: URL): string {
	return url.hostname.replace(/^\[|\]$/g, "");
}

function serverTrust({ environment }: ConnectionSettings): { secureContext: tls.SecureContext } {
	return { secureContext: sharedSecureContext(environment) };
}

/** Plain http is asked of the proxy itself, by the whole URL. */
function throughProxy(url: URL, proxy: URL, headers: Headers, settings: ConnectionSettings): PreparedRequest {
	const options = {
		method: settings.method ?? "GET",
		hostname: bareHost(proxy),
		port: proxy.port,
		path: url.href,
		agent: false as const,
		headers: { ...headers, Host: url.host, ...proxyAuthorization(proxy) },
	};
	const secure = proxy.protocol === "https:";
	return {
		request: secure ? https.request({ ...options, ...serverTrust(settings) }) : http.request(options),
		secure,
	};
}

function proxyAuthorization(proxy: URL): Headers {
	const { Authorization } = urlCredentials(proxy);
	return Authorization === undefined ? {} : { "Proxy-Authorization": Authorization };
}

/** CONNECT through a proxy (RFC 9110 section 9.3.6). */
function openTunnel(url: URL, proxy: URL, settings: ConnectionSettings): Promise<Socket> {
	const authority = `${url.hostname}:${url.port || "443"}`;
	const options = {
		method: "CONNECT",
		hostname: bareHost(proxy),
		port: proxy.port,
		path: authority,
		agent: false as const,
		headers: { Host: authority, "User-Agent": `rkt/${RKT_VERSION}`, ...proxyAuthorization(proxy) },
		timeout: settings.connectMs,
	};
	const secure = proxy.protocol === "https:";
	const request = secure ? https.request({ ...options, ...serverTrust(settings) }) : http.request(options);
	const refusal = (status = 0) =>
		new RktError("network-failed", `${url.href}: the proxy ${proxy.host} answers ${status}`);
	return new Promise((resolve, reject) => {
		request.once("timeout", () => request.destroy(timeoutError(url.href, settings.connectMs)));
		request.once("error", reject);
		request.once("response", (response) => request.destroy(refusal(response.statusCode)));
		request.once("connect", (response, socket: Socket) => {
			socket.setTimeout(0);
			if (response.statusCode === 200) return resolve(socket);
			socket.destroy();
			reject(refusal(response.statusCode));
		});
		request.end();
	});
}
