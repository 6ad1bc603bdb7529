import t, { type Test } from "tap";
import { checkACIdentifier, isACIdentifier, sanitizeACIdentifier } from "../../appc/types/ac-identifier.ts";
import { appNameOfImage, checkACName, isACName, sanitizeACName } from "../../appc/types/ac-name.ts";
import { isDate } from "../../appc/types/date.ts";
import { isEnvironmentName } from "../../appc/types/environment.ts";
import {
	checkImageID,
	imageIDFromDigest,
	isImageID,
	isImageIDPrefix,
	matchesImageIDPrefix,
	normalizeImageIDPrefix,
	shortImageID,
} from "../../appc/types/image-id.ts";
import { formatImageName, parseImageName, withHostLabels } from "../../appc/types/image-name.ts";
import { checkRunnable, hostArchitecture, hostLabels, osArchProblem } from "../../appc/types/labels.ts";
import { formatQuantity, parseQuantity, quantityBytes, quantityMilli } from "../../appc/types/quantity.ts";
import { quote } from "../../appc/types/quote.ts";
import { isACVersion, isSemver } from "../../appc/types/version.ts";

function verdicts(t: Test, check: (text: string) => boolean, good: string[], bad: string[]): void {
	for (const text of good) t.equal(check(text), true, `good: ${quote(text)}`);
	for (const text of bad) t.equal(check(text), false, `bad: ${quote(text)}`);
	t.end();
}

t.test("AC identifiers", (t) =>
	verdicts(
		t,
		isACIdentifier,
		[
			"a",
			"0",
			"example.com/app",
			"a-b_c~d.e/f",
			"a..b",
			"a--b",
			"coreos.com/etcd",
			"a".repeat(300),
			"a/b-/c",
			"x/.y",
		],
		[
			"",
			"A",
			"a/",
			"/a",
			"-a",
			"a-",
			"a//b",
			"a/../b",
			"a/./b",
			"a b",
			"a:b",
			"é",
			"a\n",
			"a\0",
			"a/.../../b",
			"a,b",
		],
	),
);

t.test("AC names", (t) =>
	verdicts(
		t,
		isACName,
		["a", "0", "a-b", "a--b", "database", "app1", "1app"],
		["", "A", "-a", "a-", "a.b", "a/b", "a_b", "a b", "é", "a\n"],
	),
);

t.test("names made of any text", (t) => {
	const names: [string, string][] = [
		["Foo Bar", "foo-bar"],
		["__x__", "x"],
		["80/tcp", "80-tcp"],
		["volume/var/lib", "volume-var-lib"],
		["a--b", "a--b"],
	];
	for (const [from, to] of names) t.equal(sanitizeACName(from), to);
	const identifiers: [string, string][] = [
		["Registry.example/Foo Bar", "registry.example/foo_bar"],
		["-a/", "a"],
		["a//b", "a/b"],
		["a/../b", "a/b"],
		["a/./.././b", "a/b"],
		["localhost:5000/x", "localhost_5000/x"],
		["~a_", "a"],
	];
	for (const [from, to] of identifiers) t.equal(sanitizeACIdentifier(from), to);
	for (const hopeless of ["", "---", "é", "/"]) {
		t.throws(() => sanitizeACName(hopeless), { code: "name-invalid" });
		t.throws(() => sanitizeACIdentifier(hopeless.replace("é", ".")), { code: "name-invalid" });
	}
	t.equal(appNameOfImage("example.com/My/Reduce-worker"), "reduce-worker");
	t.equal(appNameOfImage("busybox"), "busybox");
	t.throws(() => checkACName("A", "app name"), { message: 'app name "A" is not an AC name' });
	t.throws(() => checkACIdentifier("A\u001b[2J", "image name"), { message: /image name "A\\u001b\[2J"/ });
	t.equal(checkACName("a", "x") + checkACIdentifier("a/b", "x"), "aa/b");
	t.end();
});

t.test("image IDs", (t) => {
	const id = `sha512-${"0a".repeat(64)}`;
	t.equal(isImageID(id), true);
	for (const bad of [
		"",
		id.slice(1),
		`${id}0`,
		id.slice(0, -1),
		id.toUpperCase(),
		`sha512-${"g".repeat(128)}`,
	]) {
		t.equal(isImageID(bad), false);
		t.throws(() => checkImageID(bad), { code: "image-id-invalid" });
	}
	t.equal(checkImageID(id), id);
	for (const good of ["sha512-0a", "sha512-0A0", id]) t.equal(isImageIDPrefix(good), true);
	t.equal(normalizeImageIDPrefix("sha512-0A0B"), "sha512-0a0b");
	for (const [bad, reason] of [
		["sha512-a", /is too short/],
		["sha512-", /is too short/],
		["sha256-abcd", /must begin with "sha512-"/],
		["sha512-xyz", /hexadecimal/],
		["sha512-../../etc", /hexadecimal/],
		[`${id}0`, /too long/],
	] as const) {
		t.throws(() => normalizeImageIDPrefix(bad), { code: "image-id-invalid", message: reason });
		t.equal(isImageIDPrefix(bad), false);
	}
	t.equal(matchesImageIDPrefix(id, "sha512-0a0"), true);
	t.equal(matchesImageIDPrefix(id, "sha512-0b"), false);
	t.equal(shortImageID(id, 12), "sha512-0a0a0a0a0a0a");
	t.equal(imageIDFromDigest(Buffer.from("0a".repeat(64), "hex")), id);
	t.end();
});

t.test("versions", (t) => {
	t.equal(isACVersion("0.0.0"), false);
	verdicts(
		t,
		isSemver,
		["0.0.0", "1.2.3", "0.8.11", "1.0.0-alpha.1+build.5", "1.0.0+001", "1.0.0-0a", "1.0.0--", "10.20.30"],
		[
			"",
			"1",
			"1.2",
			"01.2.3",
			"1.2.3-",
			"1.2.3-01",
			"1.2.3+",
			"v1.2.3",
			"1.2.3.4",
			"1.2.3-a..b",
			"1.2.3 ",
			"1.2.-3",
		],
	);
});

t.test("dates", (t) =>
	verdicts(
		t,
		isDate,
		[
			"2014-10-27T19:32:27.67021798Z",
			"2015-07-01T00:00:00+02:00",
			"2016-02-29T23:59:60Z",
			"2000-02-29t12:00:00z",
		],
		[
			"",
			"2014-10-27",
			"2014-13-01T00:00:00Z",
			"2015-02-29T00:00:00Z",
			"1900-02-29T00:00:00Z",
			"2014-10-27T24:00:00Z",
		].concat([
			"2014-10-27T19:32:27",
			"2014-10-27 19:32:27Z",
			"2014-04-31T00:00:00Z",
			"2014-10-27T19:32:27+24:00",
		]),
	),
);

t.test("names of environment variables", (t) =>
	verdicts(t, isEnvironmentName, ["A", "_", "a.b-c_1"], ["", "1A", "A B", "A=", "é", "-a", ".a", "A\n"]),
);

t.test("labels os and arch", (t) => {
	const labels = (os?: string, arch?: string) => [
		...(os === undefined ? [] : [{ name: "os", value: os }]),
		...(arch === undefined ? [] : [{ name: "arch", value: arch }]),
	];
	for (const [os, arch] of [
		["linux", "amd64"],
		["linux", "s390x"],
		["freebsd", "arm"],
		["darwin", "x86_64"],
		["linux"],
		[],
	]) {
		t.equal(osArchProblem(labels(os, arch)), undefined);
	}
	t.equal(osArchProblem(labels(undefined, "nonsense")), undefined);
	t.match(osArchProblem(labels("windows")), '"windows", allowed are linux');
	t.match(osArchProblem(labels("linux", "x86_64")), "allowed with os linux are amd64");
	t.match(osArchProblem(labels("constructor")), "allowed are");
	t.equal(checkRunnable(labels("linux", "amd64"), "x"), undefined);
	for (const [os, arch] of [["linux"], [undefined, "amd64"], [], ["freebsd", "amd64"], ["linux", "x"]]) {
		t.throws(() => checkRunnable(labels(os, arch), "image x"), {
			code: "image-not-runnable",
			message: /^image x/,
		});
	}
	t.strictSame(hostLabels().os, "linux");
	for (const [arch, endianness, arm, name] of [
		["x64", "LE", "", "amd64"],
		["ia32", "LE", "", "i386"],
		["arm64", "LE", "", "aarch64"],
		["arm64", "BE", "", "aarch64_be"],
		["arm", "LE", "6", "armv6l"],
		["arm", "LE", "7", "armv7l"],
		["arm", "BE", "7", "armv7b"],
		["ppc64", "LE", "", "ppc64le"],
		["s390x", "BE", "", "s390x"],
	] as const) {
		t.equal(hostArchitecture(arch, endianness, arm), name);
	}
	t.end();
});

t.test("image names", (t) => {
	const cases: [string, string, Record<string, string>][] = [
		["example.com/app", "example.com/app", {}],
		["example.com/app:1.0+git%20", "example.com/app", { version: "1.0+git%20" }],
		["a:1,os=linux,arch=amd64", "a", { version: "1", os: "linux", arch: "amd64" }],
		["a,channel=x=y", "a", { channel: "x=y" }],
		["a,version=2", "a", { version: "2" }],
	];
	for (const [text, name, labels] of cases) {
		const parsed = parseImageName(text);
		t.equal(parsed.name, name);
		t.strictSame(Object.fromEntries(parsed.labels.map((label) => [label.name, label.value])), labels);
		t.strictSame(parseImageName(formatImageName(parsed)), parsed);
	}
	for (const bad of [
		"",
		":1",
		"a:",
		"a:1:2",
		"a,os=linux:2",
		"a:1,version=2",
		"a,os=x,os=y",
		"a,os",
		"a,=x",
		"a,os=",
		"a,",
		"a,name=b",
		"A",
		"a/../b",
		"a//b",
		"a,OS=linux",
		"a:1\n",
	]) {
		t.throws(() => parseImageName(bad), { code: "image-name-invalid" }, quote(bad));
	}
	const host = hostLabels();
	t.equal(formatImageName(withHostLabels(parseImageName("a:1"))), `a:1,arch=${host.arch},os=linux`);
	t.equal(formatImageName(withHostLabels(parseImageName("a,os=x,arch=y"))), "a,os=x,arch=y");
	t.end();
});

t.test("quantities", (t) => {
	const cases: [string, string, bigint, bigint][] = [
		["0", "0", 0n, 0n],
		["1", "1", 1n, 1000n],
		["1.5", "1500m", 2n, 1500n],
		[".5", "500m", 1n, 500n],
		["5.", "5", 5n, 5000n],
		["500m", "500m", 1n, 500n],
		["16M", "16M", 16_000_000n, 16_000_000_000n],
		["16Mi", "16Mi", 16_777_216n, 16_777_216_000n],
		["1.5Gi", "1536Mi", 1_610_612_736n, 1_610_612_736_000n],
		["0.5Ki", "512", 512n, 512_000n],
		["1000", "1k", 1000n, 1_000_000n],
		["1234", "1234", 1234n, 1_234_000n],
		["1024Ki", "1Mi", 1_048_576n, 1_048_576_000n],
		["1.0001Ki", "1025", 1025n, 1_024_103n],
		["16m", "16m", 1n, 16n],
		["1n", "1n", 1n, 1n],
		["1500u", "1500u", 1n, 2n],
		["0.1n", "1n", 1n, 1n],
		["12e6", "12e6", 12_000_000n, 12_000_000_000n],
		["1.5E3", "1500", 1500n, 1_500_000n],
		["12E-3", "12e-3", 1n, 12n],
		["2E", "2E", 2_000_000_000_000_000_000n, 2_000_000_000_000_000_000_000n],
		["1Ei", "1Ei", 2n ** 60n, 2n ** 60n * 1000n],
		["-1.5k", "-1500", -1500n, -1_500_000n],
		["+3", "3", 3n, 3000n],
		["100E", "9223372036854775807", 2n ** 63n - 1n, (2n ** 63n - 1n) * 1000n],
		["-100Ei", "-9223372036854775807", -(2n ** 63n - 1n), -(2n ** 63n - 1n) * 1000n],
	];
	for (const [text, canonical, bytes, milli] of cases) {
		const quantity = parseQuantity(text);
		t.equal(formatQuantity(quantity), canonical, text);
		t.equal(quantityBytes(quantity), bytes, text);
		t.equal(quantityMilli(quantity), milli, text);
		t.equal(
			parseQuantity(canonical).nanos,
			quantity.format === "binary" ? parseQuantity(canonical).nanos : quantity.nanos,
		);
	}
	for (const bad of [
		"",
		".",
		"-",
		"1K",
		"1ki",
		"1 M",
		"1MM",
		"1e",
		"1e1.5",
		"0x10",
		"1.2.3",
		"∞",
		"1e1000000000",
		"1Mi ",
		"e3",
		"1,5",
	]) {
		t.throws(() => parseQuantity(bad), { code: "quantity-invalid" }, quote(bad));
	}
	t.throws(() => parseQuantity("9".repeat(10_000)), { code: "quantity-invalid" });
	t.end();
});

t.test("values in messages cannot draw on a terminal", (t) => {
	t.equal(quote("a\u001b[31m\n\u202e\u2028"), '"a\\u001b[31m\\n\\u{202e}\\u{2028}"');
	t.equal(quote("x".repeat(500)).length, 81);
	t.equal(quote(undefined), "undefined");
	t.end();
});
