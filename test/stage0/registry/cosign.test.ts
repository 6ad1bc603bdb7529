import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { parseRegistryReference, type RegistryReference } from "../../../appc/oci/reference.ts";
import { loadConfig } from "../../../stage0/config/load-config.ts";
import type { FetchOptions } from "../../../stage0/fetch/fetch-options.ts";
import { verifyOciImage } from "../../../stage0/fetch/verify-oci.ts";
import { parseCosignKey } from "../../../stage0/keystore/cosign-keys.ts";
import { openKeystore } from "../../../stage0/keystore/keystore.ts";
import { fetchManifest } from "../../../stage0/registry/fetch-manifest.ts";
import { openRegistry } from "../../../stage0/registry/registry.ts";
import { choosePlatformManifest } from "../../../stage0/registry/registry-image.ts";
import { type FakeRegistry, startFakeRegistry } from "../../support/fake-registry.ts";
import { createLogLines } from "../../support/log-lines.ts";
import { descriptor, json, makeIndex, makeOciImage, OCI_INDEX } from "../../support/oci-image.ts";
import { fileEntry, makeLayer, sha256 } from "../../support/oci-layer.ts";

const scratch = fs.mkdtempSync("/var/tmp/rkt-cosign-test-");
t.teardown(() => fs.rmSync(scratch, { recursive: true, force: true }));

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json";
const ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json";

const image = makeOciImage({ layers: [makeLayer([fileEntry("one", "1")])] });
const other = makeOciImage({ layers: [makeLayer([fileEntry("two", "2")])] });

interface Signer {
	readonly pem: string;
	sign(payload: Buffer): Buffer;
}

function signer(type: "ec" | "ed25519" | "rsa", options: object = {}): Signer {
	const { publicKey, privateKey } = generateKeyPairSync(type as "ec", options as never) as unknown as Record<
		"publicKey" | "privateKey",
		KeyObject
	>;
	return {
		pem: publicKey.export({ type: "spki", format: "pem" }).toString(),
		sign: (payload) => sign(type === "ed25519" ? null : "sha256", payload, privateKey),
	};
}

const p256 = signer("ec", { namedCurve: "P-256" });
const stranger = signer("ec", { namedCurve: "P-256" });

interface Claim {
	digest?: string;
	reference?: string;
	type?: string;
}

/** A manifest with signatures as cosign pushes them. */
function signatures(
	registry: FakeRegistry,
	entries: readonly { by: Signer; claim: Claim; spoil?: (signature: Buffer) => Buffer }[],
	more: object = {},
) {
	const layers = entries.map(({ by, claim, spoil = (signature: Buffer) => signature }) => {
		const payload = json({
			critical: {
				identity: { "docker-reference": claim.reference ?? `${registry.host}/app` },
				image: { "docker-manifest-digest": claim.digest ?? image.manifestDigest },
				type: claim.type ?? "cosign container image signature",
			},
			optional: null,
		});
		registry.pushBlob("app", payload);
		const annotations = { "dev.cosignproject.cosign/signature": spoil(by.sign(payload)).toString("base64") };
		return { ...descriptor(PAYLOAD, payload), annotations };
	});
	const config = json({});
	return json({
		schemaVersion: 2,
		mediaType: MANIFEST,
		config: descriptor("application/vnd.oci.image.config.v1+json", config),
		layers,
		...more,
	});
}

const tagOf = (digest: string): string => `app:${digest.replace(":", "-")}.sig`;

async function newWorld(t: Test, trusted: readonly Signer[] = [p256], prefix?: string) {
	const registry = await startFakeRegistry();
	t.teardown(() => registry.close());
	registry.push("app:1", image);
	registry.push("app:multi", image, image);
	const local = fs.mkdtempSync(path.join(scratch, "etc-"));
	const keystore = openKeystore({ local });
	const name = `${registry.host.replace(":", "_")}/app`;
	for (const { pem } of trusted)
		keystore.addCosignKey({ data: Buffer.from(pem), prefix: prefix ?? name, source: "test" });
	const { log, lines } = createLogLines();
	const verify = async (wanted = "app:1", signature?: string) => {
		const reference = parseRegistryReference(`${registry.host}/${wanted}`) as RegistryReference;
		const client = openRegistry(reference, {
			config: loadConfig({}),
			insecure: { http: true, tls: false },
			log,
		});
		const { path: documents } = await choosePlatformManifest(
			client,
			reference,
			await fetchManifest(client, reference.digest ?? reference.tag ?? ""),
		);
		const options = { keystore, log, signature } as unknown as FetchOptions;
		await verifyOciImage(
			{ name, source: `docker://${wanted}`, path: documents, remote: { registry: client, reference } },
			options,
		);
	};
	const code = (wanted?: string, signature?: string) =>
		verify(wanted, signature).then(
			() => "ok",
			(error) => error.code ?? error,
		);
	return { registry, keystore, lines, local, code };
}

t.test("an image signed by a trusted key", async (t) => {
	const { registry, code, lines } = await newWorld(t);
	t.equal(await code(), "image-unsigned");
	registry.pushDocument(
		tagOf(image.manifestDigest),
		signatures(registry, [
			{ by: stranger, claim: {} },
			{ by: p256, claim: {} },
		]),
		MANIFEST,
	);
	t.equal(await code(), "ok", "one of several signatures is enough");
	t.match(lines, [
		"signature verified:",
		`  cosign key ${parseCosignKey(Buffer.from(p256.pem), "").fingerprint} (ECDSA P-256)`,
	]);
	t.equal(await code(`app@${image.manifestDigest}`), "ok");
	t.equal(await code("app:multi"), "ok", "the manifest of the platform is signed, the index is not");
	registry.pushDocument(
		tagOf(image.manifestDigest),
		signatures(registry, [{ by: p256, claim: { reference: `${registry.host}/app:1` } }]),
		MANIFEST,
	);
	t.equal(await code("app:1"), "ok", "with the tag, as skopeo signs");
	t.equal(await code(`app@${image.manifestDigest}`), "ok", "a digest says more than a tag");
	t.equal(await code("app:multi"), "signature-claim-mismatch", "signed under another tag");
});

t.test("an index that is signed vouches for its images", async (t) => {
	const { registry, code } = await newWorld(t);
	const index = makeIndex([image, image]);
	registry.pushDocument("app:multi", index, OCI_INDEX);
	registry.pushDocument(
		tagOf(sha256(index)),
		signatures(registry, [{ by: p256, claim: { digest: sha256(index) } }]),
		MANIFEST,
	);
	t.equal(await code("app:multi"), "ok");
	t.equal(await code("app:1"), "image-unsigned");
});

t.test("signatures that prove nothing", async (t) => {
	const { registry, code } = await newWorld(t);
	const outcome = async (...entries: Parameters<typeof signatures>[1]) => {
		registry.pushDocument(tagOf(image.manifestDigest), signatures(registry, entries), MANIFEST);
		return code();
	};
	t.equal(await outcome({ by: stranger, claim: {} }), "signature-key-unknown");
	t.equal(
		await outcome({ by: p256, claim: { digest: other.manifestDigest } }),
		"signature-claim-mismatch",
		"another image",
	);
	t.equal(await outcome({ by: p256, claim: { digest: "" } }), "signature-claim-mismatch");
	t.equal(
		await outcome({ by: p256, claim: { reference: "quay.io/other/app" } }),
		"signature-claim-mismatch",
		"another name",
	);
	t.equal(
		await outcome({ by: p256, claim: { reference: `${registry.host}/app2` } }),
		"signature-claim-mismatch",
	);
	t.equal(
		await outcome({ by: p256, claim: { reference: `${registry.host}/app:2` } }),
		"signature-claim-mismatch",
		"another tag",
	);
	t.equal(
		await outcome({ by: p256, claim: { reference: `${registry.host}/app@${other.manifestDigest}` } }),
		"signature-claim-mismatch",
	);
	t.equal(await outcome({ by: p256, claim: { reference: "" } }), "signature-claim-mismatch");
	t.equal(
		await outcome({ by: p256, claim: { type: "atomic container signature" } }),
		"signature-claim-mismatch",
		"another kind of claim",
	);
	t.equal(
		await outcome({ by: p256, claim: {}, spoil: (signature) => signature.subarray(0, -1) }),
		"signature-key-unknown",
	);
	t.equal(await outcome({ by: p256, claim: {}, spoil: () => Buffer.alloc(0) }), "signature-key-unknown");
	t.equal(await outcome(), "image-unsigned", "a list of none");
	registry.pushDocument(
		tagOf(image.manifestDigest),
		json({ schemaVersion: 2, mediaType: MANIFEST, layers: [] }),
		MANIFEST,
	);
	t.equal(await code(), "oci-invalid");
	const manifest = signatures(registry, [{ by: p256, claim: {} }]);
	registry.pushDocument(tagOf(image.manifestDigest), manifest, MANIFEST);
	const digest = JSON.parse(manifest.toString()).layers[0].digest as string;
	registry.intercept = ({ url }, response) => {
		if (!url.includes(digest)) return false;
		response.writeHead(200).end("x".repeat(JSON.parse(manifest.toString()).layers[0].size));
		return true;
	};
	t.equal(await code(), "oci-digest-mismatch", "the text that is signed is not the one named");
});

t.test("signatures that refer to the image (OCI 1.1)", async (t) => {
	const { registry, code } = await newWorld(t);
	const manifest = signatures(registry, [{ by: p256, claim: {} }], { artifactType: ARTIFACT });
	registry.pushDocument("app:hidden", manifest, MANIFEST);
	const list = (artifactType: string) =>
		json({
			schemaVersion: 2,
			mediaType: OCI_INDEX,
			manifests: [{ ...descriptor(MANIFEST, manifest), artifactType }],
		});
	const serve = (body: Buffer, status = 200) => {
		registry.intercept = ({ url }, response) => {
			if (!url.endsWith(`/referrers/${image.manifestDigest}`)) return false;
			response.writeHead(status, { "content-type": OCI_INDEX }).end(body);
			return true;
		};
	};
	serve(list(ARTIFACT));
	t.equal(await code(), "ok");
	serve(list("application/vnd.example.sbom"));
	t.equal(await code(), "image-unsigned", "other things refer to images too");
	serve(Buffer.from("<html>"), 400);
	t.equal(await code(), "image-unsigned", "an old registry");
});

t.test("bundles of cosign 3", async (t) => {
	const SIGN = "https://sigstore.dev/cosign/sign/v1";
	const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
	const { registry, code } = await newWorld(t);
	const statementOf = (more: object = {}) => ({
		_type: "https://in-toto.io/Statement/v1",
		subject: [{ digest: { sha256: image.manifestDigest.slice(7) } }],
		predicateType: SIGN,
		predicate: {},
		...more,
	});
	const payloadType = "application/vnd.in-toto+json";
	const envelope = (statement: object, by: Signer) => {
		const payload = json(statement);
		const signed = Buffer.concat([Buffer.from(`DSSEv1 28 ${payloadType} ${payload.length} `), payload]);
		return {
			payload: payload.toString("base64"),
			payloadType,
			signatures: [{ sig: by.sign(signed).toString("base64") }],
		};
	};
	/** Pushes a bundle, and a list of referrers under the tag that clients use where the registry has no list. */
	const push = (bundle: object, annotations?: Record<string, string>) => {
		const bytes = json(bundle);
		const empty = json({});
		registry.pushBlob("app", bytes);
		const manifest = json({
			schemaVersion: 2,
			mediaType: MANIFEST,
			artifactType: BUNDLE,
			config: descriptor("application/vnd.oci.empty.v1+json", empty),
			layers: [descriptor(BUNDLE, bytes)],
			subject: descriptor(image.manifestType, image.manifest),
		});
		registry.pushDocument("app:hidden", manifest, MANIFEST);
		const entry = {
			...descriptor(MANIFEST, manifest),
			artifactType: BUNDLE,
			...(annotations ? { annotations } : {}),
		};
		const list = json({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] });
		registry.pushDocument(`app:${image.manifestDigest.replace(":", "-")}`, list, OCI_INDEX);
		return code();
	};
	const bundle = (statement: object, by = p256) => ({
		mediaType: BUNDLE,
		verificationMaterial: { publicKey: { hint: "x" } },
		dsseEnvelope: envelope(statement, by),
	});
	const good = bundle(statementOf());
	t.equal(await push(good), "ok");
	t.equal(await push(good, { "dev.sigstore.bundle.predicateType": SIGN }), "ok");
	t.equal(await push(bundle(statementOf(), stranger)), "signature-key-unknown");
	const foreign = [{ digest: { sha256: other.manifestDigest.slice(7) } }];
	t.equal(await push(bundle(statementOf({ subject: foreign }))), "signature-claim-mismatch", "another image");
	t.equal(await push(bundle(statementOf({ subject: [] }))), "signature-claim-mismatch");
	const provenance = "https://slsa.dev/provenance/v1";
	t.equal(
		await push(bundle(statementOf({ predicateType: provenance }))),
		"signature-claim-mismatch",
		"a statement of another kind",
	);
	t.equal(
		await push(bundle(statementOf({ predicateType: provenance })), {
			"dev.sigstore.bundle.predicateType": provenance,
		}),
		"image-unsigned",
	);
	t.equal(await push(bundle(statementOf({ _type: "x" }))), "signature-claim-mismatch");
	const otherPayload = {
		...good.dsseEnvelope,
		payload: envelope(statementOf({ subject: foreign }), p256).payload,
	};
	t.equal(
		await push({ ...good, dsseEnvelope: otherPayload }),
		"signature-key-unknown",
		"another statement than was signed",
	);
	t.equal(
		await push({ ...good, dsseEnvelope: { ...good.dsseEnvelope, payloadType: "text/plain" } }),
		"image-unsigned",
	);
	t.equal(await push({ ...good, dsseEnvelope: { ...good.dsseEnvelope, signatures: [] } }), "image-unsigned");
	t.equal(
		await push({ mediaType: BUNDLE, messageSignature: { signature: "" } }),
		"image-unsigned",
		"a signature of a file",
	);
});

t.test("keys", async (t) => {
	for (const [name, key] of Object.entries({
		ed25519: signer("ed25519"),
		rsa: signer("rsa", { modulusLength: 2048 }),
	})) {
		const { registry, code } = await newWorld(t, [key]);
		registry.pushDocument(
			tagOf(image.manifestDigest),
			signatures(registry, [{ by: key, claim: {} }]),
			MANIFEST,
		);
		t.equal(await code(), "ok", name);
	}
	const bad: Record<string, string> = {
		"P-384": signer("ec", { namedCurve: "P-384" }).pem,
		"RSA 1024": signer("rsa", { modulusLength: 1024 }).pem,
		two: p256.pem + stranger.pem,
		none: "",
		"a private key": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n",
		damaged: p256.pem.replace(/[A-Za-z0-9]{8}/, "AAAAAAAA"),
		OpenPGP: "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME\n-----END PGP PUBLIC KEY BLOCK-----\n",
	};
	for (const [name, pem] of Object.entries(bad))
		t.throws(() => parseCosignKey(Buffer.from(pem), "x"), { code: "key-malformed" }, name);
	const { keystore, local } = await newWorld(t, [], undefined);
	const file = keystore.addCosignKey({
		data: Buffer.from(p256.pem),
		prefix: "example.com/team",
		source: "x",
	});
	t.match(file, new RegExp(`^${local}/trustedkeys/cosign.d/prefix.d/example.com/team/[0-9a-f]{64}$`));
	t.equal(keystore.cosignKeysFor("example.com/team/app").length, 1);
	t.equal(keystore.cosignKeysFor("example.com/team2").length, 0, "whole components");
	t.equal(keystore.keysFor("example.com/team").length, 0, "no OpenPGP key");
	const root = keystore.addCosignKey({ data: Buffer.from(stranger.pem), prefix: undefined, source: "x" });
	t.equal(keystore.cosignKeysFor("anything").length, 1);
	fs.writeFileSync(root, "");
	t.equal(keystore.cosignKeysFor("anything").length, 0, "an empty file takes the key away");
	fs.renameSync(file, path.join(path.dirname(file), "0".repeat(64)));
	t.throws(() => keystore.cosignKeysFor("example.com/team"), { code: "key-fingerprint-mismatch" });
});
