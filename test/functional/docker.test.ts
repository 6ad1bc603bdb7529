import { createPrivateKey, randomBytes, sign, X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { execa } from "execa";
import t, { type Test } from "tap";
import { type Certificates, createCertificates } from "../support/certificates.ts";
import {
	type DockerRegistry,
	REGISTRY_USER,
	startDockerRegistry,
	TOKEN_ISSUER,
	TOKEN_SERVICE,
} from "../support/docker-registry.ts";
import { busyboxFiles } from "../support/make-aci.ts";
import { makeOciImage } from "../support/oci-image.ts";
import { fileEntry, layerFiles, makeLayer, type OciLayer } from "../support/oci-layer.ts";
import { writeOciLayout } from "../support/oci-layout.ts";
import { addHostNames, enterPrivateHost } from "../support/private-host.ts";
import { createSigningKey } from "../support/signing-key.ts";
import { createTestHost, type RktResult, type TestHost } from "../support/test-host.ts";

enterPrivateHost();
t.setTimeout(170_000);

const PORT = 5000;
const TOKEN_PORT = 5001;
const NAME = "registry.test";
const UNVERIFIED = "--insecure-options=image";

interface World {
	readonly host: TestHost;
	readonly certificates: Certificates;
	/** Wants the password. */
	readonly registry: DockerRegistry;
	/** `docker://…` of a name there. */
	url(name: string): string;
	rkt(...args: string[]): Promise<RktResult>;
	/** With the crash points, one of which is reached. */
	killed(point: string, ...args: string[]): Promise<RktResult>;
	/** skopeo with the credentials of the registry. */
	skopeo(...args: string[]): Promise<string>;
	/** Makes an image of these layers and pushes it. */
	push(name: string, layers: readonly OciLayer[], config?: Record<string, unknown>): Promise<void>;
}

async function createWorld(t: Test): Promise<World> {
	const host = createTestHost("docker");
	t.teardown(() => host.remove());
	addHostNames(path.join(host.directory, "hosts"), [NAME]);
	const certificates = await createCertificates(path.join(host.directory, "tls"), [NAME]);
	const registry = await startDockerRegistry({
		name: NAME,
		port: PORT,
		certificates,
		access: { type: "basic" },
		storage: path.join(host.directory, "storage"),
		directory: path.join(host.directory, "registry"),
	});
	t.teardown(() => registry.close());
	const authFile = path.join(host.directory, "auth.json");
	const environment = {
		NODE_EXTRA_CA_CERTS: certificates.authorityFile,
		SSL_CERT_FILE: certificates.authorityFile,
		REGISTRY_AUTH_FILE: authFile,
	};
	const skopeo = async (...args: string[]): Promise<string> =>
		(await execa("skopeo", args, { env: environment })).stdout;
	const { user, password } = REGISTRY_USER;
	await skopeo(
		"login",
		"--authfile",
		authFile,
		`--username=${user}`,
		`--password=${password}`,
		registry.host,
	);
	return {
		host,
		certificates,
		registry,
		url: (name) => `docker://${registry.host}/${name}`,
		rkt: (...args) => host.rkt(args, { environment }),
		killed: (point, ...args) =>
			host.rkt(args, { testBuild: true, environment: { ...environment, RKT_CRASH_AT: point } }),
		skopeo,
		push: async (name, layers, config = {}) => {
			const layout = fs.mkdtempSync(path.join(host.directory, "layout-"));
			writeOciLayout(layout, [{ tag: "x", images: [makeOciImage({ layers, config })] }]);
			await skopeo("copy", "-q", `oci:${layout}:x`, `docker://${registry.host}/${name}`);
		},
	};
}

const base = makeLayer(layerFiles(busyboxFiles()));
const greeting = makeLayer([fileEntry("greeting", "hello from a layer\n")], "zstd");

t.test("images of a registry", async (t) => {
	const world = await createWorld(t);
	const { host, registry, rkt, url, skopeo, push } = world;
	const ok = (result: RktResult, what: string): string => {
		t.equal(result.status, 0, what, { stderr: result.stderr });
		return result.stdout.trim();
	};
	const refused = (result: RktResult, mention: RegExp, what: string): void => {
		t.equal(result.status, 254, what, { stderr: result.stderr });
		t.match(result.stderr, mention, what);
		t.notMatch(result.stderr, /\n\s+at .*\(/, `${what}: no stack`);
	};
	const blobs = (): string[] => registry.requests().filter((line) => /^GET 20[06] .*\/blobs\//.test(line));
	const tree = (directory: string): string[] =>
		fs.readdirSync(path.join(host.dataDirectory, "cas", directory));

	await push("app:1", [base, greeting], { Cmd: ["/bin/sh", "-c", "cat /greeting; id -u"], User: "1000" });
	registry.requests();

	await t.test("who may read, and what may be run", async (t) => {
		refused(await host.rkt([UNVERIFIED, "fetch", url("app:1")]), /certificate/, "an unknown authority");
		const stranger = {
			NODE_EXTRA_CA_CERTS: world.certificates.authorityFile,
			HOME: "/nonexistent",
			XDG_RUNTIME_DIR: "/nonexistent",
		};
		refused(
			await host.rkt([UNVERIFIED, "fetch", url("app:1")], { environment: stranger }),
			/wants a user and a password/,
			"no credentials",
		);
		refused(await rkt("fetch", url("app:1")), /nothing vouches for the image/, "no signature");
		refused(await rkt(UNVERIFIED, "fetch", url("app:none")), /MANIFEST_UNKNOWN/, "no such tag");
		refused(
			await rkt(UNVERIFIED, "fetch", "--pull-policy=never", url("app:1")),
			/not in the store/,
			"never, and not there",
		);
		const authD = path.join(host.configDirectory, "auth.d");
		fs.mkdirSync(authD, { recursive: true });
		const dockerAuth = {
			rktKind: "dockerAuth",
			rktVersion: "v1",
			registries: [registry.host],
			credentials: REGISTRY_USER,
		};
		fs.writeFileSync(path.join(authD, "r.json"), JSON.stringify(dockerAuth), { mode: 0o600 });
		const ran = await host.rkt([UNVERIFIED, "run", "--net=none", url("app:1")], { environment: stranger });
		ok(ran, "run, with rkt's own credentials");
		t.match(ran.stdout, /hello from a layer\r?\n.*1000/s);
		fs.rmSync(path.join(authD, "r.json"));
		const strict = await rkt("run", "--net=none", url("app:1"));
		refused(
			strict,
			/nothing vouches for the image/,
			"the copy that nobody vouched for does not do without the option",
		);
	});

	await t.test("what is there is not asked for again", async (t) => {
		t.equal(blobs().length, 3, "a configuration and two layers");
		ok(await rkt(UNVERIFIED, "prepare", url("app:1")), "prepare");
		t.strictSame(registry.requests(), [], "nobody was asked");
		ok(await rkt(UNVERIFIED, "fetch", url("app:1")), "fetch");
		t.equal(blobs().length, 0, "the tag means what it meant");
		await push("app:2", [base, makeLayer([fileEntry("greeting", "second\n")], "none")], {
			Cmd: ["/bin/cat", "/greeting"],
		});
		registry.requests();
		ok(await rkt(UNVERIFIED, "fetch", url("app:2")), "an image that shares a layer");
		t.equal(blobs().length, 2, "the shared layer is not downloaded");
		await skopeo("copy", "-q", url("app:2"), url("app:1"));
		t.match(
			ok(await rkt(UNVERIFIED, "run", "--net=none", url("app:1")), "new: what the tag was"),
			/hello from a layer/,
		);
		t.match(
			ok(
				await rkt(UNVERIFIED, "run", "--net=none", "--pull-policy=update", url("app:1")),
				"update: what it is now",
			),
			/second/,
		);
	});

	await t.test("fifty fetches at once download it once", async (t) => {
		await push("many:latest", [
			makeLayer([fileEntry("one", "1".repeat(100_000))]),
			makeLayer([fileEntry("two", "2")]),
		]);
		registry.requests();
		const results = await Promise.all(
			Array.from({ length: 50 }, () => rkt(UNVERIFIED, "fetch", url("many"))),
		);
		t.strictSame(
			new Set(results.map(({ status }) => status)),
			new Set([0]),
			String(results.find(({ status }) => status !== 0)?.stderr),
		);
		t.equal(new Set(results.map(({ stdout }) => stdout)).size, 1);
		const layers = blobs();
		t.equal(new Set(layers).size, layers.length, layers.join("\n"));
	});

	await t.test("a download that was killed goes on", async (t) => {
		// Smaller layers are not kept.
		const noise = randomBytes(33 * 1024 * 1024);
		await push("big:1", [makeLayer([fileEntry("noise", noise)], "none")]);
		registry.requests();
		t.equal((await world.killed("fetch-downloading", UNVERIFIED, "fetch", url("big:1"))).status, 137);
		t.ok(tree("tmp").length > 0, "a part is there");
		ok(await rkt(UNVERIFIED, "fetch", url("big:1")), "the next fetch");
		t.match(blobs().join("\n"), /GET 206/);
		await push("late:1", [makeLayer([fileEntry("late", "1")])]);
		t.equal((await world.killed("oci-layers-there", UNVERIFIED, "fetch", url("late:1"))).status, 137);
		registry.requests();
		ok(await rkt(UNVERIFIED, "fetch", url("late:1")), "killed before it was an image");
		t.equal(blobs().length, 1, "the configuration; the layer was there");
	});

	await t.test("signatures", async (t) => {
		const key = await createSigningKey("Example <images@registry.test>");
		t.teardown(() => key.remove());
		await push("signed:1", [greeting]);
		const manifest = path.join(host.directory, "manifest.json");
		fs.writeFileSync(manifest, await skopeo("inspect", "--raw", url("signed:1")));
		const signature = await key.sign(manifest);
		refused(
			await rkt("fetch", url("signed:1"), `--signature=${signature}`),
			/key/,
			"a key that nobody trusts",
		);
		const prefix = `--prefix=${NAME}_${PORT}/signed`;
		ok(await rkt("trust", prefix, "--skip-fingerprint-review", key.publicKeyFile), "trust");
		const fetched = await rkt("fetch", url("signed:1"), `--signature=${signature}`);
		ok(fetched, "signed with OpenPGP");
		t.match(fetched.stderr, /signature verified:\n.*Example/);
		refused(
			await rkt("fetch", url("app:1"), `--signature=${signature}`),
			/signature|key/,
			"a signature of another image",
		);

		await push("cosigned:1", [greeting]);
		const raw = await skopeo("inspect", "--raw", url("cosigned:1"));
		const pem = fs.readFileSync(path.join(host.directory, "tls", "server.key"), "utf8");
		const cosignKey = path.join(host.directory, "cosign.pub");
		const certificate = new X509Certificate(world.certificates.certificate);
		fs.writeFileSync(cosignKey, certificate.publicKey.export({ type: "spki", format: "pem" }));
		await pushSignature(world, "cosigned", raw, (payload) => sign("sha256", payload, pem));
		refused(
			await rkt("fetch", url("cosigned:1")),
			/rkt trust --cosign/,
			"a key of cosign that nobody trusts",
		);
		const trust = [
			"trust",
			"--cosign",
			`--prefix=${NAME}_${PORT}/cosigned`,
			"--skip-fingerprint-review",
			cosignKey,
		];
		ok(await rkt(...trust), "trust --cosign");
		const verified = await rkt("fetch", url("cosigned:1"));
		ok(verified, "signed with cosign");
		t.match(verified.stderr, /signature verified:\n.*cosign key [0-9a-f]{64}/);
		const inspected = await rkt("image", "inspect", verified.stdout.trim());
		t.match(inspected.stdout, /^signature: verified, cosign:[0-9a-f]{64}$/m, "who signed is on record");
		await skopeo("copy", "-q", url("app:2"), url("cosigned:1"));
		refused(
			await rkt("fetch", url("cosigned:1")),
			/nothing vouches/,
			"the tag was moved to an image that is not signed",
		);
	});

	await t.test("tokens", async (t) => {
		const tokens = await startTokenServer(world.certificates);
		t.teardown(() => tokens.close());
		const second = await startDockerRegistry({
			name: NAME,
			port: TOKEN_PORT,
			certificates: world.certificates,
			access: { type: "token", realm: tokens.realm, certificateFile: world.certificates.authorityFile },
			storage: path.join(host.directory, "storage"),
			directory: path.join(host.directory, "registry-2"),
		});
		t.teardown(() => second.close());
		ok(await rkt(UNVERIFIED, "fetch", `docker://${second.host}/app:2`), "a token that everybody gets");
		t.strictSame(tokens.scopes, ["repository:app:pull"], "asked for once, and to read only");
		refused(
			await rkt(UNVERIFIED, "fetch", `docker://${second.host}/forbidden:1`),
			/lets nobody read|forbids/,
			"a token for nothing",
		);
	});

	await t.test(
		"the same image from a layout and from archives, made by umoci, buildah and skopeo",
		async (t) => {
			const at = (name: string): string => path.join(host.directory, name);
			const layout = at("umoci");
			fs.writeFileSync(at("base.tar"), base.tar);
			const umoci = (...args: string[]) => execa("umoci", args, { cwd: host.directory });
			await umoci("init", "--layout", "umoci");
			await umoci("new", "--image", "umoci:v1");
			await umoci("raw", "add-layer", "--image", "umoci:v1", "base.tar");
			await umoci("config", "--image", "umoci:v1", "--config.cmd", "/bin/echo", "--config.cmd", "from umoci");
			const before = tree("layer").length;
			t.match(ok(await rkt(UNVERIFIED, "run", "--net=none", `oci:${layout}:v1`), "oci:"), /from umoci/);
			for (const kind of ["oci-archive", "docker-archive"]) {
				await skopeo("copy", "-q", `oci:${layout}:v1`, `${kind}:${at(kind)}:registry.test/umoci:v1`);
				const ran = await rkt(UNVERIFIED, "run", "--net=none", `${kind}:${at(kind)}`);
				t.match(ok(ran, kind), /from umoci/);
			}
			t.equal(tree("layer").length, before, "the layer was there already, and is shared by all of them");

			const storage = ["--storage-driver=vfs", `--root=${at("containers")}`, `--runroot=${at("run")}`];
			const buildah = async (...args: string[]) =>
				(
					await execa("buildah", [...storage, ...args], {
						env: { REGISTRY_AUTH_FILE: at("auth.json"), SSL_CERT_FILE: world.certificates.authorityFile },
					})
				).stdout;
			const container = await buildah("from", "scratch");
			await buildah("add", container, at("base.tar"), "/");
			await buildah("config", "--entrypoint", '["/bin/echo"]', "--cmd", "from buildah", container);
			await buildah("commit", "-q", "--rm", container, "built");
			await buildah("push", "-q", "built", url("built:1"));
			t.match(
				ok(await rkt(UNVERIFIED, "run", "--net=none", url("built:1")), "an image of buildah"),
				/from buildah/,
			);
		},
	);

	await t.test("image commands know what was fetched by its reference", async (t) => {
		const manifest = JSON.parse(ok(await rkt("image", "cat-manifest", url("app:2")), "cat-manifest"));
		t.equal(manifest.name, `${NAME}_${PORT}/app`);
		ok(await rkt("image", "rm", url("app:2")), "rm");
		refused(await rkt("image", "cat-manifest", url("app:2")), /not in the store/, "it is gone");
	});

	t.strictSame(tree("tmp"), [], "nothing is left of the downloads");
});

/** Pushes a signature as cosign does, with skopeo. */
async function pushSignature(
	{ host, skopeo, url, registry }: World,
	repository: string,
	manifest: string,
	signer: (payload: Buffer) => Buffer,
): Promise<void> {
	const { descriptor, json } = await import("../support/oci-image.ts");
	const { sha256 } = await import("../support/oci-layer.ts");
	const digest = sha256(manifest);
	const payload = json({
		critical: {
			identity: { "docker-reference": `${registry.host}/${repository}` },
			image: { "docker-manifest-digest": digest },
			type: "cosign container image signature",
		},
		optional: null,
	});
	const config = json({
		architecture: "",
		os: "",
		config: {},
		rootfs: { type: "layers", diff_ids: [sha256(payload)] },
	});
	const mediaType = "application/vnd.oci.image.manifest.v1+json";
	const annotations = { "dev.cosignproject.cosign/signature": signer(payload).toString("base64") };
	const layer = { ...descriptor("application/vnd.dev.cosign.simplesigning.v1+json", payload), annotations };
	const signed = json({
		schemaVersion: 2,
		mediaType,
		config: descriptor("application/vnd.oci.image.config.v1+json", config),
		layers: [layer],
	});
	const layout = fs.mkdtempSync(path.join(host.directory, "signature-"));
	const blobs = path.join(layout, "blobs", "sha256");
	fs.mkdirSync(blobs, { recursive: true });
	for (const blob of [payload, config, signed])
		fs.writeFileSync(path.join(blobs, sha256(blob).slice(7)), blob);
	fs.writeFileSync(path.join(layout, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
	fs.writeFileSync(
		path.join(layout, "index.json"),
		json({ schemaVersion: 2, manifests: [descriptor(mediaType, signed)] }),
	);
	await skopeo("copy", "-q", `oci:${layout}`, url(`${repository}:${digest.replace(":", "-")}.sig`));
}

interface TokenServer {
	readonly realm: string;
	readonly scopes: string[];
	close(): void;
}

/** Gives everybody tokens, but none for the repository `forbidden`. */
async function startTokenServer(certificates: Certificates): Promise<TokenServer> {
	const scopes: string[] = [];
	const key = createPrivateKey(certificates.key);
	const chain = new X509Certificate(certificates.certificate).raw.toString("base64");
	const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
	const server = createServer(
		{ key: certificates.key, cert: certificates.certificate },
		(request, response) => {
			const scope = new URL(request.url ?? "", "https://x").searchParams.get("scope") ?? "";
			scopes.push(scope);
			const [type, name, action] = scope.split(":");
			const now = Math.floor(Date.now() / 1000);
			const access = name === "forbidden" ? [] : [{ type, name, actions: [action] }];
			const claims = {
				iss: TOKEN_ISSUER,
				sub: "",
				aud: TOKEN_SERVICE,
				nbf: now - 60,
				iat: now,
				exp: now + 300,
				jti: "1",
				access,
			};
			const text = `${encode({ typ: "JWT", alg: "ES256", x5c: [chain] })}.${encode(claims)}`;
			const signature = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString(
				"base64url",
			);
			response.end(JSON.stringify({ token: `${text}.${signature}` }));
		},
	);
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	return { realm: `https://${NAME}:${port}/token`, scopes, close: () => void server.close() };
}
