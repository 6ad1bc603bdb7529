import * as fs from "node:fs";
import type { ServerResponse } from "node:http";
import * as path from "node:path";
import t, { type Test } from "tap";
import {
	formatRegistryReference,
	parseRegistryReference,
	type RegistryReference,
} from "../../../appc/oci/reference.ts";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import { loadConfig } from "../../../stage0/config/load-config.ts";
import type { OciImage } from "../../../stage0/oci/image-source.ts";
import { parseChallenges } from "../../../stage0/registry/challenge.ts";
import { endpointsOf } from "../../../stage0/registry/endpoint.ts";
import { fetchManifest } from "../../../stage0/registry/fetch-manifest.ts";
import { openRegistry, type RegistryOptions } from "../../../stage0/registry/registry.ts";
import { choosePlatformManifest, openRegistryImage } from "../../../stage0/registry/registry-image.ts";
import { type FakeRegistry, startFakeRegistry } from "../../support/fake-registry.ts";
import { createLogLines } from "../../support/log-lines.ts";
import {
	descriptor,
	hostPlatform,
	json,
	makeIndex,
	makeOciImage,
	OCI_INDEX,
} from "../../support/oci-image.ts";
import { fileEntry, makeLayer, sha256 } from "../../support/oci-layer.ts";

const scratch = fs.mkdtempSync("/var/tmp/rkt-registry-test-");
t.teardown(() => fs.rmSync(scratch, { recursive: true, force: true }));
// Nothing that the user of this machine is logged in to.
process.env.REGISTRY_AUTH_FILE = path.join(scratch, "none.json");
const syscall = createLinuxSyscall();

const layers = [makeLayer([fileEntry("one", "1".repeat(5000))]), makeLayer([fileEntry("two", "2")], "none")];
const image = makeOciImage({ layers });
const layer = layers[0] as (typeof layers)[0];

interface Client {
	readonly waits: number[];
	readonly lines: string[];
	open(name: string): Promise<OciImage>;
	/** The error code, or `ok` when manifest, configuration and every layer could be read. */
	code(name: string): Promise<string>;
	message(name: string): Promise<string>;
}

let serial = 0;

/** `keptBytes` 0: all layers are kept while they are downloaded. */
function newClient(
	registry: FakeRegistry,
	options: Partial<RegistryOptions> = {},
	keptBytes: number | undefined = 0,
): Client {
	const directory = path.join(scratch, `slots${serial++}`);
	fs.mkdirSync(directory);
	const waits: number[] = [];
	const { log, lines } = createLogLines();
	const waiting = {
		delay: async (ms: number) => void waits.push(ms),
		now: () => Date.parse("2026-01-01T00:00:00Z"),
	};
	const all: RegistryOptions = {
		config: loadConfig({}),
		insecure: { http: true, tls: false },
		log,
		waiting,
		...options,
	};
	const open = async (name: string): Promise<OciImage> => {
		const reference = referenceOf(name.includes("/") ? name : `${registry.host}/${name}`);
		const client = openRegistry(reference, all);
		const chosen = await choosePlatformManifest(
			client,
			reference,
			await fetchManifest(client, reference.digest ?? reference.tag ?? ""),
		);
		return openRegistryImage(client, reference, chosen, { directory, syscall, log }, keptBytes);
	};
	const read = async (name: string): Promise<void> => {
		const opened = await open(name);
		for (const index of opened.layers.keys()) await collect(opened.openLayer(index));
		await opened.close();
	};
	const failure = (name: string) =>
		read(name).then(
			() => ({ code: "ok", message: "ok" }),
			(error) => error as { code: string; message: string },
		);
	return {
		waits,
		lines,
		open,
		code: async (name) => (await failure(name)).code,
		message: async (name) => (await failure(name)).message,
	};
}

function referenceOf(name: string): RegistryReference {
	const reference = parseRegistryReference(name);
	if (typeof reference === "string") throw new Error(reference);
	return reference;
}

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
	const parts: Buffer[] = [];
	for await (const chunk of chunks) parts.push(chunk);
	return Buffer.concat(parts);
}

async function newRegistry(t: Test): Promise<FakeRegistry> {
	const registry = await startFakeRegistry();
	t.teardown(() => registry.close());
	registry.push("app:1", image);
	return registry;
}

/** Answers requests whose URL has this part. */
const answering =
	(part: string, answer: (response: ServerResponse) => void): FakeRegistry["intercept"] =>
	({ url }, response) => {
		if (!url.includes(part)) return false;
		answer(response);
		return true;
	};

const sending = (part: string, body: Buffer, headers: Record<string, string | number> = {}) =>
	answering(part, (response) => void response.writeHead(200, headers).end(body));

t.test("an image of a registry", async (t) => {
	const registry = await newRegistry(t);
	const client = newClient(registry);
	const opened = await client.open("app:1");
	t.equal(opened.manifestDigest, image.manifestDigest);
	t.equal(opened.manifestText, image.manifest.toString());
	t.equal(opened.configDigest, image.configDigest);
	t.strictSame(opened.config.config?.Cmd, ["/bin/true"]);
	t.strictSame(
		opened.layers.map(({ diffId }) => diffId),
		layers.map(({ diffId }) => diffId),
	);
	for (const [index, { blob }] of layers.entries()) t.same(await collect(opened.openLayer(index)), blob);
	t.equal(await client.code(`app@${image.manifestDigest}`), "ok", "by its digest");
	t.equal(await client.code(`app:other@${image.manifestDigest}`), "ok", "a digest makes the tag meaningless");
	t.equal(await client.code("app:2"), "registry-not-found");
	t.match(await client.message("absent:1"), /MANIFEST_UNKNOWN/);
	t.strictSame(fs.readdirSync(path.join(scratch, "slots0")), [], "nothing is left of the downloads");
});

t.test("indexes: the image of this platform", async (t) => {
	const registry = await newRegistry(t);
	const client = newClient(registry);
	const other = makeOciImage({
		layers: [makeLayer([fileEntry("other", "")])],
		platform: { os: "linux", architecture: "s390x" },
	});
	registry.push("multi:1", other, image);
	t.equal((await client.open("multi:1")).manifestDigest, image.manifestDigest);
	registry.push("foreign:1", other, other);
	t.equal(await client.code("foreign:1"), "oci-platform-missing");
	const withAttestation = (...entries: object[]) =>
		json({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: entries });
	const attestation = {
		...descriptor(image.manifestType, image.manifest),
		platform: { os: "unknown", architecture: "unknown" },
		annotations: { "vnd.docker.reference.type": "attestation-manifest" },
	};
	const foreign = {
		...descriptor(other.manifestType, other.manifest),
		platform: { os: "linux", architecture: "s390x" },
	};
	registry.pushDocument("foreign:attested", withAttestation(foreign, attestation), OCI_INDEX);
	const refusal = await client.open("foreign:attested").catch((error) => error);
	t.equal(refusal.hint, "there is one for: linux/s390x", "an attestation is no platform to choose");
	registry.pushDocument(
		"multi:attested",
		withAttestation(descriptor(image.manifestType, image.manifest), attestation),
		OCI_INDEX,
	);
	t.equal((await client.open("multi:attested")).manifestDigest, image.manifestDigest, "as buildx makes them");
	const nested = json({
		schemaVersion: 2,
		mediaType: OCI_INDEX,
		manifests: [{ ...descriptor(OCI_INDEX, makeIndex([other, image])), platform: hostPlatform() }],
	});
	registry.pushDocument("multi:nested", nested, OCI_INDEX);
	t.equal((await client.open("multi:nested")).manifestDigest, image.manifestDigest);
	let deep = makeIndex([image]);
	for (let depth = 0; depth < 4; depth++) {
		registry.pushDocument("multi:deep", deep, OCI_INDEX);
		deep = json({
			schemaVersion: 2,
			mediaType: OCI_INDEX,
			manifests: [{ ...descriptor(OCI_INDEX, deep), platform: hostPlatform() }],
		});
	}
	registry.pushDocument("multi:deep", deep, OCI_INDEX);
	t.equal(await client.code("multi:deep"), "oci-invalid", "indexes in indexes end");
});

t.test("every digest and size is checked", async (t) => {
	const registry = await newRegistry(t);
	registry.push("multi:1", image, image);
	const client = newClient(registry);
	const flipped = (bytes: Buffer) =>
		Buffer.concat([bytes.subarray(0, -1), Buffer.from([(bytes.at(-1) ?? 0) ^ 1])]);
	const spaced = (bytes: Buffer) => Buffer.concat([bytes, Buffer.from(" ")]);
	const outcome = async (part: string, body: Buffer, name = "app:1") => {
		registry.intercept = sending(part, body);
		return client.code(name);
	};
	const type = image.manifestType;
	registry.intercept = sending(`manifests/${image.manifestDigest}`, spaced(image.manifest), {
		"content-type": type,
	});
	t.equal(
		await client.code(`app@${image.manifestDigest}`),
		"oci-digest-mismatch",
		"another manifest for a digest",
	);
	t.equal(await client.code("multi:1"), "oci-digest-mismatch", "another manifest than the index names");
	registry.intercept = sending("manifests/1", image.manifest, {
		"content-type": type,
		"docker-content-digest": sha256("other"),
	});
	t.equal(await client.code("app:1"), "oci-digest-mismatch", "the digest that the registry itself names");
	t.equal(await outcome(image.configDigest, flipped(image.config)), "oci-digest-mismatch", "configuration");
	t.equal(
		await outcome(image.configDigest, spaced(image.config)),
		"oci-size-mismatch",
		"configuration too long",
	);
	t.equal(await outcome(layer.digest, flipped(layer.blob)), "oci-digest-mismatch", "layer");
	t.equal(await outcome(layer.digest, spaced(layer.blob)), "oci-size-mismatch", "layer too long");
	t.equal(
		await outcome(layer.digest, layer.blob.subarray(1)),
		"download-truncated",
		"layer too short, again and again",
	);
	t.equal(await outcome(layer.digest, Buffer.alloc(0)), "download-truncated", "no layer");
});

t.test("documents that are not what they seem", async (t) => {
	const registry = await newRegistry(t);
	const client = newClient(registry);
	const type = image.manifestType;
	const manifest = JSON.parse(image.manifest.toString());
	const serve = (document: unknown, mediaType = type) => {
		registry.intercept = sending("manifests/", Buffer.isBuffer(document) ? document : json(document), {
			"content-type": mediaType,
		});
		return client.code("app:1");
	};
	const withConfig = (more: object) => {
		const config = json({ ...JSON.parse(image.config.toString()), ...more });
		registry.pushBlob("app", config);
		return serve({ ...manifest, config: descriptor(manifest.config.mediaType, config) });
	};
	t.equal(await serve({ ...manifest, manifests: [] }), "oci-type-ambiguous", "manifest and index in one");
	t.equal(await serve({ ...manifest, Manifests: [] }), "oci-type-ambiguous", "in another spelling");
	t.equal(await serve(manifest, OCI_INDEX), "oci-type-ambiguous", "delivered as an index");
	t.equal(
		await serve({ ...manifest, mediaType: OCI_INDEX }, ""),
		"oci-type-ambiguous",
		"calls itself an index",
	);
	t.equal(await serve({ ...manifest, layers: undefined, config: undefined }), "oci-invalid", "empty");
	t.equal(await serve({ ...manifest, layers: [] }), "oci-without-layers");
	t.equal(
		await serve({ ...manifest, layers: manifest.layers.slice(1) }),
		"oci-invalid",
		"fewer layers than diff IDs",
	);
	t.equal(await serve({ schemaVersion: 1, fsLayers: [] }), "oci-schema1");
	t.equal(await serve({}, "application/vnd.docker.distribution.manifest.v1+prettyjws"), "oci-schema1");
	t.equal(await serve([]), "oci-invalid", "a list");
	t.equal(await serve(Buffer.from("<html>log in</html>"), "text/html"), "json-invalid");
	for (const digest of [
		"sha256:../../../etc/passwd",
		"sha256:ABC",
		`sha256:${"A".repeat(64)}`,
		`md5:${"a".repeat(32)}`,
		"",
		5,
	]) {
		t.equal(
			await serve({ ...manifest, config: { ...manifest.config, digest } }),
			"oci-invalid",
			`digest ${digest}`,
		);
	}
	for (const size of [-1, 1.5, 2 ** 53, 2 ** 60, "9"]) {
		t.equal(
			await serve({ ...manifest, config: { ...manifest.config, size } }),
			"oci-invalid",
			`size ${size}`,
		);
	}
	t.equal(
		await serve({ ...manifest, config: { ...manifest.config, size: 2 ** 30 } }),
		"oci-invalid",
		"huge configuration",
	);
	const withType = (mediaType: string) =>
		serve({ ...manifest, layers: manifest.layers.map((entry: object) => ({ ...entry, mediaType })) });
	t.equal(await withType("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), "oci-layer-foreign");
	t.equal(
		await withType("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"),
		"oci-layer-foreign",
	);
	t.equal(await withType("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), "oci-layer-unsupported");
	const artifact = { ...manifest.config, mediaType: "application/vnd.cncf.helm.config.v1+json" };
	t.equal(await serve({ ...manifest, config: artifact }), "oci-not-an-image");
	t.equal(await withConfig({ rootfs: { type: "layers", diff_ids: ["sha256:../x", "y"] } }), "oci-invalid");
	t.equal(await withConfig({ rootfs: undefined }), "oci-invalid");
	t.notOk(
		registry.requests.some(({ url }) => /\.\.|passwd/.test(url)),
		"no request was built from a bad digest",
	);
});

t.test("answers have bounds", async (t) => {
	const registry = await newRegistry(t);
	const client = newClient(registry);
	const spaces = Buffer.alloc(1024 * 1024, " ");
	let sent = 0;
	const endless = (part: string) =>
		answering(part, (response) => {
			response.writeHead(200, { "content-type": image.manifestType });
			const more = (): void => {
				while (!response.destroyed && sent++ < 10_000)
					if (!response.write(spaces)) return void response.once("drain", more);
				response.end();
			};
			more();
		});
	registry.intercept = endless("manifests/");
	t.equal(await client.code("app:1"), "response-too-large", "a manifest of spaces");
	t.ok(sent < 100, `gave up after ${sent} MiB`);
	sent = 0;
	registry.intercept = endless(image.configDigest);
	t.equal(await client.code("app:1"), "oci-size-mismatch", "a configuration of spaces");
	t.ok(sent < 100, `gave up after ${sent} MiB`);
});

t.test("a registry that is busy is asked again", async (t) => {
	const registry = await newRegistry(t);
	const refuse = (
		times: number,
		status: number,
		headers: Record<string, string> = {},
	): FakeRegistry["intercept"] => {
		let left = times;
		return (_, response) => {
			if (left-- <= 0) return false;
			response.writeHead(status, headers).end();
			return true;
		};
	};
	const attempt = async (intercept: FakeRegistry["intercept"]) => {
		registry.intercept = intercept;
		const client = newClient(registry);
		return { code: await client.code("app:1"), waits: client.waits };
	};
	t.strictSame(await attempt(refuse(2, 429, { "retry-after": "7" })), { code: "ok", waits: [7000, 7000] });
	t.strictSame(await attempt(refuse(1, 503, { "retry-after": "Thu, 01 Jan 2026 00:00:09 GMT" })), {
		code: "ok",
		waits: [9000],
	});
	t.strictSame(await attempt(refuse(3, 502)), { code: "ok", waits: [500, 1000, 2000] });
	t.strictSame(await attempt(refuse(99, 503)), { code: "registry-busy", waits: [500, 1000, 2000, 4000] });
	t.strictSame(
		await attempt(refuse(99, 429, { "retry-after": "86400" })),
		{ code: "registry-busy", waits: [] },
		"a day is too long",
	);
	t.strictSame(await attempt(refuse(99, 500)), { code: "http-status", waits: [] });
});

t.test("a download that breaks goes on", async (t) => {
	const registry = await newRegistry(t);
	const big = makeLayer(
		[fileEntry("big", Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251)))],
		"none",
	);
	registry.push("big:1", makeOciImage({ layers: [big] }));
	const breaking = (answerRange: boolean): FakeRegistry["intercept"] => {
		let breaks = 0;
		return ({ url, headers }, response) => {
			const start = Number(/^bytes=(\d+)-/.exec(headers.range ?? "")?.[1] ?? 0);
			if (!url.includes(big.digest) || (answerRange && breaks >= 3)) return false;
			const from = answerRange ? start : 0;
			const end = breaks++ < 3 ? start + 100_000 : big.blob.length;
			const place = { "content-range": `bytes ${from}-${big.blob.length - 1}/${big.blob.length}` };
			response.writeHead(from > 0 ? 206 : 200, {
				"content-length": big.blob.length - from,
				...(from > 0 ? place : {}),
			});
			response.write(big.blob.subarray(from, end), () =>
				end < big.blob.length ? response.destroy() : response.end(),
			);
			return true;
		};
	};
	for (const answerRange of [true, false]) {
		registry.intercept = breaking(answerRange);
		const client = newClient(registry);
		const opened = await client.open("big:1");
		t.same(
			await collect(opened.openLayer(0)),
			big.blob,
			answerRange ? "by ranges" : "the beginning sent again is left out",
		);
		t.equal(client.waits.length, 3);
	}
	registry.intercept = ({ url, headers }, response) => {
		if (!url.includes(big.digest)) return false;
		if (headers.range === undefined) {
			response.writeHead(200, { "content-length": big.blob.length });
			response.write(big.blob.subarray(0, 1000), () => response.destroy());
		} else response.writeHead(206, { "content-range": `bytes 5-9/${big.blob.length}` }).end("12345");
		return true;
	};
	t.equal(
		await newClient(registry).code("big:1"),
		"registry-answer-invalid",
		"another part than was asked for",
	);
	registry.intercept = answering(big.digest, (response) => {
		response.writeHead(200, { "content-length": big.blob.length });
		response.write(Buffer.alloc(1), () => response.destroy());
	});
	t.match(
		await newClient(registry).code("big:1"),
		/^(download-truncated|network-failed)$/,
		"it ends some time",
	);
});

t.test("what a killed download left is used", async (t) => {
	const registry = await newRegistry(t);
	const { createHash } = await import("node:crypto");
	const name = `sha512-${createHash("sha512").update(`oci-blob:${layer.digest}`).digest("hex")}`;
	const rangesAfter = async (left: Buffer, keptBytes = 0) => {
		const client = newClient(registry, {}, keptBytes);
		fs.writeFileSync(path.join(scratch, `slots${serial - 1}`, name), left);
		const opened = await client.open("app:1");
		registry.requests.length = 0;
		const outcome = await collect(opened.openLayer(0)).then(
			(bytes) => (bytes.equals(layer.blob) ? "ok" : "differs"),
			(error) => error.code,
		);
		t.notOk(fs.existsSync(path.join(scratch, `slots${serial - 1}`, name)), "it is not left again");
		return { outcome, ranges: registry.requests.map(({ headers }) => headers.range) };
	};
	t.strictSame(await rangesAfter(layer.blob.subarray(0, 10)), { outcome: "ok", ranges: ["bytes=10-"] });
	t.strictSame(await rangesAfter(layer.blob), { outcome: "ok", ranges: [] });
	t.strictSame(await rangesAfter(Buffer.alloc(10)), {
		outcome: "oci-digest-mismatch",
		ranges: ["bytes=10-"],
	});
	t.strictSame(await rangesAfter(Buffer.alloc(1_000_000)), { outcome: "ok", ranges: [undefined] });
	t.strictSame(await rangesAfter(layer.blob.subarray(0, 10), layer.blob.length), {
		outcome: "ok",
		ranges: ["bytes=10-"],
	});
	const small = newClient(registry, {}, layer.blob.length + 1);
	const opened = await small.open("app:1");
	for await (const _ of opened.openLayer(0)) {
		t.strictSame(fs.readdirSync(path.join(scratch, `slots${serial - 1}`)), [], "a small one is not kept");
	}
});

t.test("authorization", async (t) => {
	const registry = await newRegistry(t);
	const config = (credentials?: { user: string; password: string }) => ({
		...loadConfig({}),
		dockerAuth: new Map(credentials ? [[registry.host, credentials]] : []),
	});
	const known = { user: "u", password: "p:w" };
	const basic = `Basic ${Buffer.from("u:p:w").toString("base64")}`;
	const challenging =
		(challenge: string, accepted: string): FakeRegistry["intercept"] =>
		({ url, headers }, response) => {
			if (url.startsWith("/token") || headers.authorization === accepted) return false;
			response.writeHead(401, { "www-authenticate": challenge }).end();
			return true;
		};

	await t.test("basic", async (t) => {
		registry.intercept = challenging('Basic realm="r"', basic);
		t.equal(await newClient(registry, { config: config(known) }).code("app:1"), "ok");
		t.equal(await newClient(registry, { config: config() }).code("app:1"), "registry-unauthorized");
		t.equal(
			await newClient(registry, { config: config({ ...known, password: "x" }) }).code("app:1"),
			"registry-unauthorized",
		);
		t.ok(registry.requests[0]?.headers.authorization === undefined, "nothing is sent before it is asked for");
	});

	const bearer = (realm = `http://${registry.host}/token`, service = "reg") =>
		`Bearer realm="${realm}",service="${service}",scope="repository:app:pull,push"`;
	const withTokens = (
		challenge: string,
		answer: (authorization: string | undefined) => unknown,
		accepted = "Bearer t0k",
	): FakeRegistry["intercept"] => {
		const challenged = challenging(challenge, accepted);
		return (request, response) => {
			if (!request.url.startsWith("/token")) return challenged(request, response);
			response.writeHead(200).end(json(answer(request.headers.authorization)));
			return true;
		};
	};

	await t.test("tokens", async (t) => {
		registry.requests.length = 0;
		registry.intercept = withTokens(bearer(), (sent) =>
			sent === basic ? { token: "t0k" } : { access_token: "other" },
		);
		t.equal(await newClient(registry, { config: config(known) }).code("app:1"), "ok");
		const asked = registry.requests.filter(({ url }) => url.startsWith("/token"));
		t.equal(asked.length, 1, "one token for the whole image");
		t.equal(
			new URL(asked[0]?.url ?? "", "http://x").searchParams.get("scope"),
			"repository:app:pull",
			"no more than reading",
		);
		t.equal(new URL(asked[0]?.url ?? "", "http://x").searchParams.get("service"), "reg");
		t.equal(await newClient(registry, { config: config() }).code("app:1"), "registry-unauthorized");
		registry.intercept = withTokens(bearer(), () => ({ access_token: "t0k" }));
		t.equal(
			await newClient(registry, { config: config() }).code("app:1"),
			"ok",
			"access_token, and no credentials needed",
		);
		registry.intercept = withTokens(bearer(), () => ({ token: "a\r\nX-Evil: 1" }));
		t.equal(await newClient(registry, { config: config() }).code("app:1"), "registry-answer-invalid");
		registry.intercept = withTokens(bearer(), () => ({}));
		t.equal(await newClient(registry, { config: config() }).code("app:1"), "registry-answer-invalid");
		registry.intercept = withTokens(bearer(), () => ({ token: "x".repeat(2_000_000) }));
		t.equal(await newClient(registry, { config: config() }).code("app:1"), "response-too-large");
		for (const realm of [
			"ftp://x/token",
			"nonsense",
			"",
			`http://u:p@${registry.host}/token`,
			"file:///etc/passwd",
		]) {
			registry.intercept = withTokens(bearer(realm), () => ({ token: "t0k" }));
			t.equal(
				await newClient(registry, { config: config(known) }).code("app:1"),
				"registry-answer-invalid",
				realm,
			);
		}
	});

	await t.test("a token that is refused again and again, and one that expires", async (t) => {
		registry.requests.length = 0;
		registry.intercept = withTokens(bearer(), () => ({ token: "wrong" }));
		t.equal(await newClient(registry, { config: config(known) }).code("app:1"), "registry-unauthorized");
		t.equal(registry.requests.length, 3, "request, token, request, and no more");
		let serial = 0;
		registry.intercept = ({ url, headers }, response) => {
			if (url.startsWith("/token")) response.writeHead(200).end(json({ token: `t${++serial}` }));
			else if (headers.authorization === `Bearer t${serial}` && !url.includes("/blobs/")) return false;
			else if (serial >= 2 && headers.authorization === `Bearer t${serial}`) return false;
			else response.writeHead(401, { "www-authenticate": bearer() }).end();
			return true;
		};
		t.equal(await newClient(registry, { config: config() }).code("app:1"), "ok");
		t.equal(serial, 2);
	});

	await t.test("an identity token is exchanged, and not sent to the registry", async (t) => {
		const file = path.join(scratch, "identity.json");
		fs.writeFileSync(file, JSON.stringify({ auths: { [registry.host]: { identitytoken: "secret-id" } } }));
		process.env.REGISTRY_AUTH_FILE = file;
		registry.requests.length = 0;
		registry.intercept = withTokens(bearer(), () => ({ access_token: "t0k" }));
		t.equal(await newClient(registry).code("app:1"), "ok");
		process.env.REGISTRY_AUTH_FILE = path.join(scratch, "none.json");
		const [asked] = registry.requests.filter(({ url }) => url.startsWith("/token"));
		t.equal(asked?.method, "POST");
		t.equal(new URLSearchParams(asked?.body).get("refresh_token"), "secret-id");
		t.notOk(
			registry.requests.some(
				({ headers, url }) => url.includes("secret-id") || headers.authorization?.includes("secret-id"),
			),
		);
	});

	await t.test("credentials stay with the registry", async (t) => {
		const stranger = await startFakeRegistry();
		t.teardown(() => stranger.close());
		stranger.push("app:1", image);
		const redirecting =
			(part: string): FakeRegistry["intercept"] =>
			({ url, headers }, response) => {
				if (headers.authorization !== basic) response.writeHead(401, { "www-authenticate": "Basic" }).end();
				else if (url.includes(part))
					response.writeHead(307, { location: `http://${stranger.host}${url}` }).end();
				else return false;
				return true;
			};
		for (const part of ["/blobs/", "/manifests/"]) {
			registry.intercept = redirecting(part);
			t.equal(await newClient(registry, { config: config(known) }).code("app:1"), "ok", `${part} elsewhere`);
		}
		stranger.intercept = (_, response) => {
			response.writeHead(401, { "www-authenticate": `Bearer realm="http://${stranger.host}/token"` }).end();
			return true;
		};
		t.equal(
			await newClient(registry, { config: config(known) }).code("app:1"),
			"registry-unauthorized",
			"and a stranger's questions are not answered",
		);
		t.ok(stranger.requests.length > 0);
		t.notOk(
			stranger.requests.some(
				({ headers, url }) => headers.authorization !== undefined || url.includes("token"),
			),
		);
		registry.intercept = answering("/manifests/", (response) =>
			response.writeHead(302, { location: "/v2/app/manifests/1" }).end(),
		);
		t.equal(await newClient(registry).code("app:1"), "redirect-loop");
	});

	t.strictSame(
		parseChallenges(
			'Basic realm="a \\"b\\", c", Bearer realm="https://x/t?a=1,b=2" , service=reg,  scope="s"',
		).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]),
		[
			["basic", { realm: 'a "b", c' }],
			["bearer", { realm: "https://x/t?a=1,b=2", service: "reg", scope: "s" }],
		],
	);
	t.strictSame(parseChallenges(`Bearer ${'x="'.repeat(10_000)}`).length, 1, "a long header takes no time");
});

t.test("plain http only where it is allowed, and mirrors", async (t) => {
	const registry = await newRegistry(t);
	const mirror = await startFakeRegistry();
	t.teardown(() => mirror.close());
	const strict = { http: false, tls: false };
	const loose = { http: true, tls: false };
	t.equal(await newClient(registry, { insecure: strict }).code("app:1"), "network-failed");
	const withSettings = (settings: object) => ({
		...loadConfig({}),
		registries: new Map([[registry.host, settings as never]]),
	});
	t.equal(
		await newClient(registry, {
			insecure: strict,
			config: withSettings({ mirrors: [], insecure: loose }),
		}).code("app:1"),
		"ok",
	);
	const mirrored = withSettings({
		mirrors: [{ host: mirror.host, prefix: "cache", insecure: loose }],
		insecure: loose,
	});
	const client = newClient(registry, { insecure: strict, config: mirrored });
	mirror.push("cache/app:1", image);
	registry.requests.length = 0;
	t.equal(await client.code("app:1"), "ok");
	t.strictSame(registry.requests, [], "all came from the mirror");
	mirror.intercept = sending(layer.digest, Buffer.from("evil"));
	t.match(await client.code("app:1"), /mismatch|truncated/, "what a mirror gives is checked");
	mirror.intercept = sending(layer.digest, Buffer.alloc(layer.blob.length));
	const opened = await newClient(registry, { insecure: strict, config: mirrored }).open("app:1");
	await t.rejects(collect(opened.openLayer(0)), { code: "oci-digest-mismatch" });
	t.same(await collect(opened.openLayer(0)), layer.blob, "a second time the registry itself is asked");
	mirror.intercept = (_, response) => {
		response.writeHead(404).end();
		return true;
	};
	const second = newClient(registry, { insecure: strict, config: mirrored });
	t.equal(await second.code("app:1"), "ok", "what the mirror lacks comes from the registry");
	t.match(second.lines.join("\n"), /mirror 127\.0\.0\.1:\d+: /);
	await mirror.close();
	t.equal(await second.code("app:1"), "ok", "a mirror that is down is passed over");
});

t.test("endpoints", (t) => {
	const mirror = { host: "m.test", prefix: "hub", insecure: { http: true, tls: false } };
	const none = { http: false, tls: false };
	const config = { registries: new Map([["docker.io", { mirrors: [mirror], insecure: none }]]) };
	const endpoints = (name: string, everywhere = none) => endpointsOf(referenceOf(name), config, everywhere);
	const hub = { host: "registry-1.docker.io", repository: "library/a", insecure: none };
	t.strictSame(endpoints("a"), [
		{ host: "m.test", repository: "hub/library/a", insecure: mirror.insecure },
		hub,
	]);
	t.strictSame(endpoints("quay.io/a"), [{ host: "quay.io", repository: "a", insecure: none }]);
	const all = { http: true, tls: true };
	t.strictSame(
		endpoints("a", all).map(({ insecure }) => insecure),
		[all, all],
	);
	t.end();
});

t.test("references", (t) => {
	const hex = "a".repeat(64);
	const text = (name: string) => {
		const reference = parseRegistryReference(name);
		return typeof reference === "string" ? "refused" : formatRegistryReference(reference);
	};
	const cases: Record<string, string> = {
		busybox: "registry-1.docker.io/library/busybox:latest",
		"busybox:1.36": "registry-1.docker.io/library/busybox:1.36",
		"user/app": "registry-1.docker.io/user/app:latest",
		"docker.io/busybox": "registry-1.docker.io/library/busybox:latest",
		"index.docker.io/a/b:c": "registry-1.docker.io/a/b:c",
		"localhost/app": "localhost/app:latest",
		"LOCALHOST:5000/app:V_1": "localhost:5000/app:V_1",
		"quay.io/a/b/c-d__e.f": "quay.io/a/b/c-d__e.f:latest",
		"[::1]:5000/a": "[::1]:5000/a:latest",
		[`a.b/c@sha256:${hex}`]: `a.b/c@sha256:${hex}`,
		[`a.b/c:1@sha256:${hex}`]: `a.b/c@sha256:${hex}`,
	};
	for (const [name, wanted] of Object.entries(cases)) t.equal(text(name), wanted, name);
	for (const bad of [
		"",
		"/",
		"a:",
		":a",
		"A/b",
		"a//b",
		"a/../b",
		"../a",
		"a.b:x/c",
		"a.b:99999/c",
		"a/b:c/d",
		`a@sha256:${hex.toUpperCase()}`,
		`a@sha256:${hex}0`,
		"a@sha256:../..",
		"user@host/x",
		"a b",
		"a?b",
		"a#b",
		"a\0",
		`a:${"t".repeat(129)}`,
		`${"a/".repeat(200)}b`,
		"a.b/",
		"[::g]:1/a",
	]) {
		t.equal(text(bad), "refused", JSON.stringify(bad));
	}
	t.end();
});
