import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { findCredentials } from "../../../stage0/registry/credentials.ts";

const scratch = fs.mkdtempSync("/var/tmp/rkt-credentials-test-");
t.teardown(() => fs.rmSync(scratch, { recursive: true, force: true }));

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const none = { dockerAuth: new Map() };
let serial = 0;

function authFile(content: unknown, name?: string): string {
	const file = path.join(scratch, name ?? `auth${serial++}.json`);
	fs.mkdirSync(path.dirname(file), { recursive: true });
	fs.writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
	return file;
}

const find = (registry: string, repository: string, content: unknown) =>
	findCredentials(registry, repository, none, { REGISTRY_AUTH_FILE: authFile(content) });
const password = (user: string, word: string) => ({ type: "password", user, password: word });

t.test("entries of docker login and podman login", (t) => {
	const auths = {
		"quay.io": { auth: base64("u:p:q") },
		"quay.io/team": { auth: base64("team:t\0\0") },
		"quay.io/team/app": { auth: base64("app:a") },
		"https://Old.test/v1/": { auth: base64("old:o") },
		"named.test:5000": { username: "n", password: "w" },
		"identity.test": { auth: base64("<token>:"), identitytoken: "id" },
		"registry.test": { registrytoken: "reg" },
		"https://index.docker.io/v1/": { auth: base64("hub:h") },
		"empty.test": {},
	};
	const cases: [string, string, unknown][] = [
		["quay.io", "other", password("u", "p:q")],
		["quay.io", "team/x", password("team", "t")],
		["quay.io", "team/app", password("app", "a")],
		["quay.io", "teamwork/x", password("u", "p:q")],
		["old.test", "x", password("old", "o")],
		["named.test:5000", "x", password("n", "w")],
		["named.test", "x", undefined],
		["identity.test", "x", { type: "identity-token", token: "id" }],
		["registry.test", "x", { type: "registry-token", token: "reg" }],
		["registry-1.docker.io", "library/x", password("hub", "h")],
		["empty.test", "x", undefined],
		["evil-quay.io", "x", undefined],
		["io", "x", undefined],
	];
	for (const [registry, repository, wanted] of cases) {
		t.strictSame(find(registry, repository, { auths }), wanted, `${registry}/${repository}`);
	}
	t.end();
});

t.test("places, in their order", (t) => {
	const entry = (user: string) => ({ auths: { "a.test": { auth: base64(`${user}:p`) } } });
	const runtime = path.join(scratch, "run");
	const home = path.join(scratch, "home");
	authFile(entry("docker"), "home/.docker/config.json");
	const at = (environment: Record<string, string>, dockerAuth = none.dockerAuth) =>
		findCredentials("a.test", "x", { dockerAuth }, environment);
	t.match(at({ HOME: home, XDG_RUNTIME_DIR: runtime }), { user: "docker" });
	authFile(entry("kept"), "home/.config/containers/auth.json");
	t.match(at({ HOME: home, XDG_RUNTIME_DIR: runtime }), { user: "kept" });
	authFile(entry("moved"), "config/containers/auth.json");
	const moved = path.join(scratch, "config");
	t.match(at({ HOME: home, XDG_RUNTIME_DIR: runtime, XDG_CONFIG_HOME: moved }), { user: "moved" });
	authFile(entry("podman"), "run/containers/auth.json");
	t.match(at({ HOME: home, XDG_RUNTIME_DIR: runtime }), { user: "podman" });
	const own = authFile(entry("own"));
	t.match(at({ HOME: home, XDG_RUNTIME_DIR: runtime, REGISTRY_AUTH_FILE: own }), { user: "own" });
	t.equal(at({ HOME: home, XDG_RUNTIME_DIR: runtime, REGISTRY_AUTH_FILE: "/nonexistent" }), undefined);
	const configured = new Map([["a.test", { user: "rkt", password: "p" }]]);
	t.match(at({ REGISTRY_AUTH_FILE: own }, configured), { user: "rkt" });
	const hub = new Map([["docker.io", { user: "hub", password: "p" }]]);
	t.match(findCredentials("registry-1.docker.io", "x", { dockerAuth: hub }, {}), { user: "hub" });
	t.end();
});

t.test("files that cannot be understood", (t) => {
	for (const content of [
		"",
		"nonsense",
		"[]",
		{ auths: [] },
		{ auths: { "a.test": { auth: base64("no colon") } } },
		{ auths: { "a.test": { auth: 5 } } },
	]) {
		t.throws(() => find("a.test", "x", content), { code: "auth-file-invalid" }, JSON.stringify(content));
	}
	t.throws(() => find("a.test", "x", `"${"x".repeat(2_000_000)}"`), { code: "auth-file-invalid" });
	t.end();
});

/** A program on PATH that answers so. */
function helper(t: Test, name: string, script: string): void {
	const directory = path.join(scratch, "bin");
	fs.mkdirSync(directory, { recursive: true });
	fs.writeFileSync(path.join(directory, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`, {
		mode: 0o755,
	});
	const before = process.env.PATH;
	process.env.PATH = `${directory}:${before}`;
	t.teardown(() => {
		process.env.PATH = before;
	});
}

t.test("credential helpers", (t) => {
	helper(
		t,
		"good",
		`read server; test "$1" = get && echo '{"ServerURL":"x","Username":"'$server'","Secret":"s"}'`,
	);
	helper(t, "token", `echo '{"Username":"<token>","Secret":"id"}'`);
	helper(t, "unknown", "echo credentials not found in native keychain; exit 1");
	helper(t, "broken", "echo 'secret nonsense'");
	helper(t, "failing", "echo oh >&2; exit 3");
	const by = (name: string) => find("a.test", "x", { credHelpers: { "a.test": name } });
	t.strictSame(by("good"), password("a.test", "s"));
	t.strictSame(by("token"), { type: "identity-token", token: "id" });
	t.equal(by("unknown"), undefined);
	for (const name of ["broken", "failing", "absent", "../../bin/sh"]) {
		t.throws(() => by(name), { code: "credential-helper-failed" }, name);
	}
	t.throws(() => by("broken"), { message: /^(?!.*secret nonsense)/ }, "what it said is not repeated");
	t.strictSame(find("a.test", "x", { auths: { "a.test": {} }, credsStore: "good" }), password("a.test", "s"));
	t.throws(() => find("a.test", "x", { auths: { "a.test": {} }, credsStore: "failing" }), {
		code: "credential-helper-failed",
	});
	t.strictSame(
		find("a.test", "x", { credsStore: "good" }),
		password("a.test", "s"),
		"without a login, as on ECR",
	);
	for (const credsStore of ["failing", "absent"]) {
		t.equal(find("a.test", "x", { auths: {}, credsStore }), undefined, `${credsStore}: knows nothing of it`);
	}
	const hub = { auths: { "https://index.docker.io/v1/": {} }, credsStore: "good" };
	t.strictSame(find("registry-1.docker.io", "library/x", hub), password("https://index.docker.io/v1/", "s"));
	t.end();
});
