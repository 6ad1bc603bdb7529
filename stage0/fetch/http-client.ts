import * as http from "node:http";
import * as https from "node:https";
import type { Socket } from "node:net";
import * as tls from "node:tls";
import { fail, messageOf, RktError } from "../../lib/errors.ts";
import { RKT_VERSION } from "../../lib/version.ts";
import { basicAuthorization, type Headers } from "./authorization.ts";
import { type Environment, proxyFor } from "./proxy.ts";
import { trustAnchors } from "./trust-anchors.ts";

export interface HttpSettings {
	/** Plain http is allowed. */
	readonly allowHttp: boolean;
	/** Certificates are not checked. */
	readonly allowUntrustedTls: boolean;
	/** Credentials for one URL; asked again for each redirect that stays at the same origin. */
	readonly authorize?: (url: URL) => Headers;
	/** Until TCP, the proxy and TLS are set up. */
	readonly connectTimeoutMs?: number;
	/** Until the first header, and between 1 KiB of body. */
	readonly idleTimeoutMs?: number;
	readonly environment?: Environment;
}

export interface HttpResponse {
	readonly status: number;
	readonly headers: http.IncomingHttpHeaders;
	/** Ends early with an error when the connection breaks or stalls. */
	readonly body: http.IncomingMessage;
	/** After redirects. */
	readonly url: string;
}

const MAX_REDIRECTS = 10;
const CONNECT_TIMEOUT_MS = 20_000;
const IDLE_TIMEOUT_MS = 60_000;
const MIN_BYTES_PER_WINDOW = 1024;

/**
 * GET with redirects. Credentials go to the origin of the first URL only, and never again once a redirect left it.
 * Errors: `url-invalid`, `http-insecure`, `redirect-loop`, `network-failed`, `network-timeout`, `tls-untrusted`.
 */
export async function httpGet(
	address: string,
	headers: Headers,
	settings: HttpSettings,
): Promise<HttpResponse> {
	let url = parseUrl(address, address);
	const origin = url.origin;
	const visited = new Set<string>();
	let trusted = true;
	for (;;) {
		checkScheme(url, settings);
		if (visited.has(url.href) || visited.size > MAX_REDIRECTS) throw redirectLoop(address, visited.size);
		visited.add(url.href);
		trusted &&= url.origin === origin;
		const credentials = trusted ? { ...urlCredentials(url), ...settings.authorize?.(url) } : {};
		const response = await requestOnce(url, { ...headers, ...credentials }, settings);
		const location = redirectTarget(response);
		if (location === undefined) {
			return { status: response.statusCode ?? 0, headers: response.headers, body: response, url: url.href };
		}
		response.destroy();
		url = withoutUserinfo(parseUrl(location, address, url));
	}
}

/** The whole body of a small document. Errors: `response-too-large`, and those of a broken connection. */
export async function readBody(response: HttpResponse, maxBytes: number): Promise<Buffer> {
	const chunks: Buffer[] = [];
	let size = 0;
	try {
		for await (const chunk of response.body as AsyncIterable<Buffer>) {
			size += chunk.length;
			if (size > maxBytes) fail("response-too-large", `${response.url}: more than ${maxBytes} bytes`);
			chunks.push(chunk);
		}
	} catch (error) {
		throw networkError(error, response.url);
	}
	return Buffer.concat(chunks);
}

function parseUrl(text: string, source: string, base?: URL): URL {
	if (!URL.canParse(text, base?.href)) fail("url-invalid", `${source}: "${text}" is not a URL`);
	return new URL(text, base);
}

function withoutUserinfo(url: URL): URL {
	url.username = "";
	url.password = "";
	return url;
}

function checkScheme(url: URL, settings: HttpSettings): void {
	if (url.protocol === "https:" || (url.protocol === "http:" && settings.allowHttp)) return;
	fail("http-insecure", `${url.href}: ${url.protocol.slice(0, -1)} is not allowed, only https`, {
		hint: url.protocol === "http:" ? "use https, or add --insecure-options=http" : "use an https URL",
	});
}

function redirectTarget(response: http.IncomingMessage): string | undefined {
	return [301, 302, 303, 307, 308].includes(response.statusCode ?? 0) ? response.headers.location : undefined;
}

function redirectLoop(address: string, count: number): RktError {
	const reason = count > MAX_REDIRECTS ? `more than ${MAX_REDIRECTS} redirects` : "redirects go in a circle";
	return new RktError("redirect-loop", `${address}: ${reason}`);
}

function urlCredentials(url: URL): Headers {
	if (url.username === "") return {};
	return {
		Authorization: basicAuthorization(decodeURIComponent(url.username), decodeURIComponent(url.password)),
	};
}

/** One exchange. The returned message guards itself against a peer that falls silent or trickles. */
async function requestOnce(
	url: URL,
	headers: Headers,
	settings: HttpSettings,
): Promise<http.IncomingMessage> {
	const proxy = proxyFor(url, settings.environment ?? process.env);
	const connectMs = settings.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
	const idleMs = settings.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
	try {
		const options = await connection(url, proxy, settings, connectMs);
		options.headers = { "User-Agent": `rkt/${RKT_VERSION}`, ...headers, ...options.headers };
		const secure = url.protocol === "https:";
		const request = secure ? https.request(options) : http.request(options);
		const response = await exchange(request, {
			secure: secure || proxy?.protocol === "https:",
			connectMs,
			idleMs,
		});
		guardAgainstStall(response, idleMs);
		return response;
	} catch (error) {
		throw networkError(error, url.href);
	}
}

async function connection(
	url: URL,
	proxy: URL | undefined,
	settings: HttpSettings,
	connectMs: number,
): Promise<https.RequestOptions> {
	const tlsOptions = {
		rejectUnauthorized: !settings.allowUntrustedTls,
		...(url.protocol === "https:" && {
			secureContext: sharedSecureContext(settings.environment ?? process.env),
		}),
	};
	const target = {
		hostname: url.hostname.replace(/^\[|\]$/g, ""),
		port: url.port,
		path: url.pathname + url.search,
	};
	if (!proxy) return { ...target, agent: false, ...tlsOptions };
	if (url.protocol === "http:") {
		const through = {
			hostname: proxy.hostname,
			port: proxy.port || "80",
			path: url.href,
			agent: false as const,
		};
		return { ...through, headers: { Host: url.host, ...proxyAuthorization(proxy) } };
	}
	const socket = await openTunnel(url, proxy, connectMs);
	const secured = tls.connect({
		...tlsOptions,
		socket,
		servername: target.hostname,
	} as tls.ConnectionOptions);
	return { ...target, createConnection: () => secured };
}

function proxyAuthorization(proxy: URL): Headers {
	const { Authorization } = urlCredentials(proxy);
	return Authorization === undefined ? {} : { "Proxy-Authorization": Authorization };
}

/** CONNECT through a proxy (RFC 9110 section 9.3.6). */
function openTunnel(url: URL, proxy: URL, connectMs: number): Promise<Socket> {
	const authority = `${url.hostname}:${url.port || "443"}`;
	return new Promise((resolve, reject) => {
		const request = (proxy.protocol === "https:" ? https : http).request({
			method: "CONNECT",
			hostname: proxy.hostname,
			port: proxy.port || (proxy.protocol === "https:" ? "443" : "80"),
			path: authority,
			agent: false,
			headers: { Host: authority, "User-Agent": `rkt/${RKT_VERSION}`, ...proxyAuthorization(proxy) },
			timeout: connectMs,
		});
		request.once("timeout", () => request.destroy(timeoutError(url.href, connectMs)));
		request.once("error", reject);
		request.once("connect", (response, socket: Socket) => {
			socket.setTimeout(0);
			if (response.statusCode === 200) return resolve(socket);
			socket.destroy();
			reject(
				new RktError("network-failed", `${url.href}: the proxy ${proxy.host} answers ${response.statusCode}`),
			);
		});
		request.once("response", (response) => {
			response.destroy();
			reject(
				new RktError("network-failed", `${url.href}: the proxy ${proxy.host} answers ${response.statusCode}`),
			);
		});
		request.end();
	});
}

interface ExchangeLimits {
	readonly secure: boolean;
	readonly connectMs: number;
	readonly idleMs: number;
}

function exchange(request: http.ClientRequest, limits: ExchangeLimits): Promise<http.IncomingMessage> {
	return new Promise((resolve, reject) => {
		const expire = (ms: number) => setTimeout(() => request.destroy(timeoutError(request.host, ms)), ms);
		let timer = expire(limits.connectMs);
		const connected = () => {
			clearTimeout(timer);
			timer = expire(limits.idleMs);
		};
		request.once("socket", (socket) => {
			if (socket.connecting || limits.secure)
				socket.once(limits.secure ? "secureConnect" : "connect", connected);
			else connected();
		});
		request.once("error", (error) => {
			clearTimeout(timer);
			reject(error);
		});
		request.once("response", (response) => {
			clearTimeout(timer);
			resolve(response);
		});
		request.end();
	});
}

function guardAgainstStall(response: http.IncomingMessage, idleMs: number): void {
	const { socket } = response;
	let seen = socket.bytesRead;
	const timer = setInterval(() => {
		if (socket.bytesRead - seen < MIN_BYTES_PER_WINDOW) {
			response.destroy(
				new RktError("network-timeout", `the server sent less than 1 KiB in ${idleMs / 1000} s`),
			);
		}
		seen = socket.bytesRead;
	}, idleMs);
	response.once("close", () => clearInterval(timer));
}

function timeoutError(what: string, ms: number): RktError {
	return new RktError("network-timeout", `${what}: no answer within ${ms / 1000} s`, {
		hint: "check the network and the proxy variables, and try again",
	});
}

/** Building a context parses every certificate, some 35 ms for a system's list: once for each environment. */
const secureContexts = new WeakMap<Environment, tls.SecureContext>();

function sharedSecureContext(environment: Environment): tls.SecureContext {
	const known = secureContexts.get(environment);
	if (known) return known;
	const ca = trustAnchors(environment);
	const context = tls.createSecureContext(ca === undefined ? {} : { ca });
	secureContexts.set(environment, context);
	return context;
}

/** Names of errno, of the resolver, of the HTTP parser and of TLS. Other errors are bugs. */
const NETWORK_CODES = /^(E[A-Z0-9]+(?:_AGAIN)?|HPE_\w+|ERR_(?:SSL|TLS)_\w+|ERR_STREAM_PREMATURE_CLOSE)$/;

/** Any failure of the network as an RktError that names the URL. */
export function networkError(error: unknown, url: string): unknown {
	if (error instanceof RktError) {
		if (error.message.includes(url)) return error;
		return new RktError(error.code, `${url}: ${error.message}`, { cause: error });
	}
	const code = error instanceof Error && "code" in error ? String(error.code) : "";
	if (/CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|ALTNAME/.test(code)) {
		return new RktError(
			"tls-untrusted",
			`${url}: the server's certificate is not trusted: ${messageOf(error)}`,
			{
				hint: "add the certificate authority with SSL_CERT_FILE, or give --insecure-options=tls",
				cause: error,
			},
		);
	}
	if (!NETWORK_CODES.test(code)) return error;
	return new RktError("network-failed", `${url}: ${describe(code, messageOf(error))}`, {
		hint: "check the network and the address, and try again",
		cause: error,
	});
}

/** OpenSSL's own words span lines and name its source files. */
function describe(code: string, message: string): string {
	if (code === "ECONNRESET" && message === "aborted") return "the connection broke in the middle";
	if (code === "EPROTO") return "the server does not answer in TLS";
	return message.trim();
}
