import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { dataDirectory } from "../../../stage0/config/data-directory.ts";
import { loadConfig } from "../../../stage0/config/load-config.ts";
import { renderConfig } from "../../../stage0/config/render-config.ts";

type Files = Record<string, unknown>;

function configDirectory(t: Test, files: Files): string {
	const directory = fs.mkdtempSync("/tmp/rkt-config-");
	t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
	for (const [name, content] of Object.entries(files)) {
		const file = path.join(directory, name);
		fs.mkdirSync(path.dirname(file), { recursive: true });
		fs.writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content), { mode: 0o600 });
	}
	return directory;
}

const basic = (domains: string[], user = "u", password = "p") => ({
	rktKind: "auth",
	rktVersion: "v1",
	domains,
	type: "basic",
	credentials: { user, password },
});
const paths = (members: object) => ({ rktKind: "paths", rktVersion: "v1", ...members });
const stage1 = (members: object) => ({ rktKind: "stage1", rktVersion: "v1", ...members });

t.test("nothing configured", (t) => {
	for (const directories of [{}, { local: "/nonexistent", system: "/nonexistent/too" }]) {
		const config = loadConfig(directories);
		t.equal(config.auth.size + config.dockerAuth.size, 0);
		t.strictSame(config.paths, {});
		t.strictSame(renderConfig(config), {
			stage0: [
				{ rktVersion: "v1", rktKind: "paths", data: "", "stage1-images": "" },
				{ rktVersion: "v1", rktKind: "stage1", name: "", version: "", location: "" },
			],
		});
	}
	t.end();
});

t.test("all kinds, and what rkt config prints of them", (t) => {
	const local = configDirectory(t, {
		"auth.d/a.json": basic(["b.com", "a.com:8443"]),
		"auth.d/oauth.json": { ...basic(["o.com"]), type: "oauth", credentials: { token: "t" } },
		"auth.d/aws.json": {
			...basic(["s3.amazonaws.com"]),
			type: "aws",
			credentials: { accessKeyID: "id", secretAccessKey: "key", awsRegion: "" },
			unknown: "members are ignored",
		},
		"auth.d/docker.json": {
			rktKind: "dockerAuth",
			rktVersion: "v1",
			registries: ["quay.io"],
			credentials: { user: "d", password: "q" },
		},
		"auth.d/ignored.txt": "not read",
		"auth.d/directory.json/file": "not read either",
		"paths.d/p.json": paths({ data: "/srv/rkt", "stage1-images": "/srv/stage1" }),
		"stage1.d/s.json": stage1({
			name: "example.com/stage1",
			version: "1.2",
			location: "https://example.com/s.aci",
		}),
	});
	fs.symlinkSync("/nonexistent", path.join(local, "auth.d/link.json"));
	const config = loadConfig({ local });
	t.strictSame(config.auth.get("a.com:8443"), { type: "basic", user: "u", password: "p" });
	t.equal(config.auth.has("a.com"), false, "the port belongs to the domain");
	t.strictSame(config.auth.get("o.com"), { type: "oauth", token: "t" });
	t.strictSame(config.auth.get("s3.amazonaws.com"), {
		type: "aws",
		accessKeyID: "id",
		secretAccessKey: "key",
	});
	t.strictSame(config.dockerAuth.get("quay.io"), { user: "d", password: "q" });
	t.strictSame(config.paths, { data: "/srv/rkt", stage1Images: "/srv/stage1" });
	t.strictSame(config.stage1, {
		name: "example.com/stage1",
		version: "1.2",
		location: "https://example.com/s.aci",
	});
	const entries = renderConfig(config).stage0;
	t.strictSame(
		entries.map(({ rktKind }) => rktKind),
		["auth", "auth", "auth", "auth", "dockerAuth", "paths", "stage1"],
	);
	t.strictSame(entries[0], {
		rktVersion: "v1",
		rktKind: "auth",
		domains: ["a.com:8443"],
		type: "basic",
		credentials: { user: "u", password: "p" },
	});
	t.end();
});

t.test("a later directory replaces single settings", (t) => {
	const system = configDirectory(t, {
		"auth.d/a.json": basic(["a.com", "b.com"], "system"),
		"paths.d/p.json": paths({ data: "/system", "stage1-images": "/images" }),
		"stage1.d/s.json": stage1({ name: "s", version: "1", location: "/system.aci" }),
	});
	const local = configDirectory(t, {
		"auth.d/a.json": basic(["a.com"], "local"),
		"paths.d/p.json": paths({ data: "/local" }),
	});
	const user = configDirectory(t, {
		"stage1.d/s.json": stage1({ name: "u", version: "2" }),
		"auth.d/a.json": basic(["c.com"], "user"),
	});
	const config = loadConfig({ system, local, user });
	const userOf = (domain: string) => (config.auth.get(domain) as { user: string }).user;
	t.strictSame(["a.com", "b.com", "c.com"].map(userOf), ["local", "system", "user"]);
	t.strictSame(config.paths, { data: "/local", stage1Images: "/images" });
	t.strictSame(config.stage1, { name: "u", version: "2", location: "/system.aci" });
	t.end();
});

t.test("errors name the file and what is wrong", (t) => {
	const cases: Record<string, readonly [files: Files, message: RegExp]> = {
		"no JSON": [{ "auth.d/a.json": "{" }, /auth\.d\/a\.json/],
		"a list": [{ "auth.d/a.json": "[]" }, /not a JSON object/],
		"a member twice": [
			{ "auth.d/a.json": '{"rktKind":"auth","rktKind":"auth","rktVersion":"v1"}' },
			/rktKind/,
		],
		"no kind": [{ "auth.d/a.json": { rktVersion: "v1" } }, /rktKind/],
		"no version": [{ "auth.d/a.json": { rktKind: "auth" } }, /rktVersion/],
		"an unknown version": [{ "auth.d/a.json": { ...basic(["a"]), rktVersion: "v2" } }, /v2/],
		"a kind of another directory": [
			{ "auth.d/a.json": paths({ data: "/x" }) },
			/expected auth or dockerAuth/,
		],
		"a kind of Object's": [
			{ "paths.d/a.json": { rktVersion: "v1", rktKind: "constructor" } },
			/expected paths/,
		],
		"no domains": [{ "auth.d/a.json": basic([]) }, /domains/],
		"an empty domain": [{ "auth.d/a.json": basic([""]) }, /domains/],
		"an unknown type": [{ "auth.d/a.json": { ...basic(["a"]), type: "magic" } }, /magic/],
		"an empty password": [{ "auth.d/a.json": basic(["a"], "u", "") }, /password/],
		"no credentials": [{ "auth.d/a.json": { ...basic(["a"]), credentials: undefined } }, /credentials/],
		"a domain twice": [{ "auth.d/a.json": basic(["a"]), "auth.d/b.json": basic(["a"]) }, /b\.json.*already/],
		"a domain twice in one list": [{ "auth.d/a.json": basic(["a", "a"]) }, /already/],
		"data twice": [
			{ "paths.d/a.json": paths({ data: "/a" }), "paths.d/b.json": paths({ data: "/a" }) },
			/data.*already/,
		],
		"a relative path": [{ "paths.d/a.json": paths({ data: "x" }) }, /absolute/],
		"a name without version": [{ "stage1.d/a.json": stage1({ name: "x" }) }, /together/],
		"an odd location": [{ "stage1.d/a.json": stage1({ location: "ftp://x" }) }, /ftp/],
		"a relative location": [{ "stage1.d/a.json": stage1({ location: "x.aci" }) }, /x\.aci/],
		"a location twice": [
			{ "stage1.d/a.json": stage1({ location: "/a" }), "stage1.d/b.json": stage1({ location: "/b" }) },
			/already/,
		],
		"a file for a directory": [{ "auth.d": "x" }, /not a directory/],
	};
	for (const [what, [files, message]] of Object.entries(cases)) {
		t.throws(
			() => loadConfig({ local: configDirectory(t, files) }),
			{ code: "config-invalid", message },
			what,
		);
	}
	t.end();
});

t.test("which accelerator virtual machines get: the last directory counts, nothing else is known", (t) => {
	const kvm = (accelerator: string) => ({ rktKind: "kvm", rktVersion: "v1", accelerator });
	const system = configDirectory(t, { "kvm.d/vendor.json": kvm("kvm") });
	const local = configDirectory(t, { "kvm.d/own.json": kvm("tcg") });
	t.strictSame(loadConfig({ system }).kvm, new Map([["accelerator", "kvm"]]));
	const config = loadConfig({ system, local });
	t.strictSame(renderConfig(config).stage0.at(-1), kvm("tcg"));
	for (const files of [
		{ "kvm.d/a.json": kvm("xen") },
		{ "kvm.d/a.json": kvm("") },
		{ "kvm.d/a.json": kvm("kvm"), "kvm.d/b.json": kvm("kvm") },
	] as Files[]) {
		t.throws(() => loadConfig({ local: configDirectory(t, files) }), {
			code: "config-invalid",
			message: /kvm\.d\/[ab]\.json: "accelerator" is /,
		});
	}
	t.end();
});

t.test("how large virtual machines are: each member by itself, in clear where it is wrong", (t) => {
	const kvm = (members: Record<string, unknown>) => ({ rktKind: "kvm", rktVersion: "v1", ...members });
	const system = configDirectory(t, { "kvm.d/vendor.json": kvm({ memory: "1Gi", cpus: "2" }) });
	const local = configDirectory(t, {
		"kvm.d/a.json": kvm({ cpus: "3" }),
		"kvm.d/b.json": kvm({ overhead: "64Mi", accelerator: "tcg" }),
	});
	const merged = { accelerator: "tcg", cpus: "3", memory: "1Gi", overhead: "64Mi" };
	t.strictSame(renderConfig(loadConfig({ system, local })).stage0.at(-1), kvm(merged));
	const wrong = [
		{ cpus: "0" },
		{ cpus: "1.5" },
		{ memory: "-1" },
		{ memory: "lots" },
		{ overhead: "0" },
		{ cpus: 2 },
	];
	for (const members of wrong) {
		const files = { "kvm.d/a.json": kvm(members) } as Files;
		t.throws(() => loadConfig({ local: configDirectory(t, files) }), {
			code: "config-invalid",
			message: new RegExp(`a\\.json: .*"${Object.keys(members)[0]}"`),
		});
	}
	t.end();
});

t.test("which users pods get: the last directory counts, nothing else is known", (t) => {
	const isolation = (privateUsers: string) => ({ rktKind: "isolation", rktVersion: "v1", privateUsers });
	const system = configDirectory(t, { "isolation.d/vendor.json": isolation("auto") });
	const local = configDirectory(t, { "isolation.d/own.json": isolation("off") });
	t.strictSame(loadConfig({ system }).isolation, { privateUsers: "auto" });
	const config = loadConfig({ system, local });
	t.strictSame(renderConfig(config).stage0.at(-1), isolation("off"));
	for (const files of [
		{ "isolation.d/a.json": isolation("yes") },
		{ "isolation.d/a.json": isolation("on"), "isolation.d/b.json": isolation("on") },
	] as Files[]) {
		t.throws(() => loadConfig({ local: configDirectory(t, files) }), {
			code: "config-invalid",
			message: /isolation\.d\/[ab]\.json: "privateUsers" is /,
		});
	}
	t.end();
});

t.test("credentials that others can read give a warning, not a refusal", (t) => {
	const local = configDirectory(t, { "auth.d/a.json": basic(["a.com"]) });
	t.strictSame(loadConfig({ local }).warnings, []);
	fs.chmodSync(path.join(local, "auth.d/a.json"), 0o644);
	t.match(loadConfig({ local }).warnings, [/a\.json.*0600/]);
	t.equal(loadConfig({ local }).auth.size, 1);
	t.end();
});

t.test("the data directory: flag, then configuration, then /var/lib/rkt", (t) => {
	const none = loadConfig({});
	const configured = loadConfig({
		local: configDirectory(t, { "paths.d/p.json": paths({ data: "/nonexistent/configured" }) }),
	});
	t.equal(dataDirectory(undefined, none), "/var/lib/rkt");
	t.equal(dataDirectory(undefined, configured), "/nonexistent/configured");
	t.equal(dataDirectory("/nonexistent/flag", configured), "/nonexistent/flag");
	t.equal(dataDirectory("rel", none), path.resolve("rel"));
	const base = configDirectory(t, { "real/x": "" });
	fs.symlinkSync("real", path.join(base, "link"));
	t.equal(
		dataDirectory(path.join(base, "link/new/dir"), none),
		path.join(fs.realpathSync(base), "real/new/dir"),
	);
	t.end();
});

t.test("registries", (t) => {
	const registries = (members: object) => ({ rktKind: "registries", rktVersion: "v1", ...members });
	const mirror = { location: "mirror.test:5000/cache/hub", insecure: ["tls"] };
	const local = configDirectory(t, {
		"registries.d/hub.json": registries({
			registries: ["registry-1.docker.io", "quay.io"],
			mirrors: [mirror, { location: "m.test" }],
		}),
		"registries.d/lab.json": registries({ registries: ["Lab.test:5000"], insecure: ["http"] }),
	});
	const user = configDirectory(t, { "registries.d/lab.json": registries({ registries: ["quay.io"] }) });
	const none = { http: false, tls: false };
	const config = loadConfig({ local, user });
	t.strictSame(config.registries.get("registry-1.docker.io"), {
		mirrors: [
			{ host: "mirror.test:5000", prefix: "cache/hub", insecure: { http: false, tls: true } },
			{ host: "m.test", prefix: "", insecure: none },
		],
		insecure: none,
	});
	t.strictSame(config.registries.get("lab.test:5000"), { mirrors: [], insecure: { http: true, tls: false } });
	t.strictSame(
		config.registries.get("quay.io"),
		{ mirrors: [], insecure: none },
		"a later directory replaces it whole",
	);
	t.strictSame(
		renderConfig(config).stage0[2],
		registries({
			registries: ["registry-1.docker.io"],
			mirrors: [mirror, { location: "m.test", insecure: [] }],
			insecure: [],
		}),
	);
	for (const bad of [
		{},
		{ registries: [] },
		{ registries: ["https://a.test"] },
		{ registries: ["a.test/b"] },
		{ registries: ["a.test:99999"] },
		{ registries: ["a.test"], mirrors: {} },
		{ registries: ["a.test"], mirrors: ["m.test"] },
		{ registries: ["a.test"], mirrors: [{ location: "https://m.test" }] },
		{ registries: ["a.test"], mirrors: [{ location: "m.test/../x" }] },
		{ registries: ["a.test"], mirrors: [{ location: "m.test/" }] },
		{ registries: ["a.test"], insecure: true },
		{ registries: ["a.test"], insecure: ["image"] },
	]) {
		const directory = configDirectory(t, { "registries.d/x.json": registries(bad) });
		t.throws(() => loadConfig({ local: directory }), { code: "config-invalid" }, JSON.stringify(bad));
	}
	t.end();
});
