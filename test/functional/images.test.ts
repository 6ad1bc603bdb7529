import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { createCertificates } from "../support/certificates.ts";
import {
	discoveryPage,
	fileRoute,
	type ImageServer,
	startImageServer,
	textRoute,
} from "../support/image-server.ts";
import { busyboxFiles, imageManifest, type ManifestOptions, makeAci } from "../support/make-aci.ts";
import { addHostNames, enterPrivateHost } from "../support/private-host.ts";
import { createSigningKey, type SigningKey } from "../support/signing-key.ts";
import { createTestHost, type RktResult, type TestHost } from "../support/test-host.ts";

enterPrivateHost();

interface Publisher {
	readonly host: TestHost;
	readonly server: ImageServer;
	readonly key: SigningKey;
	/** Runs rkt so that it trusts the server's authority. */
	rkt(...args: string[]): Promise<RktResult>;
	/** Makes, signs and serves an image as example.test/NAME; returns its id. */
	publish(name: string, options?: ManifestOptions & { signedBy?: SigningKey }): Promise<string>;
}

t.test("images from the network", async (t) => {
	const publisher = await createPublisher(t);
	const { rkt, publish, server, host, key } = publisher;
	const appId = await publish("app");

	await t.test("an unsigned image, and one signed by a key that is not trusted, are refused", async (t) => {
		const { refused } = checks(t);
		server.route("/unsigned.aci", fileRoute(path.join(host.directory, "app.aci")));
		refused(await rkt("fetch", `https://example.test/unsigned.aci`), /signature|asc/, "no signature");
		refused(await rkt("fetch", "example.test/app:1.0.0"), /key|signature/i, "no key");
	});

	await t.test("trust by discovery, then fetch by name", async (t) => {
		const { ok } = checks(t);
		const trusted = await rkt("trust", "--prefix=example.test", "--skip-fingerprint-review");
		ok(trusted, "trust");
		const digits = trusted.stdout.concat(trusted.stderr).replace(/\s/g, "").toLowerCase();
		t.ok(digits.includes(key.fingerprint), "the fingerprint is shown");
		const fetched = await rkt("fetch", "--full", "example.test/app:1.0.0");
		ok(fetched, "fetch");
		t.ok(appId.startsWith(fetched.stdout.trim()) && fetched.stdout.length > 40, fetched.stdout);
		t.match(fetched.stderr, /signature verified/);
	});

	await t.test("image list, cat-manifest, export, render and rm", async (t) => {
		const { ok } = checks(t);
		const list = await rkt("image", "list");
		t.match(list.stdout, /^ID\s+NAME\s+SIZE\s+IMPORT TIME\s+LAST USED\n/);
		t.match(list.stdout, /example\.test\/app:1\.0\.0/);
		const manifest = JSON.parse((await rkt("image", "cat-manifest", "example.test/app")).stdout);
		t.equal(manifest.name, "example.test/app");
		const out = path.join(host.directory, "out");
		ok(await rkt("image", "export", "example.test/app", `${out}.aci`), "export");
		ok(await rkt("image", "render", "--rootfs-only", "example.test/app", `${out}-render`), "render");
		t.ok(fs.existsSync(`${out}-render/bin/busybox`));
		const removed = await rkt("image", "rm", appId.slice(0, 20));
		t.match(removed.stdout, /successfully removed/, removed.stderr);
		t.notMatch((await rkt("image", "list")).stdout, /example\.test\/app/);
	});

	await t.test("fifty fetches at once give one image and no error", async (t) => {
		const results = await Promise.all(
			Array.from({ length: 50 }, () => rkt("fetch", "example.test/app:1.0.0")),
		);
		t.strictSame(
			new Set(results.map((result) => result.status)),
			new Set([0]),
			String(String(results.find((result) => result.status !== 0)?.stderr)),
		);
		t.equal(new Set(results.map((result) => result.stdout)).size, 1);
		const list = (await rkt("image", "list", "--no-legend", "--full")).stdout.split("\n");
		t.equal(list.filter((line) => line.includes("example.test/app")).length, 1);
	});

	await t.test("pull policies: never stays at home, new asks once, update asks again", async (t) => {
		const { ok, refused } = checks(t);
		const count = (): number =>
			server.requests.filter((line) => line.includes("GET") && line.endsWith("app-1.0.0-linux.aci")).length;
		const before = count();
		ok(await rkt("fetch", "--pull-policy=never", "example.test/app:1.0.0"), "never");
		ok(await rkt("fetch", "--pull-policy=new", "example.test/app:1.0.0"), "new");
		t.equal(count(), before, "no download");
		ok(await rkt("fetch", "--pull-policy=update", "example.test/app:1.0.0"), "update");
		refused(await rkt("fetch", "--pull-policy=never", "example.test/absent"), /absent/, "never, and absent");
	});

	await t.test("keys: another prefix, another key, an expired key, other bytes", async (t) => {
		const { ok, refused } = checks(t);
		const stranger = await createSigningKey("Stranger <stranger@example.test>");
		t.teardown(() => stranger.remove());
		await publish("strange", { signedBy: stranger });
		refused(await rkt("fetch", "example.test/strange:1.0.0"), /key|signature/i, "a stranger's key");

		const narrow = await createTestHost("prefix");
		t.teardown(() => narrow.remove());
		ok(
			await narrow.rkt([
				"trust",
				"--prefix=example.test/foo",
				"--skip-fingerprint-review",
				key.publicKeyFile,
			]),
			"trust for foo",
		);
		await publish("foobar");
		await publish("foo");
		const environment = { environment: authority };
		refused(
			await narrow.rkt(["fetch", "example.test/foobar:1.0.0"], environment),
			/key|signature/i,
			"foo is not foobar",
		);
		ok(await narrow.rkt(["fetch", "example.test/foo:1.0.0"], environment), "foo is foo");

		const expired = await createSigningKey("Expired <old@example.test>", {
			madeAt: "20200101T000000",
			expires: "1d",
		});
		t.teardown(() => expired.remove());
		ok(
			await rkt("trust", "--prefix=example.test/old", "--skip-fingerprint-review", expired.publicKeyFile),
			"trust the old key",
		);
		await publish("old", { signedBy: expired });
		refused(await rkt("fetch", "example.test/old:1.0.0"), /expired/i, "an expired key");

		await publish("other");
		fs.appendFileSync(path.join(host.directory, "other.aci"), "more");
		refused(await rkt("fetch", "example.test/other:1.0.0"), /signature/i, "other bytes than were signed");
	});

	await t.test("an image that is not what was asked for", async (t) => {
		const { refused } = checks(t);
		await publish("liar", { labels: { version: "2.0.0" } });
		fs.copyFileSync(path.join(host.directory, "app.aci"), path.join(host.directory, "liar.aci"));
		fs.copyFileSync(path.join(host.directory, "app.aci.asc"), path.join(host.directory, "liar.aci.asc"));
		refused(await rkt("fetch", "example.test/liar:1.0.0"), /name|liar/, "another name in the manifest");
		server.route("/example.test/app-9.9.9-linux.aci", fileRoute(path.join(host.directory, "app.aci")));
		server.route(
			"/example.test/app-9.9.9-linux.aci.asc",
			fileRoute(path.join(host.directory, "app.aci.asc")),
		);
		refused(
			await rkt("fetch", "example.test/app:9.9.9"),
			/version|9\.9\.9/,
			"another version in the manifest",
		);
	});

	await t.test("servers that misbehave", async (t) => {
		const { refused } = checks(t);
		const file = path.join(host.directory, "app.aci");
		const flags = ["--insecure-options=image", "fetch"];
		server.route("/loop.aci", (_request, response) =>
			response.writeHead(302, { location: "/loop.aci" }).end(),
		);
		refused(await rkt(...flags, "https://example.test/loop.aci"), /redirect/i, "a redirect loop");
		server.route("/short.aci", (_request, response) => {
			response.writeHead(200, { "content-length": fs.statSync(file).size });
			fs.createReadStream(file, { end: 5000 })
				.on("data", (chunk) => response.write(chunk))
				.on("end", () => response.destroy());
		});
		refused(await rkt(...flags, "https://example.test/short.aci"), /./, "a download that stops");
		server.route("/missing.aci", (_request, response) => response.writeHead(404).end());
		refused(await rkt(...flags, "https://example.test/missing.aci"), /404/, "an image that is not there");
		refused(
			await rkt(...flags, "https://nowhere.invalid/x.aci"),
			/nowhere\.invalid/,
			"a name that nobody has",
		);
		refused(
			await host.rkt([...flags, "https://example.test/app.aci"]),
			/certificate|self|verif/i,
			"an unknown authority",
		);
		t.notMatch((await rkt("image", "list")).stdout, /loop|short|missing/);
	});

	await t.test("nothing of all that is left in the store", async (t) => {
		const left = fs.readdirSync(path.join(host.dataDirectory, "cas", "tmp"), { recursive: true });
		t.strictSame(left, []);
	});
});

interface Checks {
	ok(result: RktResult, what: string): void;
	/** The command failed as it should: status 254 and one clear message with this in it. */
	refused(result: RktResult, mention: RegExp, what: string): void;
}

function checks(t: Test): Checks {
	return {
		ok: (result, what) => {
			t.equal(result.status, 0, what, { stderr: result.stderr });
		},
		refused: (result, mention, what) => {
			t.equal(result.status, 254, what, { stderr: result.stderr });
			t.match(result.stderr, mention, what);
			t.notMatch(result.stderr, /\n\s+at .*\(/, `${what}: no stack`);
		},
	};
}

let authority: Record<string, string> = {};

async function createPublisher(t: Test): Promise<Publisher> {
	const host = createTestHost("images");
	t.teardown(() => host.remove());
	addHostNames(path.join(host.directory, "hosts"), ["example.test"]);
	const certificates = await createCertificates(path.join(host.directory, "tls"), ["example.test"]);
	const server = await startImageServer(certificates, 443);
	t.teardown(() => server.close());
	const key = await createSigningKey("Example <images@example.test>");
	t.teardown(() => key.remove());
	authority = { NODE_EXTRA_CA_CERTS: certificates.authorityFile };
	const template = "https://example.test/{name}-{version}-{os}.{ext}";
	server.route("/key.gpg", fileRoute(key.publicKeyFile));
	server.route("/", textRoute(discoveryPage("example.test", template, "https://example.test/key.gpg")));

	const publish: Publisher["publish"] = async (name, options = {}) => {
		const file = path.join(host.directory, `${name}.aci`);
		const manifest = imageManifest(`example.test/${name}`, options);
		const id = await makeAci(file, { manifest, files: busyboxFiles(), compress: true });
		await (options.signedBy ?? key).sign(file);
		const address = `/example.test/${name}-1.0.0-linux.aci`;
		server.route(address, fileRoute(file));
		server.route(`${address}.asc`, fileRoute(`${file}.asc`));
		return id;
	};
	const rkt = (...args: string[]): Promise<RktResult> => host.rkt(args, { environment: authority });
	return { host, server, key, rkt, publish };
}
