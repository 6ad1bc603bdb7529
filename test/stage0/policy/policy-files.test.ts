import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { RktError } from "../../../lib/errors.ts";
import { callerUids, parseId } from "../../../stage0/policy/caller.ts";
import { readPolicyFiles } from "../../../stage0/policy/policy-files.ts";
import { exchangeablePart } from "../../../stage0/policy/root-only-path.ts";
import { parsePolicy } from "../../../stage0/policy/schema.ts";
import { isWithinDefaultFilter } from "../../../stage1/security/filter-bounds.ts";

const asRoot = process.geteuid?.() === 0 ? {} : { skip: "needs root" };

function thrown(action: () => unknown): RktError | undefined {
	try {
		action();
		return undefined;
	} catch (error) {
		return error instanceof RktError ? error : new RktError("no RktError", String(error));
	}
}

function policy(...rules: unknown[]): string {
	return JSON.stringify({ rktKind: "policy", rktVersion: "v1", rules });
}

const FULL = {
	name: "all of it",
	match: {
		images: ["example.com/a"],
		signers: ["unsigned", `openpgp:${"0a".repeat(20)}`],
		callers: ["user:alice", "group:7"],
	},
	except: { callers: ["user:root"] },
	message: "ask the operators",
	deny: true,
	stage1: ["kvm", `sha512-${"0".repeat(128)}`],
	hostNetwork: false,
	hostIpc: false,
	insecureOptions: ["image"],
	hostVolumes: ["/srv"],
	capabilities: ["CAP_KILL"],
	seccomp: "default",
	privateUsers: true,
};

t.test("a policy is read member by member", async (t) => {
	t.strictSame(parsePolicy(policy(FULL), "f.json"), [FULL]);
	t.strictSame(parsePolicy(policy(), "f.json"), []);
});

const INVALID: readonly (readonly [what: string, content: string, mention: RegExp])[] = [
	["no JSON", "{", /f\.json: line 1/],
	["a member twice", '{"rktKind":"policy","rktKind":"policy"}', /stands twice/],
	[
		"another kind",
		JSON.stringify({ rktKind: "auth", rktVersion: "v1", rules: [] }),
		/rktKind must be "policy"/,
	],
	["no version", JSON.stringify({ rktKind: "policy", rules: [] }), /rktVersion is missing/],
	[
		"an unknown member",
		JSON.stringify({ rktKind: "policy", rktVersion: "v1", rule: [] }),
		/f\.json: rule is not known/,
	],
	[
		"an unknown limit",
		policy({ name: "a", hostNetworks: false, deny: true }),
		/rules\[0\]\.hostNetworks is not known/,
	],
	[
		"another case",
		policy({ name: "a", hostnetwork: false, deny: true }),
		/rules\[0\]\.hostnetwork is not known/,
	],
	[
		"an unknown selector",
		policy({ name: "a", match: { image: ["a"] }, deny: true }),
		/rules\[0\]\.match\.image is not known/,
	],
	["a rule without a name", policy({ deny: true }), /rules\[0\]\.name is missing/],
	["a rule that limits nothing", policy({ name: "a", match: { images: ["a"] } }), /limits nothing/],
	[
		"two rules of a name",
		policy({ name: "a", deny: true }, { name: "a", deny: true }),
		/two rules have the name "a"/,
	],
	[
		"a limit that is lifted",
		policy({ name: "a", hostNetwork: true }),
		/rules\[0\]\.hostNetwork must be false/,
	],
	[
		"an empty selector",
		policy({ name: "a", match: { images: [] }, deny: true }),
		/match\.images may not be empty/,
	],
	["a bad image name", policy({ name: "a", match: { images: ["Example/"] }, deny: true }), /images\[0\]/],
	["a bad signer", policy({ name: "a", match: { signers: ["0123"] }, deny: true }), /signers\[0\]/],
	["a bad caller", policy({ name: "a", match: { callers: ["alice"] }, deny: true }), /callers\[0\]/],
	["a relative directory", policy({ name: "a", hostVolumes: ["srv"] }), /hostVolumes\[0\]/],
	["a directory with ..", policy({ name: "a", hostVolumes: ["/srv/../etc"] }), /hostVolumes\[0\]/],
	["a capability in small letters", policy({ name: "a", capabilities: ["cap_kill"] }), /capabilities\[0\]/],
	["an unknown insecure option", policy({ name: "a", insecureOptions: ["all"] }), /insecureOptions\[0\]/],
	["two lines of message", policy({ name: "a", deny: true, message: "a\nb" }), /message/],
];

t.test("what is not understood is refused with its place", async (t) => {
	for (const [what, content, mention] of INVALID) {
		const error = thrown(() => parsePolicy(content, "f.json"));
		t.equal(error?.code, "policy-invalid", what);
		t.match(error?.message, mention, what);
		t.match(error?.message, /f\.json/, what);
	}
});

t.test("files that others could have written are refused", asRoot, async (t) => {
	const root = t.testdir({ etc: { "policy.d": {} }, always: {} });
	const always = path.join(root, "always");
	const etc = path.join(root, "etc");
	const directory = path.join(etc, "policy.d");
	const file = path.join(directory, "a.json");
	const read = () => readPolicyFiles(etc, always);
	const codeAfter = (spoil: () => void): string | undefined => {
		fs.rmSync(file, { recursive: true, force: true });
		fs.writeFileSync(file, policy(), { mode: 0o644 });
		fs.chownSync(directory, 0, 0);
		fs.chmodSync(directory, 0o755);
		spoil();
		return thrown(read)?.code;
	};
	t.equal(
		codeAfter(() => {}),
		undefined,
	);
	t.strictSame(read(), [{ file, text: policy() }]);
	t.equal(
		codeAfter(() => fs.chownSync(file, 1, 0)),
		"policy-untrusted",
		"another owner",
	);
	t.equal(
		codeAfter(() => fs.chmodSync(file, 0o666)),
		"policy-untrusted",
		"writable by all",
	);
	t.equal(
		codeAfter(() => fs.chmodSync(file, 0o664)),
		"policy-untrusted",
		"writable by a group",
	);
	t.equal(
		codeAfter(() => fs.chmodSync(directory, 0o777)),
		"policy-untrusted",
		"its directory is writable by all",
	);
	t.equal(
		codeAfter(() => fs.chownSync(directory, 1, 0)),
		"policy-untrusted",
		"its directory is somebody else's",
	);
	t.equal(
		codeAfter(() => fs.truncateSync(file, 10 * 1024 * 1024)),
		"policy-unreadable",
		"10 MB",
	);
	const replace = (make: () => void) => () => {
		fs.rmSync(file);
		make();
	};
	t.equal(codeAfter(replace(() => fs.symlinkSync("/etc/passwd", file))), "policy-unreadable", "a link");
	t.equal(codeAfter(replace(() => fs.mkdirSync(file))), "policy-unreadable", "a directory");
	t.equal(codeAfter(replace(() => fs.symlinkSync("nowhere", file))), "policy-unreadable", "a dangling link");
	const others = () => {
		fs.writeFileSync(path.join(directory, "README"), "not a policy");
		fs.writeFileSync(path.join(directory, "a.json.bak"), "{");
	};
	t.equal(codeAfter(others), undefined, "other names are passed over");
	fs.renameSync(directory, path.join(root, "elsewhere"));
	fs.symlinkSync(path.join(root, "elsewhere"), directory);
	t.equal(thrown(read)?.code, "policy-unreadable", "the directory is a link");
	fs.rmSync(directory);
	fs.writeFileSync(directory, "");
	t.equal(thrown(read)?.code, "policy-unreadable", "the directory is a file");
});

t.test(
	"the directory of the machine is read whatever the flags say, and before theirs",
	asRoot,
	async (t) => {
		const root = t.testdir({ etc: { "policy.d": {} }, always: { "policy.d": {} } });
		const files = ["always/policy.d/z.json", "etc/policy.d/a.json"].map((name) => path.join(root, name));
		for (const file of files) fs.writeFileSync(file, "{}", { mode: 0o600 });
		const names = (localConfig: string) =>
			readPolicyFiles(path.join(root, localConfig), path.join(root, "always")).map(({ file }) => file);
		t.strictSame(names("etc"), files);
		t.strictSame(names("always"), files.slice(0, 1), "not twice");
		t.strictSame(names("nothing"), files.slice(0, 1));
	},
);

t.test("the caller is who has logged in; SUDO_UID only adds somebody", async (t) => {
	t.strictSame(callerUids({ loginUid: "1000\n", realUid: 0, sudoUid: undefined }), [1000]);
	t.strictSame(callerUids({ loginUid: "4294967295", realUid: 0, sudoUid: undefined }), [0]);
	t.strictSame(callerUids({ loginUid: undefined, realUid: 5, sudoUid: undefined }), [5]);
	t.strictSame(callerUids({ loginUid: "1000", realUid: 0, sudoUid: "0" }), [1000, 0]);
	t.strictSame(callerUids({ loginUid: undefined, realUid: 0, sudoUid: "1000" }), [0, 1000]);
	t.strictSame(callerUids({ loginUid: "1000", realUid: 0, sudoUid: "-1;x" }), [1000]);
});

t.test("what id(1) prints is read with numbers and names", async (t) => {
	t.strictSame(parseId("uid=1000(alice) gid=100(users) groups=100(users),27(sudo)\n").names, [
		...["user:1000", "user:alice", "group:100", "group:users", "group:27", "group:sudo"],
	]);
	t.strictSame(parseId("uid=1000(a) gid=5(domain users) groups=5(domain users),6\n").names, [
		...["user:1000", "user:a", "group:5", "group:domain users", "group:6"],
	]);
});

t.test("a path that others could lead elsewhere is found", asRoot, async (t) => {
	const root = fs.mkdtempSync("/var/tmp/rkt-path-");
	t.teardown(() => fs.rmSync(root, { recursive: true }));
	const at = (name: string): string => path.join(root, name);
	fs.mkdirSync(at("mine/below"), { recursive: true });
	fs.mkdirSync(at("theirs/below"), { recursive: true });
	fs.chownSync(at("theirs"), 1000, 1000);
	fs.mkdirSync(at("open/below"), { recursive: true });
	fs.chmodSync(at("open"), 0o777);
	fs.mkdirSync(at("sticky/below"), { recursive: true });
	fs.chmodSync(at("sticky"), 0o1777);
	fs.mkdirSync(at("group"));
	fs.chownSync(at("group"), 0, 1000);
	fs.chmodSync(at("group"), 0o775);
	fs.symlinkSync(at("theirs/below"), at("mine/link"));
	fs.symlinkSync("below", at("mine/good"));
	fs.symlinkSync("loop", at("mine/loop"));
	fs.symlinkSync(at("mine"), at("sticky/foreign"));
	fs.lchownSync(at("sticky/foreign"), 1000, 1000);
	t.equal(exchangeablePart(at("mine/below")), undefined);
	t.equal(exchangeablePart(at("mine/not/there")), undefined);
	t.equal(exchangeablePart(at("mine/good")), undefined);
	t.equal(exchangeablePart(at("sticky/below")), undefined);
	t.equal(exchangeablePart(at("theirs/below")), at("theirs"));
	t.equal(exchangeablePart(at("open/below")), at("open"));
	t.equal(exchangeablePart(at("group")), at("group"));
	t.equal(exchangeablePart(at("mine/link")), at("theirs"), "behind a link");
	t.equal(exchangeablePart(at("mine/loop")), at("mine/loop"));
	t.equal(exchangeablePart(at("sticky/foreign")), at("sticky/foreign"), "a link of somebody else");
});

t.test("which seccomp isolators stay within the default filter", async (t) => {
	const retain = (...set: string[]) => isWithinDefaultFilter({ mode: "retain", set });
	const remove = (...set: string[]) => isWithinDefaultFilter({ mode: "remove", set });
	t.ok(isWithinDefaultFilter(undefined));
	t.ok(retain("@rkt/default-whitelist"));
	t.ok(retain("read", "write", "exit_group"));
	t.ok(remove("@appc.io/empty", "chmod"));
	t.ok(remove("@appc.io/all"));
	t.notOk(retain("@appc.io/all"));
	t.notOk(retain("read", "mount"));
	t.notOk(retain("read", "clone"), "clone without the reservations of the default");
	t.notOk(retain("@systemd/process"));
	t.notOk(remove("chmod"), "everything but chmod");
	t.notOk(retain("@rkt/default-whitelist", "bpf"));
});
