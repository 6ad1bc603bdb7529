import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { Readable } from "node:stream";
import t, { type Test } from "tap";
import { formatFingerprint } from "../../../stage0/fetch/review-key.ts";
import { openKeystore } from "../../../stage0/keystore/keystore.ts";
import { dearmor, keyFingerprints, readPackets } from "../../../stage0/keystore/openpgp-packets.ts";
import { parseKey } from "../../../stage0/keystore/parse-key.ts";

/** A short path, because gpg-agent's socket lies in it. */
const home = fs.mkdtempSync("/tmp/rkt-ks-");
t.setTimeout(170_000);
t.teardown(() => {
	execFileSync("gpgconf", ["--homedir", home, "--kill", "all"]);
	fs.rmSync(home, { recursive: true, force: true });
});

function gpg(...args: string[]): Buffer {
	const base = [
		"--homedir",
		home,
		"--batch",
		"--quiet",
		"--no-tty",
		"--pinentry-mode=loopback",
		"--passphrase=",
	];
	return execFileSync("gpg", [...base, ...args], { stdio: ["ignore", "pipe", "ignore"] });
}

interface Key {
	readonly user: string;
	readonly fingerprint: string;
	readonly armored: Buffer;
	sign(file: string, ...options: string[]): Buffer;
}

function makeKey(user: string, { algorithm = "ed25519", expires = "never", clock = "" } = {}): Key {
	const time = clock ? [`--faked-system-time=${clock}!`] : [];
	gpg(...time, "--quick-generate-key", user, algorithm, "sign", expires);
	const listing = gpg("--with-colons", "--list-keys", `=${user}`).toString();
	const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listing)?.[1] ?? "";
	return {
		user,
		fingerprint: fingerprint.toLowerCase(),
		get armored() {
			return gpg("--armor", "--export", fingerprint);
		},
		sign: (file, ...options) =>
			gpg(...time, "--local-user", fingerprint, "--armor", ...options, "--output=-", "--detach-sign", file),
	};
}

const data = path.join(home, "image.aci");
fs.writeFileSync(data, "the bytes of an image\n".repeat(5000));
const other = path.join(home, "other.aci");
fs.writeFileSync(other, "other bytes\n");

const good = makeKey("Good Publisher <good@example.com>");
const rsa = makeKey("RSA <rsa@example.com>", { algorithm: "rsa2048" });
const stranger = makeKey("Stranger <s@example.com>");
const foo = makeKey("Foo <foo@example.com>");
const expired = makeKey("Expired <e@example.com>", { expires: "1y", clock: "20200101T000000" });
const aged = makeKey("Aged <a@example.com>", { clock: "20200101T000000" });
const future = makeKey("Future <f@example.com>", { clock: "20950101T000000" });
const revoked = makeKey("Revoked <r@example.com>");
const revokedSignature = revoked.sign(data);
const certificate = fs.readFileSync(
	path.join(home, "openpgp-revocs.d", `${revoked.fingerprint.toUpperCase()}.rev`),
	"utf8",
);
fs.writeFileSync(path.join(home, "revocation"), certificate.replace(":-----BEGIN", "-----BEGIN"));
gpg("--import", path.join(home, "revocation"));

function newKeystore(t: Test) {
	const base = t.testdir();
	const directories = { system: path.join(base, "usr"), local: path.join(base, "etc") };
	const keystore = openKeystore(directories);
	const add = (key: Key, prefix?: string) => keystore.addKey({ data: key.armored, prefix, source: key.user });
	const put = (place: "system" | "local", directory: string, name: string, content: string | Uint8Array) => {
		const target = path.join(directories[place], "trustedkeys", directory);
		fs.mkdirSync(target, { recursive: true });
		fs.writeFileSync(path.join(target, name), content);
	};
	return { keystore, add, put, directories };
}

t.test("detached signatures: the table", async (t) => {
	const { keystore, add } = newKeystore(t);
	for (const key of [good, rsa, expired, aged, future, revoked]) add(key, "example.com");
	add(foo, "example.com/foo");
	const armored = good.sign(data);
	const binary = dearmor(armored, "SIGNATURE", true) as Uint8Array;
	const text = armored.toString();
	const flipped = Buffer.from(binary);
	flipped[flipped.length - 3] = (flipped[flipped.length - 3] as number) ^ 4;
	fs.writeFileSync(path.join(home, "empty"), "");
	const join = (...signatures: Uint8Array[]) =>
		Buffer.concat(signatures.map((one) => dearmor(one, "SIGNATURE", true) as Uint8Array));
	const inline = gpg("--local-user", good.fingerprint, "--armor", "--output=-", "--sign", data);
	const clear = gpg("--local-user", good.fingerprint, "--output=-", "--clear-sign", data);

	type Row = readonly [what: string, signature: Uint8Array | string, outcome: string, name?: string];
	const table: readonly Row[] = [
		["armored", armored, "ok"],
		["binary", binary, "ok"],
		["RSA", rsa.sign(data), "ok"],
		["of a key for the parent prefix", armored, "ok", "example.com/a/b"],
		["two good ones", join(armored, rsa.sign(data)), "ok"],
		["white space and line ends of Windows", `\r\n${text.replaceAll("\n", "\r\n")}\r\n`, "ok"],
		["of a longer-lived signature", good.sign(data, "--default-sig-expire=1y"), "ok"],
		["of a key for another prefix", foo.sign(data), "signature-key-untrusted", "example.com/foobar"],
		["of a key for a deeper prefix", foo.sign(data), "signature-key-untrusted", "example.com"],
		["of a key for exactly the name", foo.sign(data), "ok", "example.com/foo"],
		["of a key for a parent", foo.sign(data), "ok", "example.com/foo/bar"],
		["of an unknown key", stranger.sign(data), "signature-key-unknown"],
		["for a name without keys", armored, "signature-key-untrusted", "example.org/app"],
		["of other bytes", good.sign(other), "signature-bad"],
		["with a flipped bit", flipped, "signature-bad"],
		["of an expired key", expired.sign(data), "signature-key-expired"],
		["of a revoked key", revokedSignature, "signature-key-revoked"],
		["that expired", aged.sign(data, "--default-sig-expire=1d"), "signature-expired"],
		["of an old key that never expires", aged.sign(data), "ok"],
		["of a key that is not valid yet", future.sign(data), "signature-key-unusable"],
		["with MD5", rsa.sign(data, "--digest-algo=MD5", "--allow-weak-digest-algos"), "signature-weak"],
		["with SHA-1", good.sign(data, "--digest-algo=SHA1", "--weak-digest=MD5"), "signature-weak"],
		["of a text document", good.sign(data, "--textmode"), "signature-malformed"],
		["empty", "", "image-unsigned"],
		["only white space", "\n", "signature-malformed"],
		["not a signature", "hello\n", "signature-malformed"],
		["inline", inline, "signature-malformed"],
		["clear-signed", clear, "signature-malformed"],
		["a public key", good.armored, "signature-malformed"],
		["cut off", text.slice(0, text.length / 2), "signature-malformed"],
		["cut off in binary", binary.subarray(0, binary.length - 5), "signature-malformed"],
		["with text before", `Here it is:\n${text}`, "signature-malformed"],
		["with text behind", `${text}bye\n`, "signature-malformed"],
		["two armored blocks", text + text, "signature-malformed"],
		["a wrong check sum", text.replace(/^=..../m, "=AAAA"), "signature-malformed"],
		["good, and one of other bytes", join(armored, rsa.sign(other)), "signature-bad"],
		["good, and one of an unknown key", join(armored, stranger.sign(data)), "signature-key-unknown"],
		["good, and one of an expired key", join(armored, expired.sign(data)), "signature-key-expired"],
		["very many", join(...Array.from({ length: 9 }, () => armored)), "signature-malformed"],
		["very long", Buffer.alloc(100_000, 0x88), "signature-malformed"],
	];
	for (const [what, signature, expected, name = "example.com/app"] of table) {
		for (const form of ["file", "stream"]) {
			const source = form === "file" ? data : fs.createReadStream(data);
			const request = { name, signature: Buffer.from(signature), source: "image.aci", data: source };
			const found = await keystore.verifyDetached(request).then(
				() => "ok",
				(error) => error.code,
			);
			t.equal(found, expected, `a signature ${what}, over a ${form}`);
		}
	}
	t.notOk(
		fs.readdirSync("/tmp").some((name) => name.startsWith("rkt-gpgv-")),
		"no temporary directory is left",
	);
});

t.test("what a good signature tells, and messages", async (t) => {
	const { keystore, add } = newKeystore(t);
	add(good, "example.com/app");
	const signature = good.sign(data);
	const request = { name: "example.com/app", signature, source: "image.aci", data };
	t.strictSame(await keystore.verifyDetached(request), {
		identities: [good.user],
		fingerprint: good.fingerprint,
	});
	const unnamed = await keystore.verifyDetached({ ...request, name: undefined });
	keystore.checkTrusted(unnamed, "example.com/app/sub", "image.aci");
	t.throws(() => keystore.checkTrusted(unnamed, "example.com/apple", "image.aci"), {
		code: "signature-key-untrusted",
		message: /example\.com\/apple .*image\.aci/,
		hint: /rkt trust --prefix=example\.com\/apple/,
	});
	await t.rejects(keystore.verifyDetached({ ...request, name: "example.com/other" }), {
		message: new RegExp(`${good.fingerprint}, which is trusted for example.com/app only`),
	});
	await t.rejects(keystore.verifyDetached({ ...request, signature: stranger.sign(data) }), {
		message: new RegExp(`unknown key ${stranger.fingerprint}`),
		hint: /rkt trust --prefix=example\.com\/app/,
	});
	await keystore.checkIssuer(request);
	await keystore.checkIssuer({ ...request, signature: good.sign(other) });
	await t.rejects(keystore.checkIssuer({ ...request, signature: stranger.sign(data) }), {
		code: "signature-key-unknown",
	});
	await t.rejects(keystore.checkIssuer({ ...request, name: "example.com" }), {
		code: "signature-key-untrusted",
	});
	const broken = new Readable({ read: () => broken.destroy(new Error("the disk broke")) });
	await t.rejects(keystore.verifyDetached({ ...request, data: broken }), /the disk broke/);
});

t.test("which keys count: prefixes by whole components, order, masks", async (t) => {
	const { keystore, add, put } = newKeystore(t);
	const names = (name: string) =>
		keystore
			.keysFor(name)
			.map(({ fingerprint }) => fingerprint)
			.sort();
	const file = add(good, "example.com/foo");
	t.equal(file.endsWith(`etc/trustedkeys/prefix.d/example.com/foo/${good.fingerprint}`), true);
	t.equal(fs.statSync(file).mode & 0o777, 0o644);
	t.equal(fs.statSync(path.dirname(file)).mode & 0o777, 0o755);
	t.strictSame(names("example.com/foo"), [good.fingerprint]);
	t.strictSame(names("example.com/foo/bar"), [good.fingerprint]);
	for (const name of ["example.com/foobar", "example.com", "example.com/fo", "xexample.com/foo"])
		t.strictSame(names(name), [], name);
	t.equal(keystore.hasPrefixKeys("example.com/foo/bar"), true);
	t.equal(keystore.hasPrefixKeys("example.com/foobar"), false);
	add(rsa);
	t.strictSame(names("anything.org/x"), [rsa.fingerprint], "a root key");
	t.equal(keystore.hasPrefixKeys("anything.org/x"), false, "root keys do not count");
	put("local", "prefix.d/example.com/foo/sub", good.fingerprint, "");
	put("local", "prefix.d/example.com/foo/sub", rsa.fingerprint, "");
	t.strictSame(names("example.com/foo/sub"), [], "empty files take keys away");
	t.strictSame(names("example.com/foo/other"), [good.fingerprint, rsa.fingerprint].sort());
	put("system", "root.d", stranger.fingerprint, stranger.armored);
	t.ok(names("a.org").includes(stranger.fingerprint), "the vendor's keys");
	put("local", "root.d", stranger.fingerprint, "");
	t.notOk(names("a.org").includes(stranger.fingerprint), "the administrator took it away");
	put("local", "prefix.d/only.masks", good.fingerprint, "");
	t.equal(keystore.hasPrefixKeys("only.masks"), false);
});

t.test("key files that are not what they are called", async (t) => {
	const { keystore, put, add } = newKeystore(t);
	put("local", "prefix.d/example.com", good.fingerprint, stranger.armored);
	t.throws(() => keystore.keysFor("example.com/app"), {
		code: "key-fingerprint-mismatch",
		message: new RegExp(stranger.fingerprint),
	});
	put("local", "prefix.d/example.com", good.fingerprint, "not a key");
	t.throws(() => keystore.keysFor("example.com/app"), { code: "key-malformed" });
	put("local", "prefix.d/example.com", good.fingerprint, Buffer.concat([good.armored, stranger.armored]));
	t.throws(
		() => keystore.keysFor("example.com/app"),
		{ code: "key-malformed" },
		"a second key is not smuggled in",
	);
	t.strictSame(keystore.keysFor("example.org"), [], "others are not concerned");
	const both = gpg("--armor", "--export", good.fingerprint, stranger.fingerprint);
	t.throws(() => keystore.addKey({ data: both, prefix: "a.org", source: "both" }), { code: "key-malformed" });
	t.throws(() => keystore.addKey({ data: Buffer.from("x"), prefix: "a.org", source: "text" }), {
		code: "key-malformed",
	});
	for (const prefix of ["../up", "a//b", "/abs", "https://a.org", "A.org", "a.org/../b", ""]) {
		t.throws(() => add(good, prefix), { code: "trust-prefix-invalid" }, prefix);
	}
	const blocked = openKeystore({ local: "/proc/self/nothing" });
	t.throws(() => blocked.addKey({ data: good.armored, prefix: "a.org", source: "x" }), {
		code: "keystore-unusable",
	});
});

t.test("keys for review", async (t) => {
	const key = parseKey(good.armored, "good.asc");
	t.strictSame(key, { fingerprint: good.fingerprint, subkeys: [], identities: [good.user] });
	gpg("--quick-add-key", good.fingerprint, "ed25519", "sign");
	const withSubkey = parseKey(gpg("--export", good.fingerprint), "binary");
	t.equal(withSubkey.subkeys.length, 1);
	const block = dearmor(good.armored, "PUBLIC KEY BLOCK", false) as Uint8Array;
	t.strictSame(keyFingerprints(block), [good.fingerprint, ...withSubkey.subkeys]);
	t.throws(() => parseKey(Buffer.from("nothing"), "n.asc"), {
		code: "key-malformed",
		message: /n\.asc holds no/,
	});
	t.throws(() => parseKey(gpg("--armor", "--export"), "all.asc"), {
		code: "key-malformed",
		message: /more than one/,
	});
	t.equal(
		formatFingerprint("18ad5014c99ef7e3ba5f6ce950bdd3e0fc8a365e"),
		"18AD 5014 C99E F7E3 BA5F  6CE9 50BD D3E0 FC8A 365E",
	);
	const { keystore, add } = newKeystore(t);
	add(good, "example.com");
	const bySubkey = gpg("--local-user", `${withSubkey.subkeys[0]}!`, "--output=-", "--detach-sign", data);
	const { fingerprint } = await keystore.verifyDetached({
		name: "example.com/x",
		signature: bySubkey,
		source: "x",
		data,
	});
	t.equal(fingerprint, good.fingerprint, "a subkey signs for its primary key");
});

t.test("packets: lengths that lie are refused", (t) => {
	for (const bytes of [
		[0x00],
		[0x88, 5, 1],
		[0xc2, 255, 0, 0],
		[0xc2, 224],
		[0x8b, 1],
		[0x89, 1],
		[0xc2, 200],
	]) {
		t.equal(readPackets(Buffer.from(bytes)), undefined, bytes.join(" "));
	}
	t.strictSame(
		readPackets(Buffer.from([0xc2, 1, 7]))?.map(({ tag }) => tag),
		[2],
	);
	t.end();
});
