import { createHmac } from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import * as net from "node:net";
import * as path from "node:path";
import t, { type Test } from "tap";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import { checkMetadataService, registerPod, unregisterPod } from "../../../stage0/metadata/client.ts";
import { parseForm } from "../../../stage0/metadata/form.ts";
import { registerPreparedPod } from "../../../stage0/metadata/pod-registration.ts";
import { type MetadataService, startMetadataService } from "../../../stage0/metadata/service.ts";
import { createLogLines } from "../../support/log-lines.ts";
import { waitFor } from "../../support/wait-for.ts";

const UUID = "01234567-89ab-4cde-8f01-23456789abcd";
const OTHER = "11234567-89ab-4cde-8f01-23456789abcd";
const TOKEN = "0123456789abcdef0123456789abcdef";
const IMAGE_ID = `sha512-${"a".repeat(128)}`;
const JSON_TYPE = "application/json";
const TEXT_TYPE = "text/plain; charset=us-ascii";

const POD = {
	acVersion: "0.8.11",
	acKind: "PodManifest",
	apps: [
		{
			name: "web",
			image: { name: "example.com/web", id: IMAGE_ID },
			annotations: [
				{ name: "color", value: "pod" },
				{ name: "size", value: "<1>" },
			],
		},
		{ name: "db", image: { id: IMAGE_ID } },
	],
	annotations: [
		{ name: "ip-address", value: "10.1.2.3" },
		{ name: "example.com/team", value: "züge" },
	],
};
const IMAGE = {
	acKind: "ImageManifest",
	acVersion: "0.8.11",
	name: "example.com/web",
	app: { exec: ["/bin/web"], user: "0", group: "0" },
	annotations: [
		{ name: "color", value: "image" },
		{ name: "authors", value: "A. Author" },
	],
	unknownMember: { kept: true },
};
const IMAGE_TEXT = JSON.stringify(IMAGE, undefined, " ");

interface Reply {
	readonly status: number;
	readonly type: string | undefined;
	readonly headers: http.IncomingHttpHeaders;
	readonly text: string;
}

function ask(
	where: http.RequestOptions,
	body?: string | Buffer,
	headers: http.OutgoingHttpHeaders = {},
): Promise<Reply> {
	return new Promise((resolve, reject) => {
		const call = http.request({ host: "127.0.0.1", agent: false, headers, ...where }, (response) => {
			const chunks: Buffer[] = [];
			response.on("data", (chunk) => chunks.push(chunk));
			response.on("end", () => {
				const { statusCode = 0, headers } = response;
				const text = Buffer.concat(chunks).toString();
				resolve({ status: statusCode, type: headers["content-type"], headers, text });
			});
		});
		call.on("error", reject);
		call.end(body);
	});
}

interface Rig {
	readonly state: string;
	readonly socket: string;
	readonly lines: string[];
	readonly service: MetadataService;
	get(rest: string, method?: string): Promise<Reply>;
	form(what: string, fields: string | Record<string, string>, token?: string): Promise<Reply>;
	register(method: string, rest: string, body?: string): Promise<Reply>;
}

/** A service of its own; the path of a socket must be short. */
async function startRig(t: Test, directory = makeDirectory(t)): Promise<Rig> {
	const { log, lines } = createLogLines();
	const state = path.join(directory, "state");
	const socket = path.join(directory, "s/registration.sock");
	const service = await startMetadataService({
		...{ state, socket, port: 0, passed: [], syscall: createLinuxSyscall(), log },
	});
	t.teardown(() => service.close());
	const { port } = service;
	return {
		...{ state, socket, lines, service },
		get: (rest, method = "GET") => ask({ port, path: `/${TOKEN}/acMetadata/v1${rest}`, method }),
		form: (what, fields, token = TOKEN) => {
			const body = typeof fields === "string" ? fields : new URLSearchParams(fields).toString();
			const type = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
			return ask({ port, path: `/${token}/acMetadata/v1/pod/hmac/${what}`, method: "POST" }, body, type);
		},
		register: (method, rest, body) => ask({ socketPath: socket, path: rest, method }, body),
	};
}

function makeDirectory(t: Test): string {
	const directory = fs.mkdtempSync("/var/tmp/rkt-mds-");
	t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
	return directory;
}

async function registerBoth(rig: Rig): Promise<void> {
	t.equal((await rig.register("PUT", `/pods/${UUID}?token=${TOKEN}`, JSON.stringify(POD))).status, 200);
	t.equal((await rig.register("PUT", `/pods/${UUID}/web`, IMAGE_TEXT)).status, 200);
}

t.test("every endpoint gives what the specification says, in its media type", async (t) => {
	const rig = await startRig(t);
	await registerBoth(rig);
	const merged = [
		{ name: "color", value: "pod" },
		{ name: "authors", value: "A. Author" },
		{ name: "size", value: "<1>" },
	];
	const cases: [string, string, string | RegExp][] = [
		["/pod/uuid", TEXT_TYPE, UUID],
		["/pod/annotations/ip-address", TEXT_TYPE, "10.1.2.3"],
		["/pod/annotations/example.com/team", "text/plain; charset=utf-8", "züge"],
		["/pod/annotations/example.com%2Fteam", "text/plain; charset=utf-8", "züge"],
		["/pod/annotations", JSON_TYPE, `${JSON.stringify(POD.annotations)}\n`],
		["/apps/web/image/id", TEXT_TYPE, IMAGE_ID],
		["/apps/web/image/manifest", JSON_TYPE, `${IMAGE_TEXT}\n`],
		["/apps/web/annotations/color", TEXT_TYPE, "pod"],
		["/apps/web/annotations/authors", TEXT_TYPE, "A. Author"],
	];
	for (const [rest, type, text] of cases) {
		t.match(await rig.get(rest), { status: 200, type, text, headers: { "cache-control": "no-store" } }, rest);
	}
	const annotations = await rig.get("/apps/web/annotations");
	t.equal(annotations.type, JSON_TYPE);
	t.strictSame(JSON.parse(annotations.text), merged);
	t.ok(annotations.text.includes("\\u003c1\\u003e"), "JSON as Go writes it");
	const manifest = await rig.get("/pod/manifest");
	t.equal(manifest.type, JSON_TYPE);
	t.match(JSON.parse(manifest.text), { acKind: "PodManifest", apps: [{ app: IMAGE.app }, { name: "db" }] });
	const direct = await ask(
		{ port: rig.service.port, path: `/${TOKEN}/acMetadata/v1/pod/uuid`, method: "GET" },
		"",
		{
			"metadata-flavor": "AppContainer",
		},
	);
	t.equal(direct.text, UUID);
});

t.test("what is not there, not allowed or not a name", async (t) => {
	const rig = await startRig(t);
	await registerBoth(rig);
	const cases: [string, number, string?][] = [
		["/pod/annotations/missing", 404],
		["/pod/annotations/Not%20A%20Name", 400],
		["/pod/annotations/", 400],
		["/pod/annotations/..%2f..", 400],
		["/pod/nothing", 404],
		["/pod", 404],
		["", 404],
		["/pod/uuid/more", 404],
		["/apps/nobody/annotations", 404],
		["/apps/db/image/id", 404],
		["/apps/__proto__/annotations", 404],
		["/apps/web/image", 404],
		["/apps/web/image/id/x", 404],
		["/pod/uuid", 405, "DELETE"],
		["/pod/manifest", 405, "HEAD"],
		["/pod/hmac/sign", 405],
		["/pod/hmac/other", 404, "POST"],
	];
	for (const [rest, status, method] of cases) t.equal((await rig.get(rest, method)).status, status, rest);
	t.equal((await rig.get("/pod/uuid", "PUT")).headers.allow, "GET");
	t.equal((await rig.get("/pod/hmac/verify")).headers.allow, "POST");
	const { port } = rig.service;
	for (const where of [`/${TOKEN}`, `/${TOKEN}/`, `/${TOKEN}/acMetadata/v2/pod/uuid`]) {
		t.equal((await ask({ port, path: where })).status, 404, where);
	}
});

t.test("without the token of a pod nothing is answered, and no token gets into the log", async (t) => {
	const rig = await startRig(t);
	await registerBoth(rig);
	const { port } = rig.service;
	const wrong = TOKEN.replace("0", "1");
	const paths = [
		"/",
		"//",
		"/acMetadata/v1/pod/uuid",
		`/${wrong}/acMetadata/v1/pod/uuid`,
		`/${TOKEN.toUpperCase()}/acMetadata/v1/pod/uuid`,
		`/${TOKEN}x/acMetadata/v1/pod/uuid`,
		`//${TOKEN}/acMetadata/v1/pod/uuid`,
		`/%zz/${TOKEN}`,
		`/__proto__/acMetadata/v1/pod/uuid`,
		`/${UUID}/acMetadata/v1/pod/uuid`,
	];
	for (const where of paths) t.equal((await ask({ port, path: where })).status, 401, where);
	const sign = await rig.form("sign", { content: "x" });
	const verify = { content: "x", uuid: UUID, signature: sign.text };
	t.equal((await rig.form("verify", verify)).status, 200);
	t.equal((await rig.form("verify", verify, wrong)).status, 401, "rkt took any token here");
	t.equal((await rig.form("sign", { content: "x" }, wrong)).status, 401);
	await ask({ port, path: `/${TOKEN}/acMetadata/v1/${TOKEN}/a%0abc?token=${TOKEN}` });
	await ask({ port, path: `/${TOKEN}/${"y".repeat(4000)}` });
	const all = rig.lines.join("\n");
	t.notOk(all.toLowerCase().includes(TOKEN), "the token");
	t.ok(rig.lines.includes(`POST /${UUID}/acMetadata/v1/pod/hmac/verify - 200`), all);
	t.ok(rig.lines.includes("GET /- - 401"));
	t.ok(rig.lines.includes(`GET /${UUID}/acMetadata/v1/-/a?bc - 404`), "no line of the client's own");
	t.ok(rig.lines.every((line) => line.length < 300));
});

t.test("signatures: HMAC-SHA512 over UUID and content, over bytes, and only of that pod", async (t) => {
	const rig = await startRig(t);
	await registerBoth(rig);
	const key = fs.readFileSync(path.join(rig.state, "key"));
	const expected = createHmac("sha512", key)
		.update(Buffer.from(UUID.replaceAll("-", ""), "hex"))
		.update("a b+c&ü");
	const signed = await rig.form("sign", { content: "a b+c&ü" });
	t.match(signed, { status: 200, type: TEXT_TYPE, text: expected.digest("base64") });
	const good = { content: "a b+c&ü", uuid: UUID, signature: signed.text };
	t.equal((await rig.form("verify", good)).status, 200);
	t.equal((await rig.form("verify", { ...good, uuid: UUID.replaceAll("-", "").toUpperCase() })).status, 200);
	const refused = [
		{ ...good, content: "a b+c&u" },
		{ ...good, uuid: OTHER },
		{ ...good, signature: signed.text.replace(/^./, (first) => (first === "A" ? "B" : "A")) },
		{ ...good, signature: "AAAA" },
	];
	for (const fields of refused) t.equal((await rig.form("verify", fields)).status, 403);
	const malformed = [
		{ ...good, content: "" },
		{ ...good, uuid: "nobody" },
		{ ...good, uuid: `${UUID}0` },
		{ ...good, signature: "" },
		{ ...good, signature: "not base64!" },
		{ ...good, signature: signed.text.slice(0, -1) },
		{ content: "x", uuid: UUID },
	];
	for (const fields of malformed)
		t.equal((await rig.form("verify", fields)).status, 400, JSON.stringify(fields));
	for (const body of ["", "content=", "content", "content=%zz", "content=a&content=b", "other=1"]) {
		t.equal((await rig.form("sign", body)).status, 400, body);
	}
	const bytes = await Promise.all(["content=%ff", "content=%fe"].map((body) => rig.form("sign", body)));
	t.not(bytes[0]?.text, bytes[1]?.text, "bytes that are no UTF-8 stay different");
	const where = { port: rig.service.port, path: `/${TOKEN}/acMetadata/v1/pod/hmac/sign`, method: "POST" };
	t.equal((await ask(where, "content=x", { "content-type": "text/plain" })).status, 400);
	t.same(
		parseForm(Buffer.from("a=1+2%2B&b&=x")),
		new Map(
			[
				["a", "1 2+"],
				["b", ""],
				["", "x"],
			].map(([k, v]) => [k, Buffer.from(v as string)]),
		),
	);
});

t.test("registration: what is refused, replaced and taken back", async (t) => {
	const rig = await startRig(t);
	const pod = JSON.stringify(POD);
	const refused: [string, string, string | undefined, number][] = [
		["PUT", `/pods/${UUID}`, pod, 400],
		["PUT", `/pods/${UUID}?token=short`, pod, 400],
		["PUT", `/pods/${UUID}?token=${"g".repeat(32)}`, pod, 400],
		["PUT", `/pods/nobody?token=${TOKEN}`, pod, 400],
		["PUT", `/pods/..%2f${UUID}?token=${TOKEN}`, pod, 400],
		["PUT", `/pods/${UUID}?token=${TOKEN}`, "{", 400],
		["PUT", `/pods/${UUID}?token=${TOKEN}`, `{"acKind":"ImageManifest"}`, 400],
		["PUT", `/pods/${UUID}?token=${TOKEN}`, undefined, 400],
		["PUT", `/pods/${UUID}/web`, IMAGE_TEXT, 404],
		["DELETE", `/pods/${UUID}`, undefined, 404],
		["GET", `/pods/${UUID}`, undefined, 405],
		["GET", "/pods", undefined, 400],
		["GET", `/${TOKEN}/acMetadata/v1/pod/uuid`, undefined, 404],
	];
	for (const [method, rest, body, status] of refused) {
		t.equal((await rig.register(method, rest, body)).status, status, `${method} ${rest}`);
	}
	t.same(fs.readdirSync(path.join(rig.state, "pods")), [], "nothing of it is kept");
	await registerBoth(rig);
	t.equal((await rig.register("PUT", `/pods/${UUID}/nobody`, IMAGE_TEXT)).status, 404);
	t.equal((await rig.register("PUT", `/pods/${UUID}/No_Name`, IMAGE_TEXT)).status, 400);
	t.equal((await rig.register("POST", `/pods/${UUID}/web`, IMAGE_TEXT)).status, 405);
	t.equal(
		(await rig.register("PUT", `/pods/${OTHER}?token=${TOKEN}`, pod)).status,
		400,
		"the token of another",
	);
	t.equal((await rig.register("PUT", `/pods/${UUID}?token=${"f".repeat(32)}`, pod)).status, 200);
	t.equal((await rig.get("/pod/uuid")).status, 401, "a new token takes the place of the old one");
	t.equal((await rig.register("DELETE", `/pods/${UUID}`)).status, 200);
	t.equal((await rig.register("DELETE", `/pods/${UUID}`)).status, 404);
	t.same(fs.readdirSync(path.join(rig.state, "pods")), []);
	t.notOk(rig.lines.join("\n").includes(TOKEN));
});

t.test("registrations and the key outlive the service, a killed one too", async (t) => {
	const directory = makeDirectory(t);
	const first = await startRig(t, directory);
	await registerBoth(first);
	await first.register("PUT", `/pods/${OTHER}?token=${"f".repeat(32)}`, JSON.stringify(POD));
	const signature = (await first.form("sign", { content: "x" })).text;
	const file = (name: string): string => path.join(first.state, name);
	const modes = ["", "key", "pods", `pods/${UUID}.json`].map((name) => fs.statSync(file(name)).mode & 0o777);
	t.same(modes, [0o700, 0o600, 0o700, 0o600]);
	t.equal(fs.statSync(first.socket).mode & 0o777, 0o660);
	await first.service.close();

	fs.writeFileSync(file(`pods/${OTHER}.json`), "{");
	fs.writeFileSync(file(`pods/${UUID}.json.1.x.tmp`), "half");
	fs.writeFileSync(first.socket, "");
	const second = await startRig(t, directory);
	t.equal((await second.get("/apps/web/image/id")).text, IMAGE_ID);
	const fields = { content: "x", uuid: UUID, signature };
	t.equal((await second.form("verify", fields)).status, 200);
	t.match(second.lines[0], /^warning: passing over .*\.json/, "one that is damaged does not keep the others");
	t.notOk(fs.existsSync(file(`pods/${UUID}.json.1.x.tmp`)));
	await t.rejects(startRig(t, directory), { code: "metadata-service-running" });
	await second.service.close();

	fs.writeFileSync(file("key"), "short");
	await t.rejects(startRig(t, directory), { code: "metadata-state-damaged" });
	fs.rmSync(file("key"));
	await (await startRig(t, directory)).service.close();
});

t.test("bodies without end, silence and many connections", async (t) => {
	const rig = await startRig(t);
	await registerBoth(rig);
	const { port } = rig.service;
	const large = "x".repeat(1024 * 1024 + 1);
	const status = (promise: Promise<Reply>): Promise<number | string> =>
		promise.then(
			(reply) => reply.status,
			(error: NodeJS.ErrnoException) => error.code ?? "",
		);
	const closed = [413, "EPIPE", "ECONNRESET"];
	t.ok(closed.includes(await status(rig.form("sign", `content=${large}`))), "told by its length");
	const where = { port, path: `/${TOKEN}/acMetadata/v1/pod/hmac/sign`, method: "POST" };
	const chunked = { "transfer-encoding": "chunked", "content-type": "application/x-www-form-urlencoded" };
	t.ok(closed.includes(await status(ask(where, `content=${large}`, chunked))), "in chunks");
	const stranger = { ...where, path: `/${"0".repeat(32)}/acMetadata/v1/pod/hmac/sign` };
	t.ok([401, ...closed].includes(await status(ask(stranger, large, chunked))), "a stranger's is not read");
	t.equal(await status(ask({ port, path: `/${"x".repeat(9000)}` })), 431);
	const lines = [
		"GET / HTTP/1.1\r\n\r\n",
		"\0\0\0",
		"GET /\u0001 HTTP/1.1\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
	];
	for (const line of lines) t.match(await raw(port, line), /^HTTP\/1\.1 400/, JSON.stringify(line));

	const silent = Array.from({ length: 40 }, () => net.connect(port, "127.0.0.1"));
	t.teardown(() => {
		for (const socket of silent) socket.destroy();
	});
	let ended = 0;
	for (const socket of silent)
		socket
			.resume()
			.on("error", () => {})
			.on("close", () => (ended += 1));
	await waitFor("connections beyond the limit of an address to be closed", () => ended >= 8);
	t.equal((await rig.register("PUT", `/pods/${UUID}?token=${TOKEN}`, JSON.stringify(POD))).status, 200);
	await waitFor("silent connections to be closed", () => ended === 40);
	t.equal((await rig.get("/pod/uuid")).text, UUID, "and it goes on");
});

function raw(port: number, text: string): Promise<string> {
	return new Promise((resolve) => {
		let answer = "";
		const socket = net.connect(port, "127.0.0.1", () => socket.write(text));
		socket.on("data", (chunk) => {
			answer += chunk;
			socket.destroy();
		});
		socket.on("error", () => {});
		socket.on("close", () => resolve(answer));
	});
}

t.test("the client: registers, takes back, and says when there is no service", async (t) => {
	const rig = await startRig(t);
	const { socket, state } = rig;
	const pauseMs = 1;
	const directory = t.testdir({ pod: JSON.stringify(POD), appsinfo: { web: { manifest: IMAGE_TEXT } } });
	const place = { uuid: UUID, where: "prepare", directory } as const;
	await checkMetadataService({ socket });
	const token = await registerPreparedPod(place, ["web"], { socket });
	t.match(token, /^[0-9a-f]{32}$/);
	t.ok(fs.existsSync(path.join(directory, "mds-registered")));
	const idPath = `/${token}/acMetadata/v1/apps/web/image/id`;
	t.equal((await ask({ port: rig.service.port, path: idPath })).text, IMAGE_ID);
	await unregisterPod(UUID, { socket, state });
	await unregisterPod(UUID, { socket, state });
	t.equal((await ask({ port: rig.service.port, path: idPath })).status, 401);

	const broken = t.testdir({ broken: { pod: "{", appsinfo: { web: { manifest: "" } } } });
	const bad = { ...place, directory: path.join(broken, "broken") };
	await t.rejects(registerPreparedPod(bad, ["web"], { socket, pauseMs }), {
		code: "metadata-registration-refused",
	});
	t.notOk(fs.existsSync(path.join(bad.directory, "mds-registered")), "no mark stays");

	await registerBoth(rig);
	await rig.service.close();
	await unregisterPod(UUID, { socket, state });
	t.same(fs.readdirSync(path.join(state, "pods")), [], "a service that does not run forgets it as well");
	const file = path.join(t.testdir({ file: "" }), "file");
	for (const where of [socket, file, path.join(file, "below")]) {
		const missing = { code: "metadata-service-missing", message: /could not reach the metadata service/ };
		await t.rejects(checkMetadataService({ socket: where, pauseMs }), missing);
		const pod = { uuid: UUID, manifest: Buffer.from("{}"), images: new Map() };
		await t.rejects(registerPod(pod, { socket: where, pauseMs }), missing);
	}
});

t.test("a service that starts late is found at the third attempt", async (t) => {
	const directory = makeDirectory(t);
	const socket = path.join(directory, "late.sock");
	let calls = 0;
	const dying = http.createServer((request, response) => {
		calls += 1;
		if (calls < 3) request.destroy();
		else response.end();
	});
	await new Promise<void>((resolve) => dying.listen(socket, resolve));
	t.teardown(() => dying.close());
	await registerPod({ uuid: UUID, manifest: Buffer.from("{}"), images: new Map() }, { socket, pauseMs: 1 });
	t.equal(calls, 3);
});
