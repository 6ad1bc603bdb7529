import type * as http from "node:http";
import { fail, isErrno, RktError } from "../../lib/errors.ts";
import { type Headers, urlCredentials } from "./authorization.ts";
import { prepareRequest } from "./http-connection.ts";
import { exchange, guardAgainstStall, skipBody } from "./http-exchange.ts";
import { networkError } from "./network-error.ts";
import type { Environment } from "./proxy.ts";

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
		await skipBody(response);
		url = withoutUserinfo(parseUrl(location, address, url));
	}
}

/**
 * POST of a form. What it says is secret, so that no redirect is followed: one is returned as the answer it is.
 * Errors: as {@link httpGet}, but for `redirect-loop`.
 */
export async function httpPostForm(
	address: string,
	form: URLSearchParams,
	settings: HttpSettings,
): Promise<HttpResponse> {
	const url = parseUrl(address, address);
	checkScheme(url, settings);
	const body = form.toString();
	const headers = {
		"Content-Type": "application/x-www-form-urlencoded",
		"Content-Length": String(Buffer.byteLength(body)),
	};
	const response = await requestOnce(url, headers, settings, body);
	return { status: response.statusCode ?? 0, headers: response.headers, body: response, url: url.href };
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

/** One exchange. The returned message guards itself against a peer that falls silent or trickles. */
async function requestOnce(
	url: URL,
	headers: Headers,
	settings: HttpSettings,
	form?: string,
): Promise<http.IncomingMessage> {
	const connectMs = settings.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
	const idleMs = settings.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
	const { allowUntrustedTls, environment = process.env } = settings;
	const attempt = async (fresh: boolean): Promise<http.IncomingMessage> => {
		const method = form === undefined ? "GET" : "POST";
		const connection = { allowUntrustedTls, connectMs, environment, method, fresh } as const;
		const { request, secure } = await prepareRequest(url, headers, connection);
		try {
			return await exchange(request, { secure, connectMs, idleMs }, form);
		} catch (error) {
			// A server may close a connection that stayed open just when it is used again.
			if (request.reusedSocket && isErrno(error, "ECONNRESET", "EPIPE")) return attempt(true);
			throw error;
		}
	};
	try {
		const response = await attempt(false);
		guardAgainstStall(response, idleMs);
		return response;
	} catch (error) {
		throw networkError(error, url.href);
	}
}
