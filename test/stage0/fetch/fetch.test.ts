import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import { loadConfig } from "../../../stage0/config/load-config.ts";
import { fetchImage } from "../../../stage0/fetch/fetch-image.ts";
import type { FetchOptions } from "../../../stage0/fetch/fetch-options.ts";
import { parseImageReference } from "../../../stage0/fetch/image-reference.ts";
import { resolveStage1, type Stage1Selection } from "../../../stage0/fetch/resolve-stage1.ts";
import { addTrust } from "../../../stage0/fetch/trust.ts";
import { openKeystore } from "../../../stage0/keystore/keystore.ts";
import { openStore } from "../../../stage0/store/store.ts";
import { createCertificates } from "../../support/certificates.ts";
import {
	discoveryPage,
	fileRoute,
	type ImageServer,
	startImageServer,
	textRoute,
} from "../../support/image-server.ts";
import { createLogLines } from "../../support/log-lines.ts";
import { type AciEntry, imageManifest, type ManifestOptions, makeAci } from "../../support/make-aci.ts";
import { addHostNames, enterPrivateHost } from "../../support/private-host.ts";
import { createSigningKey, type SigningKey } from "../../support/signing-key.ts";

enterPrivateHost();

const scratch = fs.mkdtempSync("/var/tmp/rkt-fetch-test-");
t.setTimeout(170_000);
t.teardown(() => fs.rmSync(scratch, { recursive: true, force: true }));
addHostNames(path.join(scratch, "hosts"), ["example.test", "other.test", "keys.test"]);
const syscall = createLinuxSyscall();

let serial = 0;
const newDirectory = (): string => {
	const directory = path.join(scratch, `d${serial++}`);
	fs.mkdirSync(directory);
	return directory;
};

const SECURE = { image: false, tls: false, http: false, pubkey: false };
const UNSIGNED = { ...SECURE, image: true };

/** A machine of its own, with everything that it says. */
function newMachine(more: Partial<FetchOptions> = {}) {
	const base = newDirectory();
	const { log, lines } = createLogLines();
	const local = path.join(base, "etc");
	const options: FetchOptions = {
		store: openStore(path.join(base, "data"), syscall),
		keystore: openKeystore({ local }),
		config: loadConfig({ local }),
		insecure: SECURE,
		pullPolicy: "update",
		trustKeysFromHttps: false,
		log,
		syscall,
		render: false,
		...more,
	};
	const fetch = (image: string, changes: Partial<FetchOptions> = {}) =>
		fetchImage(parseImageReference(image), { ...options, ...changes });
	const trust = (key: SigningKey, prefix?: string) =>
		addTrust({ prefix, locations: [key.publicKeyFile], allowHttp: false, skipReview: true }, options);
	const code = (image: string, changes: Partial<FetchOptions> = {}) =>
		fetch(image, changes).then(
			() => "ok",
			(error) => error.code ?? error,
		);
	const left = () => fs.readdirSync(path.join(options.store.directory, "tmp"));
	return { options, lines, fetch, trust, code, left, local };
}

type Machine = ReturnType<typeof newMachine>;

interface PublishOptions extends ManifestOptions {
	readonly signedBy?: SigningKey;
	/** What the manifest says when it is not the name under which it is published. */
	readonly manifestName?: string;
	readonly files?: Record<string, AciEntry>;
	/** Of the address. */
	readonly at?: string;
}

interface Published {
	readonly key: string;
	readonly file: string;
	readonly url: string;
	readonly path: string;
}

t.test("fetching", async (t) => {
	const certificates = await createCertificates(path.join(scratch, "tls"), [
		"example.test",
		"other.test",
		"keys.test",
	]);
	process.env.SSL_CERT_FILE = certificates.authorityFile;
	const server = await startImageServer(certificates, 443);
	const good = await createSigningKey("Good <good@example.test>");
	const stranger = await createSigningKey("Stranger <stranger@example.test>");
	t.teardown(async () => {
		await Promise.all([server.close(), good.remove(), stranger.remove()]);
	});
	server.route("/key.asc", fileRoute(good.publicKeyFile));
	const template = "https://example.test/{name}-{version}-{os}-{arch}.{ext}";
	const page = discoveryPage("example.test", template, "https://example.test/key.asc");
	server.route("/", textRoute(page));

	const publish = async (name: string, options: PublishOptions = {}): Promise<Published> => {
		const file = path.join(newDirectory(), "image.aci");
		const manifest = imageManifest(options.manifestName ?? name, options);
		const key = await makeAci(file, {
			manifest,
			files: options.files ?? { [name.split("/").at(-1) as string]: { text: name } },
			compress: true,
		});
		await (options.signedBy ?? good).sign(file);
		const arch = (manifest.labels as { name: string; value: string }[]).find(
			(label) => label.name === "arch",
		)?.value;
		const address = `/${name}-${options.at ?? options.version ?? "1.0.0"}-linux-${arch}.aci`;
		server.route(address, fileRoute(file));
		server.route(`${address}.asc`, fileRoute(`${file}.asc`));
		return { key, file, url: `https://example.test${address}`, path: address };
	};
	const count = (text: string) => server.requests.filter((line) => line.endsWith(text)).length;
	const world: World = { server, good, stranger, publish, count };

	await t.test("by name", (t) => testNames(t, world));
	await t.test("by URL and from files", (t) => testUrlsAndFiles(t, world));
	await t.test("caching", (t) => testCaching(t, world));
	await t.test("keys by discovery", (t) => testKeys(t, world));
	await t.test("dependencies", (t) => testDependencies(t, world));
	await t.test("stage1", (t) => testStage1(t, world));
});

interface World {
	readonly server: ImageServer;
	readonly good: SigningKey;
	readonly stranger: SigningKey;
	publish(name: string, options?: PublishOptions): Promise<Published>;
	count(text: string): number;
}

async function testNames(t: Test, { server, good, stranger, publish, count }: World): Promise<void> {
	const machine = newMachine();
	await machine.trust(good, "example.test");
	const app = await publish("example.test/app");
	t.equal(await machine.fetch("example.test/app:1.0.0"), app.key);
	for (const line of [
		/^searching for app image example\.test\/app:1\.0\.0$/,
		/^signature verified:$/,
		/^ {2}Good <good/,
		/keys already exist/,
	]) {
		t.ok(
			machine.lines.some((said) => line.test(said)),
			String(line),
		);
	}
	t.equal(machine.options.store.record(app.key)?.insecure, false);
	t.strictSame(machine.left(), []);
	const latest = await publish("example.test/app", { version: "2.0.0", at: "latest" });
	t.equal(await machine.fetch("example.test/app"), latest.key);
	t.equal(machine.options.store.record(latest.key)?.latest, true);
	t.equal(
		await machine.fetch("example.test/app", { pullPolicy: "never" }),
		latest.key,
		"what was found as latest",
	);

	await t.test("policies", async (t) => {
		const asked = server.requests.length;
		t.equal(await machine.fetch("example.test/app:1.0.0", { pullPolicy: "new" }), app.key);
		t.equal(await machine.fetch("example.test/app:1.0.0", { pullPolicy: "never" }), app.key);
		t.equal(await machine.fetch(app.key.slice(0, 20)), app.key);
		t.equal(server.requests.length, asked, "nobody was asked");
		t.equal(await machine.code("example.test/absent", { pullPolicy: "never" }), "image-not-found");
		t.equal(await machine.code("example.test/absent", { pullPolicy: "new" }), "image-unsigned");
		t.equal(await machine.code("other.test/x"), "discovery-failed");
		t.equal(await machine.code("sha512-00"), "image-not-found");
	});

	await t.test("who may sign", async (t) => {
		await publish("example.test/strange", { signedBy: stranger });
		t.equal(await machine.code("example.test/strange:1.0.0"), "signature-key-unknown");
		t.equal(count("strange-1.0.0-linux-amd64.aci"), 0, "the issuer is looked at before the download");
		const narrow = newMachine();
		await narrow.trust(stranger, "example.test/foo");
		await publish("example.test/foo", { signedBy: stranger });
		await publish("example.test/foobar", { signedBy: stranger });
		t.equal(await narrow.code("example.test/foo:1.0.0"), "ok");
		t.equal(await narrow.code("example.test/foobar:1.0.0"), "signature-key-untrusted");
		t.equal(await narrow.code("example.test/foobar:1.0.0", { insecure: UNSIGNED }), "ok");
		const other = await publish("example.test/bytes");
		fs.appendFileSync(other.file, "x");
		t.equal(await machine.code("example.test/bytes:1.0.0"), "signature-bad");
		server.route(`${app.path}.asc`, (_request, response) => response.writeHead(404).end());
		t.equal(await newMachine().code("example.test/app:1.0.0"), "image-unsigned");
		server.route(`${app.path}.asc`, textRoute(""));
		t.equal(await newMachine().code("example.test/app:1.0.0"), "image-unsigned", "an empty signature");
		server.route(`${app.path}.asc`, fileRoute(`${app.file}.asc`));
		t.strictSame(machine.left(), []);
	});

	await t.test("a signature that comes later", async (t) => {
		const late = await publish("example.test/late");
		let asked = 0;
		server.route(`${late.path}.asc`, (request, response) => {
			if (asked++ === 0) response.writeHead(202).end();
			else fileRoute(`${late.file}.asc`)(request, response);
		});
		t.equal(await machine.fetch("example.test/late:1.0.0"), late.key);
		server.route(`${late.path}.asc`, (_request, response) => response.writeHead(202).end());
		t.equal(
			await newMachineWith(good, "example.test").then((fresh) => fresh.code("example.test/late:1.0.0")),
			"signature-deferred",
		);
	});

	await t.test("an image that is not the one", async (t) => {
		await publish("example.test/renamed", { manifestName: "example.test/real" });
		await publish("example.test/versioned", { version: "2.0.0", at: "1.0.0" });
		await publish("example.test/arch", { labels: { arch: "i386" } });
		server.route("/example.test/arch-1.0.0-linux-amd64.aci", (_request, response) =>
			response.writeHead(302, { location: "/example.test/arch-1.0.0-linux-i386.aci" }).end(),
		);
		for (const insecure of [SECURE, UNSIGNED]) {
			t.equal(await machine.code("example.test/renamed:1.0.0", { insecure }), "image-name-mismatch");
			t.equal(await machine.code("example.test/versioned:1.0.0", { insecure }), "image-label-mismatch");
		}
		t.equal(await machine.code("example.test/arch:1.0.0", { insecure: UNSIGNED }), "image-label-mismatch");
		t.equal(machine.options.store.find("example.test/real", []), undefined);
		t.strictSame(machine.left(), []);
	});
}

async function newMachineWith(key: SigningKey, prefix: string): Promise<Machine> {
	const machine = newMachine();
	await machine.trust(key, prefix);
	return machine;
}

async function testUrlsAndFiles(t: Test, { server, good, stranger, publish }: World): Promise<void> {
	const app = await publish("example.test/url");
	const machine = await newMachineWith(good, "example.test");
	t.equal(await machine.fetch(app.url), app.key);
	t.equal(await machine.fetch(app.url, { pullPolicy: "never" }), app.key);
	t.equal(await newMachine().code(app.url, { pullPolicy: "never" }), "image-not-found");
	t.equal(await newMachine().code(app.url), "signature-key-unknown");
	t.equal(
		await (await newMachineWith(good, "other.test")).code(app.url),
		"signature-key-untrusted",
		"the name in the manifest chooses the keys",
	);
	t.equal(await newMachine().code(app.url.replace("https", "http")), "http-insecure");
	t.equal(await machine.code("https://example.test/none.aci"), "image-unsigned");
	t.equal(await machine.code("https://example.test/none.aci", { insecure: UNSIGNED }), "http-status");
	server.route("/moved.aci", (_request, response) => response.writeHead(302, { location: app.path }).end());
	t.equal(
		await machine.fetch("https://example.test/moved.aci", { signature: `${app.file}.asc` }),
		app.key,
		"--signature",
	);
	server.route("/evil.aci", textRoute("this is no image\n".repeat(100)));
	t.equal(await machine.code("https://example.test/evil.aci", { insecure: UNSIGNED }), "aci-invalid");

	await t.test("files", async (t) => {
		const machine = await newMachineWith(good, "example.test");
		t.equal(await machine.fetch(app.file), app.key);
		t.ok(machine.lines.includes("signature verified:"));
		t.equal(await machine.fetch(`file://${app.file}`), app.key);
		t.equal(await newMachine().code(app.file), "signature-key-unknown");
		t.equal(await (await newMachineWith(good, "other.test")).code(app.file), "signature-key-untrusted");
		const copy = path.join(newDirectory(), "copy.aci");
		fs.copyFileSync(app.file, copy);
		t.equal(await machine.code(copy), "image-unsigned");
		t.equal(await machine.code(copy, { signature: `${app.file}.asc` }), "ok");
		t.equal(await machine.code(copy, { signature: "/nonexistent" }), "image-unsigned");
		t.equal(await machine.code(copy, { insecure: UNSIGNED }), "ok");
		await stranger.sign(copy);
		t.equal(await machine.code(copy), "signature-key-unknown");
		await good.sign(copy);
		fs.appendFileSync(copy, "x");
		t.equal(await newMachineWith(good, "example.test").then((fresh) => fresh.code(copy)), "signature-bad");
		fs.writeFileSync(copy, "no image");
		await good.sign(copy);
		t.equal(await machine.code(copy), "aci-invalid", "a good signature makes no image");
		t.equal(await machine.code("/nonexistent/x.aci", { insecure: UNSIGNED }), "file-not-found");
		t.equal(await machine.code("/nonexistent/x.aci"), "file-not-found");
		t.strictSame(machine.left(), []);
	});

	await t.test("references", (t) => {
		process.chdir(path.dirname(app.file));
		const type = (text: string) => {
			const { text: _, ...reference } = parseImageReference(text);
			return reference;
		};
		const name = (value: string, labels: { name: string; value: string }[] = []) => ({
			type: "name",
			name: value,
			labels,
		});
		t.strictSame(type("sha512-ab"), { type: "hash", prefix: "sha512-ab" });
		t.strictSame(type("image.aci"), { type: "file", path: app.file });
		t.strictSame(type("absent.aci"), { type: "file", path: path.resolve("absent.aci") });
		t.strictSame(type("./x"), { type: "file", path: path.resolve("x") });
		t.strictSame(type("/x"), { type: "file", path: "/x" });
		t.strictSame(type("file:///a%20b.aci"), { type: "file", path: "/a b.aci" });
		t.strictSame(
			type("example.com/a:1.0,os=linux"),
			name("example.com/a", [
				{ name: "version", value: "1.0" },
				{ name: "os", value: "linux" },
			]),
		);
		t.strictSame(type("example.com:v1"), name("example.com", [{ name: "version", value: "v1" }]));
		t.strictSame(type("HTTPS://a.com/b.aci"), { type: "url", url: "HTTPS://a.com/b.aci" });
		const busybox = { registry: "registry-1.docker.io", repository: "library/busybox", tag: "latest" };
		t.strictSame(type("docker://busybox"), { type: "docker", reference: busybox });
		t.strictSame(type("cimd:docker:v=0:registry-1.docker.io/library/busybox:latest"), {
			type: "docker",
			reference: busybox,
		});
		t.strictSame(
			type("cimd:appc:v=0:a.com/b?version=1%2B2&arch=amd64"),
			name("a.com/b", [
				{ name: "version", value: "1+2" },
				{ name: "arch", value: "amd64" },
			]),
		);
		t.strictSame(type("cimd:aci-archive:v=0:https%3A%2F%2Fa.com%2Fb.aci"), {
			type: "url",
			url: "https://a.com/b.aci",
		});
		t.strictSame(type("cimd:aci-archive:v=0:file%3A%2F%2F%2Fb.aci"), { type: "file", path: "/b.aci" });
		t.strictSame(type("docker:busybox"), { type: "docker", reference: busybox });
		for (const bad of [
			"docker:",
			"docker:/busybox",
			"docker://",
			"docker://A/b",
			"docker://host/a?b",
			"cimd:docker:v=0:",
			"https://a.com/b",
			"https://",
			"file://host/x.aci",
			"file:///x",
			"cimd:x",
			"cimd:appc:v=1:a",
			"cimd:odd:v=0:a",
			"cimd:aci-archive:v=0:ftp%3A",
		]) {
			t.throws(() => type(bad), { code: "image-reference-invalid" }, bad);
		}
		for (const bad of ["", "Not/A/Name", "a:1:2"]) t.throws(() => type(bad), { code: /^image-/ }, bad);
		t.end();
	});
}

async function testCaching(t: Test, { server, good, publish, count }: World): Promise<void> {
	const app = await publish("example.test/cached");
	let etag = '"1"';
	let control = "";
	server.route(app.path, (request, response) => {
		const headers = { etag, ...(control && { "cache-control": control }) };
		if (request.headers["if-none-match"] === etag) response.writeHead(304, headers).end();
		else
			response
				.writeHead(200, { ...headers, "content-length": fs.statSync(app.file).size })
				.end(fs.readFileSync(app.file));
	});
	const machine = await newMachineWith(good, "example.test");
	const { store } = machine.options;
	const fetch = () => machine.fetch("example.test/cached:1.0.0");
	t.equal(await fetch(), app.key);
	const imported = store.record(app.key)?.importTime;
	const remote = () => store.getRemote(app.url);
	t.match(remote(), { etag: '"1"', maxAge: 0, key: app.key });
	const before = remote()?.downloadTime ?? 0;
	await new Promise((resolve) => setTimeout(resolve, 5));
	t.equal(await fetch(), app.key);
	t.equal(store.record(app.key)?.importTime, imported, "304: not imported again");
	t.ok((remote()?.downloadTime ?? 0) > before, "and known to be current");
	control = "max-age=3600";
	await fetch();
	const asked = count(app.path);
	await fetch();
	t.equal(count(app.path), asked, "within its time nobody is asked");
	store.putRemote({
		...(remote() as NonNullable<ReturnType<typeof remote>>),
		downloadTime: Date.now() - 3_601_000,
	});
	etag = '"2"';
	await fetch();
	t.equal(remote()?.etag, '"2"');
	t.not(store.record(app.key)?.importTime, imported);

	await t.test("damage in the store makes the next fetch a whole one", async (t) => {
		control = "";
		const blob = path.join(store.directory, "blob", "sha512", app.key.slice(7, 9), app.key);
		const manifest = path.join(store.directory, "imageManifest", "sha512", app.key.slice(7, 9), app.key);
		fs.truncateSync(blob, 10);
		await fetch();
		t.equal(fs.statSync(blob).size, store.record(app.key)?.size);
		fs.writeFileSync(manifest, "{}");
		await fetch();
		t.equal((await store.manifest(app.key)).name, "example.test/cached");
		store.remove(app.key);
		t.equal(await fetch(), app.key);
	});

	await t.test("a copy that nobody verified is not good enough for a check", async (t) => {
		const machine = newMachine();
		t.equal(await machine.fetch("example.test/cached:1.0.0", { insecure: UNSIGNED }), app.key);
		t.equal(machine.options.store.record(app.key)?.insecure, true);
		t.equal(await machine.code("example.test/cached:1.0.0"), "signature-key-unknown");
		await machine.trust(good, "example.test");
		t.equal(await machine.fetch("example.test/cached:1.0.0"), app.key);
		t.equal(machine.options.store.record(app.key)?.insecure, false);
	});

	await t.test("fifty at once download once", async (t) => {
		const shared = await publish("example.test/shared", { files: { big: { text: "s".repeat(500_000) } } });
		const machine = await newMachineWith(good, "example.test");
		const keys = await Promise.all(
			Array.from({ length: 50 }, () => machine.fetch("example.test/shared:1.0.0")),
		);
		t.strictSame(new Set(keys), new Set([shared.key]));
		t.equal(count(shared.path), 1);
		t.equal(machine.options.store.list().length, 1);
		t.strictSame(machine.left(), []);
	});

	await t.test("what a killed download left is used, and thrown away when it spoils the image", async (t) => {
		const big = await publish("example.test/resumed", { files: { big: { text: "r".repeat(50_000) } } });
		const content = fs.readFileSync(big.file);
		const half = content.length >> 1;
		let ranges = 0;
		server.route(big.path, (request, response) => {
			if (!request.headers.range)
				return void response.writeHead(200, { etag: '"r"', "content-length": content.length }).end(content);
			ranges++;
			response
				.writeHead(206, {
					etag: '"r"',
					"content-range": `bytes ${half}-${content.length - 1}/${content.length}`,
				})
				.end(content.subarray(half));
		});
		const machine = newMachine({ insecure: UNSIGNED });
		for (const [index, part] of [content.subarray(0, half), Buffer.alloc(half)].entries()) {
			const directory = machine.options.store.temporaryDirectory();
			const { acquireSlot } = await import("../../../stage0/fetch/download-slot.ts");
			const { file, stateFile, discard } = await acquireSlot(big.url, {
				directory,
				syscall,
				log: machine.options.log,
			});
			discard();
			fs.writeFileSync(file, part);
			fs.writeFileSync(stateFile, JSON.stringify({ etag: '"r"', lastModified: "", total: content.length }));
			t.equal(await machine.fetch(big.url), big.key);
			t.equal(ranges, index + 1);
			t.strictSame(machine.left(), []);
			machine.options.store.remove(big.key);
		}
		t.ok(machine.lines.some((line) => line.includes("downloading all of it again")));
	});
}

async function testKeys(t: Test, { server, good, publish }: World): Promise<void> {
	const app = await publish("example.test/auto");
	const machine = newMachine();
	t.equal(await machine.code("example.test/auto:1.0.0"), "signature-key-unknown");
	t.ok(
		machine.lines.some((line) => /lack of tty/.test(line)),
		"nobody could be asked",
	);
	t.equal(await machine.fetch("example.test/auto:1.0.0", { trustKeysFromHttps: true }), app.key);
	t.strictSame(
		fs.readdirSync(path.join(machine.local, "trustedkeys/prefix.d/example.test/auto")),
		[good.fingerprint],
		"for the image's name only",
	);
	t.ok(machine.lines.some((line) => /without fingerprint review/.test(line)));
	const careless = newMachine({ insecure: { ...SECURE, tls: true }, trustKeysFromHttps: true });
	t.equal(
		await careless.code("example.test/auto:1.0.0"),
		"signature-key-unknown",
		"no keys over unchecked TLS",
	);

	const trust = (request: Partial<Parameters<typeof addTrust>[0]>, { options } = newMachine()) =>
		addTrust(
			{ prefix: "example.test", locations: [], allowHttp: false, skipReview: true, ...request },
			options,
		);
	const [file] = await trust({});
	t.ok(file?.endsWith(`prefix.d/example.test/${good.fingerprint}`));
	t.match((await trust({ prefix: undefined, locations: ["https://example.test/key.asc"] }))[0], /root\.d/);
	await t.rejects(trust({ skipReview: false }), { code: "key-review-impossible" });
	await t.rejects(trust({ locations: ["http://example.test/key.asc"] }), { code: "key-over-http" });
	await t.rejects(trust({ locations: ["/nonexistent"] }), { code: "key-not-found" });
	await t.rejects(trust({ locations: ["https://example.test/nothing"] }), { code: "http-status" });
	await t.rejects(trust({ locations: [app.file] }), { code: "key-malformed" });
	await t.rejects(trust({ prefix: "https://example.test" }), { code: "trust-prefix-invalid" });
	await t.rejects(trust({ prefix: "other.test" }), { code: "discovery-failed" });
	server.route("/large.asc", textRoute("x".repeat(2_000_000)));
	await t.rejects(trust({ locations: ["https://example.test/large.asc"] }), { code: "response-too-large" });
}

async function testDependencies(t: Test, { good, publish }: World): Promise<void> {
	const machine = await newMachineWith(good, "example.test");
	const leaf = await publish("example.test/leaf");
	const middle = await publish("example.test/middle", {
		dependencies: [
			{ imageName: "example.test/leaf", imageID: leaf.key, labels: [{ name: "version", value: "1.0.0" }] },
		],
	});
	const labels = [{ name: "version", value: "1.0.0" }];
	const size = fs.statSync(middle.file).size;
	const top = await publish("example.test/top", {
		dependencies: [
			{ imageName: "example.test/middle", labels, size },
			{ imageName: "example.test/leaf", labels },
		],
	});
	t.equal(await machine.fetch("example.test/top:1.0.0", { render: true }), top.key);
	t.strictSame(
		new Set(machine.options.store.list().map(({ key }) => key)),
		new Set([leaf.key, middle.key, top.key]),
	);
	const { rootfs } = await machine.options.store.ensureTree(top.key);
	t.strictSame(fs.readdirSync(rootfs).sort(), ["leaf", "middle", "top"]);

	const broken: Record<string, readonly [dependencies: Record<string, unknown>[], code: string]> = {
		"another image ID": [[{ imageName: "example.test/leaf", labels, imageID: top.key }], "image-id-mismatch"],
		"another size": [[{ imageName: "example.test/leaf", labels, size: 7 }], "image-size-mismatch"],
		"nowhere to be found": [[{ imageName: "example.test/nowhere", labels }], "image-unsigned"],
		"another label": [
			[{ imageName: "example.test/leaf", labels: [...labels, { name: "channel", value: "beta" }] }],
			"image-label-mismatch",
		],
	};
	for (const [what, [dependencies, code]] of Object.entries(broken)) {
		const machine = await newMachineWith(good, "example.test");
		await publish("example.test/broken", { dependencies });
		t.equal(await machine.code("example.test/broken:1.0.0"), code, what);
		t.strictSame(machine.left(), []);
	}
	await publish("example.test/a", { dependencies: [{ imageName: "example.test/b", labels }] });
	await publish("example.test/b", { dependencies: [{ imageName: "example.test/c", labels }] });
	await publish("example.test/c", { dependencies: [{ imageName: "example.test/b", labels }] });
	await t.rejects(machine.fetch("example.test/a:1.0.0"), {
		code: "dependency-cycle",
		message: /example\.test\/b -> example\.test\/c -> example\.test\/b/,
	});
	t.strictSame(
		machine.options.store
			.list()
			.map(({ name }) => name)
			.sort(),
		["example.test/leaf", "example.test/middle", "example.test/top"],
		"images that can never run are not kept",
	);
	await publish("example.test/self", { dependencies: [{ imageName: "example.test/self", labels }] });
	t.equal(await machine.code("example.test/self:1.0.0"), "dependency-cycle");
}

async function testStage1(t: Test, { good, publish }: World): Promise<void> {
	const program = newDirectory();
	const bundled = await publish("example.test/stage1", { signedBy: good });
	fs.copyFileSync(bundled.file, path.join(program, "nspawn.aci"));
	const list = {
		nspawn: { file: "nspawn.aci", id: bundled.key, name: "example.test/stage1", version: "1.0.0" },
	};
	fs.writeFileSync(path.join(program, "stage1-images.json"), JSON.stringify(list));
	const machine = newMachine({ pullPolicy: "update" });
	const resolve = (
		selection: Stage1Selection,
		changes: Partial<FetchOptions> & { programDirectory?: string } = {},
	) => resolveStage1(selection, { ...machine.options, programDirectory: program, ...changes });
	const code = (...args: Parameters<typeof resolve>) =>
		resolve(...args).then(
			() => "ok",
			(error) => error.code,
		);
	t.equal(
		await resolve({ kind: "default" }),
		bundled.key,
		"trusted without signature, because it is that one",
	);
	fs.rmSync(path.join(program, "nspawn.aci"));
	t.equal(await resolve({ kind: "default" }), bundled.key, "from the store");
	t.equal(await resolve({ kind: "image", value: "nspawn" }), bundled.key);
	t.equal(await resolve({ kind: "hash", value: bundled.key.slice(0, 30) }), bundled.key);
	t.equal(await resolve({ kind: "name", value: "example.test/stage1:1.0.0" }), bundled.key);
	t.equal(await code({ kind: "image", value: "kvm" }), "stage1-unknown");
	t.equal(await code({ kind: "hash", value: "example.test/x" }), "stage1-unknown");
	t.equal(await code({ kind: "url", value: "example.test/x" }), "stage1-unknown");
	t.equal(await code({ kind: "default" }, { programDirectory: "/nonexistent" }), "stage1-missing");

	const other = await publish("example.test/other-stage1");
	t.equal(
		await code({ kind: "path", value: other.file }),
		"signature-key-unknown",
		"others need a signature",
	);
	await machine.trust(good, "example.test");
	t.equal(await resolve({ kind: "path", value: other.file }), other.key);
	t.equal(await resolve({ kind: "image", value: other.file }), other.key);
	t.equal(await resolve({ kind: "url", value: other.url }), other.key);
	t.equal(await resolve({ kind: "image", value: other.url }), other.key);
	const config = { ...machine.options.config, paths: { stage1Images: path.dirname(other.file) } };
	t.equal(await resolve({ kind: "from-dir", value: "image.aci" }, { config }), other.key);
	const byName = { ...config, stage1: { name: "example.test/other-stage1", version: "1.0.0" } };
	t.equal(await resolve({ kind: "default" }, { config: byName }), other.key);
	const byLocation = { ...config, stage1: { name: "a.b/c", version: "9", location: other.file } };
	t.equal(await resolve({ kind: "default" }, { config: byLocation }), other.key);
	fs.copyFileSync(other.file, path.join(program, "nspawn.aci"));
	machine.options.store.remove(bundled.key);
	t.equal(await code({ kind: "default" }), "image-id-mismatch", "a bundled file that was exchanged");
	fs.writeFileSync(path.join(program, "stage1-images.json"), "{");
	t.equal(await code({ kind: "default" }), "stage1-bundle-invalid");
}
