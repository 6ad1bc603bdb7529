import t, { type Test } from "tap";
import { imageManifestOf } from "../../appc/oci/convert.ts";
import { isOciDigest } from "../../appc/oci/digest.ts";
import { parseOciImageConfig } from "../../appc/oci/image-config.ts";
import { parseOciDocument } from "../../appc/oci/manifest.ts";
import { choosePlatform, hostPlatform } from "../../appc/oci/platform.ts";
import { readSigstoreBundle, statementProblem } from "../../appc/oci/sigstore-bundle.ts";
import { claimProblem, parseSignedClaim } from "../../appc/oci/simple-signing.ts";
import { RktError } from "../../lib/errors.ts";
import { json, makeIndex, makeOciImage } from "../support/oci-image.ts";
import { fileEntry, makeLayer, sha256 } from "../support/oci-layer.ts";

const image = makeOciImage({
	layers: [makeLayer([fileEntry("one", "1")])],
	config: {
		User: "1000:1000",
		ExposedPorts: { "80/tcp": {} },
		Env: ["PATH=/bin", "A=b"],
		Entrypoint: ["/bin/a"],
		Cmd: ["b"],
		Volumes: { "/data": {} },
		WorkingDir: "/w",
		Labels: { a: "b" },
		StopSignal: "SIGTERM",
		Healthcheck: { Test: ["CMD", "true"], Interval: 1_000_000_000, Retries: 3 },
		Shell: ["/bin/sh", "-c"],
	},
});

const ODD: readonly unknown[] = [
	null,
	true,
	0,
	-1,
	0.5,
	2 ** 53,
	1e308,
	"",
	"\0",
	"..",
	"../../etc/passwd",
	"x".repeat(100_000),
	"\u202e\u0007\n",
	"sha256:",
	[],
	[null],
	[[[[]]]],
	{},
	{ toString: 1, constructor: "x", hasOwnProperty: null },
	JSON.parse('{"__proto__": {"os": "linux"}}'),
];

/** The document with each of its values, members and elements in turn replaced by each of the odd values. */
function* spoilt(document: unknown): Generator<unknown> {
	for (const odd of ODD) yield odd;
	if (typeof document !== "object" || document === null) return;
	for (const key of Object.keys(document)) {
		const copy = (value: unknown) => {
			if (Array.isArray(document))
				return document.map((item, index) => (String(index) === key ? value : item));
			return { ...document, [key]: value };
		};
		for (const value of spoilt((document as Record<string, unknown>)[key])) yield copy(value);
		if (!Array.isArray(document)) {
			yield Object.fromEntries(Object.entries(document).filter(([name]) => name !== key));
			yield { ...document, [key.toUpperCase()]: null, [`${key} `]: 1 };
		}
	}
}

/** Reads every spoilt form: each is understood or refused in words, and none is a bug. */
function readAll(t: Test, document: unknown, read: (bytes: Buffer) => void): void {
	let understood = 0;
	let refused = 0;
	for (const form of spoilt(document)) {
		try {
			read(json(form));
			understood++;
		} catch (error) {
			refused++;
			if (!(error instanceof RktError)) t.fail(`${JSON.stringify(form)?.slice(0, 500)}: ${error}`);
			else if (error.message.length > 2000)
				t.fail(`a message of ${error.message.length} characters: ${error.code}`);
		}
	}
	t.ok(understood > 0 && refused > 0, `${understood} understood, ${refused} refused`);
}

t.test("manifests and indexes", (t) => {
	readAll(t, JSON.parse(image.manifest.toString()), (bytes) => {
		const document = parseOciDocument(bytes, "x");
		if (document.type === "index") throw new Error("no index");
		const { config, layers } = document.manifest;
		for (const { digest, size } of [config, ...layers]) {
			if (!isOciDigest(digest) || !Number.isSafeInteger(size) || size < 0)
				throw new Error(`${digest} ${size}`);
		}
	});
	readAll(t, JSON.parse(makeIndex([image, image]).toString()), (bytes) => {
		const document = parseOciDocument(bytes, "x");
		if (document.type === "manifest") throw new Error("no manifest");
		choosePlatform(document.index.manifests, hostPlatform());
	});
	t.end();
});

t.test("configurations, and the manifests made of them", (t) => {
	const reference = { registry: "a.test", repository: "b", tag: "1" };
	readAll(t, JSON.parse(image.config.toString()), (bytes) => {
		const config = parseOciImageConfig(bytes, "x");
		const { manifestDigest, configDigest } = image;
		imageManifestOf({ source: "x", reference, manifestDigest, configDigest, config });
	});
	t.end();
});

t.test("signatures", (t) => {
	const digest = sha256("x");
	const wanted = { registry: "a.test", repository: "b", tag: "1" };
	const claim = {
		critical: {
			type: "cosign container image signature",
			image: { "docker-manifest-digest": digest },
			identity: { "docker-reference": "a.test/b" },
		},
		optional: null,
	};
	readAll(t, claim, (bytes) => {
		const problem = claimProblem(parseSignedClaim(bytes, "x"), digest, wanted);
		const document = JSON.parse(bytes.toString()) as typeof claim;
		const { image: named, identity } = document.critical;
		const right = named["docker-manifest-digest"] === digest && identity["docker-reference"] === "a.test/b";
		if ((problem === undefined) !== right) throw new Error(`${problem} for ${bytes}`);
	});
	const statement = {
		_type: "https://in-toto.io/Statement/v1",
		subject: [{ digest: { sha256: digest.slice(7) } }],
		predicateType: "https://sigstore.dev/cosign/sign/v1",
	};
	readAll(t, statement, (bytes) => void statementProblem(bytes, digest, "x"));
	const payload = json(statement).toString("base64");
	const dsseEnvelope = { payload, payloadType: "application/vnd.in-toto+json", signatures: [{ sig: "" }] };
	readAll(t, { dsseEnvelope }, (bytes) => void readSigstoreBundle(bytes, "x"));
	t.end();
});
