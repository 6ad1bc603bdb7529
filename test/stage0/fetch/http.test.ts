import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import * as net from "node:net";
import * as path from "node:path";
import type { Duplex } from "node:stream";
import t, { type Test } from "tap";
import { createLog, type Log } from "../../../lib/log.ts";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import type { Credentials } from "../../../stage0/config/config.ts";
import { authorizationHeaders } from "../../../stage0/fetch/authorization.ts";
import { awsSignature, guessRegion } from "../../../stage0/fetch/aws-signature.ts";
import { isFresh, maxAgeOf } from "../../../stage0/fetch/cache-control.ts";
import { download } from "../../../stage0/fetch/download.ts";
import { acquireSlot, type DownloadSlot } from "../../../stage0/fetch/download-slot.ts";
import { type HttpSettings, httpGet, httpPostForm, readBody } from "../../../stage0/fetch/http-client.ts";
import { createProgress, formatBytes, progressLine } from "../../../stage0/fetch/progress.ts";
import { proxyFor } from "../../../stage0/fetch/proxy.ts";
import { type Certificates, createCertificates } from "../../support/certificates.ts";
import { type ImageServer, type Route, startImageServer, textRoute } from "../../support/image-server.ts";
import { addHostNames, enterPrivateHost } from "../../support/private-host.ts";

enterPrivateHost();

const scratch = fs.mkdtempSync("/var/tmp/rkt-http-test-");
t.setTimeout(170_000);
t.teardown(() => fs.rmSync(scratch, { recursive: true, force: true }));
addHostNames(path.join(scratch, "hosts"), ["one.test", "two.test", "sub.one.test", "unnamed.test"]);

const log: Log = createLog("test", false);
const syscall = createLinuxSyscall();

interface World {
	readonly one: ImageServer;
	readonly two: ImageServer;
	readonly plain: {
		readonly port: number;
		readonly routes: Map<string, Route>;
		readonly requests: http.IncomingMessage[];
	};
	readonly environment: Record<string, string>;
	readonly certificates: Certificates;
	settings(more?: Partial<HttpSettings>): HttpSettings;
}

async function createWorld(t: Test): Promise<World> {
	const certificates = await createCertificates(path.join(scratch, "tls"), [
		"one.test",
		"two.test",
		"sub.one.test",
	]);
	const one = await startImageServer(certificates);
	const two = await startImageServer(certificates);
	const routes = new Map<string, Route>();
	const requests: http.IncomingMessage[] = [];
	const server = http.createServer((request, response) => {
		requests.push(request);
		const route = routes.get(new URL(request.url ?? "/", "http://x").pathname);
		if (route) route(request, response);
		else response.writeHead(404).end();
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	t.teardown(async () => {
		await Promise.all([one.close(), two.close()]);
		server.closeAllConnections();
		server.close();
	});
	const environment = { SSL_CERT_FILE: certificates.authorityFile };
	return {
		one,
		two,
		plain: { port: (server.address() as net.AddressInfo).port, routes, requests },
		environment,
		certificates,
		settings: (more = {}) => ({ allowHttp: false, allowUntrustedTls: false, environment, ...more }),
	};
}

async function text(url: string, settings: HttpSettings): Promise<string> {
	return (await readBody(await httpGet(url, {}, settings), 1000)).toString();
}

const redirect =
	(location: string, status = 302): Route =>
	(_request, response) =>
		response.writeHead(status, { location }).end();

const echoAuthorization: Route = (request, response) =>
	response.end(String(request.headers.authorization ?? "none"));

t.test("the network", async (t) => {
	const world = await createWorld(t);
	const { one, two, plain, settings } = world;
	const at = (server: { port: number }, path: string, host = "one.test") =>
		`https://${host}:${server.port}${path}`;
	const rejects = (t: Test, url: string, more: Partial<HttpSettings>, code: string, message?: RegExp) =>
		t.rejects(text(url, settings(more)), { code, ...(message && { message }) }, `${code} ${message ?? ""}`);

	await t.test("requests say who they are and want the bytes as they are", async (t) => {
		let headers: http.IncomingHttpHeaders = {};
		one.route("/", (request, response) => {
			headers = request.headers;
			response.end("hello");
		});
		t.equal(await text(at(one, "/"), settings()), "hello");
		t.match(headers["user-agent"], /^rkt\/2\./);
		t.equal(headers["accept-encoding"], undefined);
		t.equal(headers.authorization, undefined);
	});

	await t.test("connections serve again", async (t) => {
		const used: (net.Socket | undefined)[] = [];
		const record = (request: http.IncomingMessage) => void used.push(request.socket);
		/** By which connection each request came, the first one being 0. */
		const connections = () => used.splice(0).map((socket, _, all) => all.indexOf(socket));
		one.route("/again", (request, response) => {
			record(request);
			response.end("again");
		});
		one.route("/moved", (request, response) => {
			record(request);
			response.writeHead(307, { location: "/again", "content-length": 5 }).end("moved");
		});
		one.route("/large", (request, response) => {
			record(request);
			response.writeHead(302, { location: "/again" }).write("x".repeat(100_000));
		});
		const get = (path: string, more?: Partial<HttpSettings>) => text(at(one, path), settings(more));
		for (const path of ["/again", "/again", "/moved"]) t.equal(await get(path), "again");
		t.strictSame(connections(), [0, 0, 0, 0]);
		t.equal(await get("/large"), "again");
		t.strictSame(connections(), [0, 1], "a long answer that nobody wants is not read for it");
		await Promise.all([get("/again"), get("/again")]);
		t.strictSame(connections(), [0, 1], "two at once");
		await get("/again", { allowUntrustedTls: true });
		await get("/again", { allowUntrustedTls: true });
		await get("/again");
		t.strictSame(connections(), [0, 0, 2], "what was not checked does not serve whoever wants it checked");
		const ask = { Authorization: "Basic eA==" };
		const form = await httpPostForm(at(one, "/again"), new URLSearchParams(ask), settings());
		t.equal((await readBody(form, 100)).toString(), "again");
		await get("/again");
		t.strictSame(connections(), [0, 1], "what must not be sent twice has a connection of its own");

		let served = 0;
		plain.routes.set("/closing", (request, response) => {
			record(request);
			// As if it were closed just when the request came.
			if (++served === 2) request.socket.destroy();
			else response.end(String(served));
		});
		const closing = () => text(`http://127.0.0.1:${plain.port}/closing`, settings({ allowHttp: true }));
		t.equal(await closing(), "1");
		t.equal(await closing(), "3");
		t.strictSame(connections(), [0, 0, 2]);
		plain.routes.set("/refusing", (request) => void request.socket.destroy());
		await rejects(t, `http://127.0.0.1:${plain.port}/refusing`, { allowHttp: true }, "network-failed");
	});

	await t.test("credentials and redirects: the matrix", async (t) => {
		const domain = `one.test:${one.port}`;
		const auth = new Map<string, Credentials>([
			[domain, { type: "basic", user: "u", password: "p" }],
			[`two.test:${two.port}`, { type: "oauth", token: "of-two" }],
		]);
		const authorize = (url: URL) => authorizationHeaders(url, auth);
		const sent = `Basic ${Buffer.from("u:p").toString("base64")}`;
		for (const server of [one, two]) server.route("/end", echoAuthorization);
		plain.routes.set("/end", echoAuthorization);
		one.route("/back", redirect(at(one, "/end")));
		two.route("/back", redirect(at(one, "/end")));
		const targets: readonly (readonly [what: string, target: string, expected: string])[] = [
			["the same origin", at(one, "/end"), sent],
			["the same origin, relative", "/end", sent],
			["another port", at(two, "/end"), "none"],
			["another host at the same port", at(one, "/end", "two.test"), "none"],
			["a sub-domain", at(one, "/end", "sub.one.test"), "none"],
			["another host with credentials of its own", at(two, "/end", "two.test"), "none"],
			["plain http", `http://one.test:${plain.port}/end`, "none"],
			["twice at the same origin", at(one, "/back"), sent],
			["away and back again", at(two, "/back", "two.test"), "none"],
			["an address with a password in it", `https://x:y@two.test:${two.port}/end`, "none"],
		];
		for (const [what, target, expected] of targets) {
			for (const status of what === "another port" ? [301, 302, 303, 307, 308] : [302, 308]) {
				one.route("/start", redirect(target, status));
				const found = await text(at(one, "/start"), settings({ authorize, allowHttp: true }));
				t.equal(found, expected, `${status} to ${what}`);
			}
		}
		t.equal(
			await text(at(one, "/end", "two.test"), settings({ authorize })),
			"none",
			"the port is part of the domain",
		);
		t.equal(
			await text(`https://me:secret@one.test:${two.port}/end`, settings()),
			`Basic ${Buffer.from("me:secret").toString("base64")}`,
		);
	});

	await t.test("redirects that lead nowhere", async (t) => {
		one.route("/a", redirect("/b"));
		one.route("/b", redirect("/a"));
		await rejects(t, at(one, "/a"), {}, "redirect-loop", /circle/);
		for (let n = 0; n < 20; n++) one.route(`/n${n}`, redirect(`/n${n + 1}`));
		await rejects(t, at(one, "/n0"), {}, "redirect-loop", /more than 10/);
		one.route("/n10", textRoute("the end"));
		t.equal(await text(at(one, "/n0"), settings()), "the end", "ten are allowed");
		one.route("/down", redirect(`http://one.test:${plain.port}/end`));
		await rejects(t, at(one, "/down"), {}, "http-insecure", /--insecure|http/);
		for (const target of ["file:///etc/passwd", "ftp://one.test/"]) {
			one.route("/scheme", redirect(target));
			await rejects(t, at(one, "/scheme"), { allowHttp: true }, "http-insecure");
		}
		one.route("/garbage", redirect("https://[bad"));
		await rejects(t, at(one, "/garbage"), {}, "url-invalid");
	});

	await t.test("TLS: unknown authority, wrong name, refused, no TLS at all", async (t) => {
		one.route("/", textRoute("hello"));
		await rejects(t, at(one, "/"), { environment: {} }, "tls-untrusted", /SSL_CERT_FILE|certificate/);
		await rejects(t, at(one, "/", "unnamed.test"), {}, "tls-untrusted", /unnamed\.test/);
		t.equal(
			await text(at(one, "/", "unnamed.test"), settings({ allowUntrustedTls: true, environment: {} })),
			"hello",
		);
		const directory = path.join(scratch, "authorities");
		fs.mkdirSync(directory);
		fs.copyFileSync(world.environment.SSL_CERT_FILE as string, path.join(directory, "ca.pem"));
		t.equal(
			await text(at(one, "/"), settings({ environment: { SSL_CERT_DIR: `/nonexistent:${directory}` } })),
			"hello",
		);
		t.equal(
			await text(
				at(one, "/"),
				settings({ environment: { NODE_EXTRA_CA_CERTS: path.join(directory, "ca.pem") } }),
			),
			"hello",
		);
		await rejects(t, at(one, "/"), { environment: { SSL_CERT_FILE: "/nonexistent" } }, "ca-unreadable");
		await rejects(t, `https://one.test:${plain.port}/`, {}, "network-failed");
		await rejects(t, "https://one.test:1/", {}, "network-failed", /one\.test:1/);
		await rejects(t, "https://nowhere.invalid/x.aci", {}, "network-failed", /nowhere\.invalid/);
		await rejects(t, `http://one.test:${plain.port}/`, {}, "http-insecure");
	});

	await t.test("silent and trickling peers", async (t) => {
		const mute = net.createServer(() => {});
		await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
		t.teardown(() => mute.close());
		const port = (mute.address() as net.AddressInfo).port;
		await rejects(t, `https://one.test:${port}/`, { connectTimeoutMs: 150 }, "network-timeout");
		one.route("/silent", () => {});
		await rejects(t, at(one, "/silent"), { idleTimeoutMs: 150 }, "network-timeout");
		one.route("/trickle", (_request, response) => {
			response.writeHead(200, { "content-length": 100_000 });
			const timer = setInterval(() => response.write("x"), 20);
			response.once("close", () => clearInterval(timer));
		});
		await rejects(t, at(one, "/trickle"), { idleTimeoutMs: 200 }, "network-timeout", /1 KiB/);
		one.route("/endless", (_request, response) => {
			response.writeHead(200);
			response.write("x".repeat(2000));
		});
		await rejects(t, at(one, "/endless"), {}, "response-too-large");
	});

	await t.test("proxies", async (t) => {
		one.route("/", textRoute("by tunnel"));
		plain.routes.set("/", textRoute("by request"));
		const seen: string[] = [];
		const serve: http.RequestListener = (request, response) => {
			seen.push(`${request.method} ${request.url} ${request.headers["proxy-authorization"]}`);
			http.get(`http://127.0.0.1:${plain.port}/`, (answer) => answer.pipe(response));
		};
		const tunnel = (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
			seen.push(`CONNECT ${request.url} ${request.headers["proxy-authorization"]}`);
			if (request.url?.startsWith("two.test")) return socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
			const target = net.connect(one.port, "127.0.0.1", () => {
				socket.write("HTTP/1.1 200 OK\r\n\r\n");
				target.write(head);
				target.pipe(socket).pipe(target);
			});
		};
		const { key, certificate } = world.certificates;
		const proxy = http.createServer(serve).on("connect", tunnel);
		const secureProxy = https.createServer({ key, cert: certificate }, serve).on("connect", tunnel);
		for (const server of [proxy, secureProxy]) {
			await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
			t.teardown(() => server.close());
		}
		const address = `http://me:pw@127.0.0.1:${(proxy.address() as net.AddressInfo).port}`;
		const environment = { ...world.environment, HTTPS_PROXY: address, http_proxy: address };
		const credentials = `Basic ${Buffer.from("me:pw").toString("base64")}`;
		t.equal(await text("https://one.test:9/", settings({ environment })), "by tunnel");
		t.equal(await text("http://one.test:9/", settings({ environment, allowHttp: true })), "by request");
		t.strictSame(seen, [`CONNECT one.test:9 ${credentials}`, `GET http://one.test:9/ ${credentials}`]);
		seen.length = 0;
		const secureAddress = `https://one.test:${(secureProxy.address() as net.AddressInfo).port}`;
		const secure = { ...world.environment, https_proxy: secureAddress, http_proxy: secureAddress };
		t.equal(await text("https://one.test:9/", settings({ environment: secure })), "by tunnel");
		t.equal(
			await text("http://one.test:9/", settings({ environment: secure, allowHttp: true })),
			"by request",
		);
		t.strictSame(seen, ["CONNECT one.test:9 undefined", "GET http://one.test:9/ undefined"]);
		const untrusted = { ...secure, SSL_CERT_FILE: "" };
		await rejects(t, "http://one.test:9/", { environment: untrusted, allowHttp: true }, "tls-untrusted");
		await rejects(t, "https://two.test/", { environment }, "network-failed", /proxy .* 403/);
		t.equal(
			await text(at(one, "/"), settings({ environment: { ...environment, NO_PROXY: "one.test" } })),
			"by tunnel",
		);
		t.equal(seen.length, 3, "asked for the refused tunnel only");
	});

	await t.test("downloads", (t) => testDownloads(t, world));
});

async function testDownloads(t: Test, { one, settings }: World): Promise<void> {
	const content = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7919) & 0xff));
	const url = `https://one.test:${one.port}/file`;
	const directory = fs.mkdtempSync(path.join(scratch, "slots-"));
	const requests: http.IncomingHttpHeaders[] = [];
	const serve = (route: Route) => {
		requests.length = 0;
		one.route("/file", (request, response) => {
			requests.push(request.headers);
			route(request, response);
		});
	};
	const whole: Route = (_request, response) =>
		response.writeHead(200, { "content-length": content.length, etag: '"v1"' }).end(content);
	const withSlot = async <T>(action: (slot: DownloadSlot) => Promise<T>): Promise<T> => {
		const slot = await acquireSlot(url, { directory, syscall, log });
		try {
			return await action(slot);
		} finally {
			slot.discard();
		}
	};
	const get = (slot: DownloadSlot, etag = "") =>
		download({ url, label: "file", etag, settings: settings() }, slot);
	const code = (etag = "") =>
		withSlot((slot) => get(slot, etag)).then(
			({ outcome }) => outcome,
			(error) => error.code,
		);
	/** What a killed process leaves. */
	const leave = async (bytes: Buffer, state: object) => {
		await withSlot(async (slot) => {
			fs.linkSync(slot.file, `${slot.file}.kept`);
			fs.writeFileSync(`${slot.file}.kept`, bytes);
			fs.writeFileSync(`${slot.stateFile}.kept`, JSON.stringify(state));
		});
		for (const name of fs.readdirSync(directory)) {
			fs.renameSync(path.join(directory, name), path.join(directory, name.replace(".kept", "")));
		}
	};

	await t.test("whole, unchanged, and with a life time", async (t) => {
		serve((request, response) => {
			if (request.headers["if-none-match"] === '"v1"')
				response.writeHead(304, { "cache-control": "max-age=7" }).end();
			else whole(request, response);
		});
		await withSlot(async (slot) => {
			const result = await get(slot);
			t.strictSame(result, {
				outcome: "complete",
				etag: '"v1"',
				maxAge: 0,
				size: content.length,
				resumed: false,
			});
			t.ok(fs.readFileSync(slot.file).equals(content));
		});
		const again = await withSlot((slot) => get(slot, '"v1"'));
		t.match(again, { outcome: "unchanged", maxAge: 7, etag: '"v1"' });
		t.strictSame(fs.readdirSync(directory), []);
	});

	await t.test("what goes wrong is an error and leaves nothing", async (t) => {
		const length = { "content-length": content.length };
		const wrong: Record<string, readonly [route: Route, expected: string]> = {
			"cut off": [
				(_q, s) => void s.writeHead(200, length).write(content.subarray(0, 50_000), () => s.destroy()),
				"download-truncated",
			],
			"cut off without length": [
				(_q, s) => void s.writeHead(200).write(content, () => s.destroy()),
				"download-truncated",
			],
			"a length too small": [
				(_q, s) =>
					s.socket?.end(`HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n${"x".repeat(5)}`),
				"download-truncated",
			],
			"not there": [(_q, s) => void s.writeHead(404).end(), "http-status"],
			"not allowed": [(_q, s) => void s.writeHead(401).end(), "http-status"],
			"a failure": [(_q, s) => void s.writeHead(500).end(), "http-status"],
			accepted: [(_q, s) => void s.writeHead(202).end(), "http-status"],
			"not modified, although nothing is here": [(_q, s) => void s.writeHead(304).end(), "http-status"],
			"a part that nobody asked for": [
				(_q, s) => void s.writeHead(206, { "content-range": "bytes 5-9/10" }).end("xxxxx"),
				"http-status",
			],
		};
		for (const [what, [route, expected]] of Object.entries(wrong)) {
			serve(route);
			t.equal(await code(), expected, what);
			t.strictSame(fs.readdirSync(directory), [], `${what}: nothing is left`);
		}
	});

	await t.test("a killed download goes on where it was", async (t) => {
		serve((request, response) => {
			const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
			t.equal(request.headers["if-range"], '"v1"');
			const headers = {
				"content-range": `bytes ${start}-${content.length - 1}/${content.length}`,
				etag: '"v1"',
			};
			response.writeHead(206, headers).end(content.subarray(start));
		});
		await leave(content.subarray(0, 60_000), { etag: '"v1"', lastModified: "", total: content.length });
		await withSlot(async (slot) => {
			const result = await get(slot);
			t.match(result, { outcome: "complete", resumed: true, size: content.length });
			t.ok(fs.readFileSync(slot.file).equals(content));
		});
		t.equal(requests.length, 1);
	});

	await t.test("a part that does not fit any more is thrown away", async (t) => {
		const part = Buffer.alloc(60_000, "old");
		const state = { etag: '"v1"', lastModified: "", total: content.length };
		const range = (start: number, end: number, total: number, etag = '"v1"'): Route => {
			return (request, response) => {
				if (!request.headers.range) return whole(request, response);
				response
					.writeHead(206, { "content-range": `bytes ${start}-${end}/${total}`, etag })
					.end(content.subarray(start, end + 1));
			};
		};
		const size = content.length;
		const cases: Record<string, readonly [route: Route, state: object]> = {
			"the file changed": [whole, state],
			"ranges are not known": [whole, state],
			"416": [(q, s) => (q.headers.range ? void s.writeHead(416).end() : whole(q, s)), state],
			"another place": [range(59_999, size - 1, size), state],
			"another size": [range(60_000, size, size + 1), state],
			"not the rest": [range(60_000, size - 2, size), state],
			"another etag": [range(60_000, size - 1, size, '"v2"'), state],
			"a weak etag": [whole, { ...state, etag: 'W/"v1"' }],
			"no validator": [whole, { ...state, etag: "" }],
		};
		for (const [what, [route, left]] of Object.entries(cases)) {
			serve(route);
			await leave(part, left);
			await withSlot(async (slot) => {
				const result = await get(slot);
				t.equal(result.resumed, false, what);
				t.ok(fs.readFileSync(slot.file).equals(content), what);
			});
		}
		await leave(part, {});
		for (const name of fs.readdirSync(directory))
			if (name.endsWith(".state")) fs.writeFileSync(path.join(directory, name), "{damaged");
		serve(whole);
		t.equal(await code(), "complete", "a damaged state");
	});

	await t.test("two that want the same wait for each other", async (t) => {
		const first = await acquireSlot(url, { directory, syscall, log });
		const lines: string[] = [];
		const second = acquireSlot(url, {
			directory,
			syscall,
			log: { ...log, info: (line) => lines.push(line) },
		});
		await new Promise((resolve) => setTimeout(resolve, 120));
		t.strictSame(lines, ["another rkt instance is downloading this file, waiting..."]);
		first.discard();
		const slot = await second;
		t.ok(fs.existsSync(slot.file));
		slot.discard();
		t.strictSame(fs.readdirSync(directory), []);
	});
}

t.test("which proxy", (t) => {
	const proxies = { HTTP_PROXY: "http://upper:1", http_proxy: "lower:2", HTTPS_PROXY: "https://secure:3" };
	const host = (url: string, more: Record<string, string> = {}) =>
		proxyFor(new URL(url), { ...proxies, ...more })?.host;
	t.equal(host("http://a.com/"), "lower:2");
	t.equal(host("https://a.com/"), "secure:3");
	for (const url of ["http://localhost:8/", "http://127.0.0.1/", "https://127.9.9.9/", "https://[::1]/"])
		t.equal(host(url), undefined, url);
	const exempt: readonly (readonly [rule: string, url: string, direct: boolean])[] = [
		["*", "https://a.com/", true],
		["a.com", "https://a.com/", true],
		["a.com", "https://b.a.com/", true],
		["a.com", "https://ba.com/", false],
		[".a.com", "https://b.a.com/", true],
		["a.com:8443", "https://a.com/", false],
		["a.com:8443", "https://a.com:8443/", true],
		["a.com:443", "https://a.com/", true],
		["x, A.COM ,y", "https://a.com/", true],
		["10.0.0.0/8", "https://10.1.2.3/", true],
		["10.0.0.0/8", "https://11.1.2.3/", false],
		["10.0.0.0/99", "https://10.1.2.3/", false],
		["10.1.2.3", "https://10.1.2.3/", true],
		["2001:db8::/32", "https://[2001:db8::1]/", true],
		["2001:db8::1", "https://[2001:db8::1]/", true],
		["3.com", "https://1.2.3.4/", false],
		["", "https://a.com/", false],
	];
	for (const [rule, url, direct] of exempt)
		t.equal(host(url, { NO_PROXY: rule }) === undefined, direct, `${rule} for ${url}`);
	t.throws(() => host("http://a.com/", { http_proxy: "socks5://x:1" }), { code: "proxy-invalid" });
	t.throws(() => host("http://a.com/", { http_proxy: "http://[" }), { code: "proxy-invalid" });
	t.end();
});

t.test("AWS signatures", (t) => {
	const credentials = {
		accessKeyID: "AKIAIOSFODNN7EXAMPLE",
		secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	};
	// "GET Bucket Lifecycle" of the S3 documentation, "Examples: Signature Calculations".
	const headers = awsSignature(
		new URL("https://examplebucket.s3.amazonaws.com/?lifecycle"),
		credentials,
		new Date("2013-05-24T00:00:00Z"),
	);
	t.match(
		headers.Authorization,
		/Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543$/,
	);
	const regions: Record<string, string> = {
		"example.com": "us-east-1",
		"s3.amazonaws.com": "us-east-1",
		"bucket.s3.amazonaws.com": "us-east-1",
		"s3-external-1.amazonaws.com": "us-east-1",
		"s3-eu-west-1.amazonaws.com": "eu-west-1",
		"bucket.s3-eu-west-1.amazonaws.com": "eu-west-1",
		"bucket.s3.eu-central-1.amazonaws.com": "eu-central-1",
	};
	for (const [name, region] of Object.entries(regions)) t.equal(guessRegion(name), region, name);
	t.end();
});

t.test("Cache-Control", (t) => {
	const cases: Record<string, number> = {
		"max-age=60": 60,
		"public, Max-Age=5": 5,
		"max-age=60, no-cache": 0,
		"no-store, max-age=9": 9,
		"max-age=007": 0,
		"max-age=-1": 0,
		"max-age=99999999999": 0,
		"": 0,
	};
	for (const [header, seconds] of Object.entries(cases)) t.equal(maxAgeOf(header), seconds, header);
	t.equal(maxAgeOf(undefined), 0);
	const record = { downloadTime: 100_000, maxAge: 10 };
	t.equal(isFresh(record, 109_999), true);
	t.equal(isFresh(record, 110_000), false);
	t.equal(isFresh(record, 50_000), false, "a clock that was set back");
	t.equal(isFresh({ downloadTime: 1, maxAge: 0 }, 1), false);
	t.end();
});

t.test("progress", (t) => {
	t.match(progressLine("a.aci", 0, 1024), /^Downloading a\.aci: \[> +\] 0 B\/1\.0 KiB$/);
	t.equal(progressLine("a.aci", 1024, 1024).includes("=]"), true);
	for (const bytes of [0, 1, 500, 1023, 1024]) t.ok(progressLine("a.aci", bytes, 1024).length < 80);
	t.match(progressLine("a.aci", 5_000_000, undefined), /4\.8 MiB of an unknown total size/);
	t.strictSame([0, 1023, 1024, 10_240, 7.6 * 2 ** 20, 3 * 2 ** 40].map(formatBytes), [
		"0 B",
		"1023 B",
		"1.0 KiB",
		"10 KiB",
		"7.6 MiB",
		"3.0 TiB",
	]);
	const drawn: string[] = [];
	const shown = createProgress("x", 100, true, (part) => drawn.push(part));
	for (let bytes = 0; bytes <= 100; bytes++) shown.update(bytes);
	shown.finish();
	t.equal(drawn.length, 3, "at once, at the end, and the line feed");
	createProgress("x", 100, false, () => t.fail("no terminal")).update(50);
	t.end();
});
