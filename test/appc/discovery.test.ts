import t from "tap";
import {
	discoveryURLs,
	hasNamePrefix,
	imageEndpoints,
	pubkeyEndpoints,
} from "../../appc/discovery/endpoints.ts";
import { MAX_DISCOVERY_PAGE, readDiscoveryTags } from "../../appc/discovery/meta-tags.ts";
import { displayName, matchesImage, missingLabels } from "../../appc/matching.ts";
import { parseImageName } from "../../appc/types/image-name.ts";
import { cpuTime } from "../support/cpu-time.ts";

t.test("pages to ask, upwards", (t) => {
	t.strictSame(discoveryURLs("a.com/b/c"), [
		"https://a.com/b/c?ac-discovery=1",
		"https://a.com/b?ac-discovery=1",
		"https://a.com?ac-discovery=1",
	]);
	t.strictSame(discoveryURLs("busybox", "http"), ["http://busybox?ac-discovery=1"]);
	t.end();
});

t.test("tags of a page", async (t) => {
	const page = `<!doctype html><HTML><head>
		<meta name="ac-discovery" content="example.com https://storage.example.com/{name}-{version}.{ext}?a=1&amp;b=2">
		<META CONTENT='example.com/x   https://b/{name}' NAME='ac-discovery' />
		<meta name="ac-discovery-pubkeys" content="example.com https://example.com/pubkeys.gpg">
		<meta name="ac-discovery" content="incomplete">
		<meta name="ac-discovery" content="too many words">
		<meta name="ac-discovery">
		<meta content="x y"><meta name="toString" content="a b"><meta name="viewport" content="a b">
		<!-- <meta name="ac-discovery" content="comment https://no"> -->
		<script>var a = '<meta name="ac-discovery" content="script https://no">';</script>
		</head><body><p><meta name="ac-discovery" content="body https://body/{name}">`;
	const expected = {
		images: [
			{ prefix: "example.com", template: "https://storage.example.com/{name}-{version}.{ext}?a=1&b=2" },
			{ prefix: "example.com/x", template: "https://b/{name}" },
			{ prefix: "body", template: "https://body/{name}" },
		],
		pubkeys: [{ prefix: "example.com", template: "https://example.com/pubkeys.gpg" }],
	};
	t.strictSame(await readDiscoveryTags(page, "x"), expected);
	const bytes = Buffer.from(page);
	const slowly = async function* () {
		for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7);
	};
	t.strictSame(await readDiscoveryTags(slowly(), "x"), expected);
	t.strictSame(await readDiscoveryTags("", "x"), { images: [], pubkeys: [] });
	t.strictSame(await readDiscoveryTags("\0\xff<<<meta <meta name='ac-discovery", "x"), {
		images: [],
		pubkeys: [],
	});
});

t.test("a page without end", async (t) => {
	let given = 0;
	const endless = async function* () {
		for (;;) {
			given += 65_536;
			yield Buffer.alloc(65_536, "<br>");
		}
	};
	await t.rejects(readDiscoveryTags(endless(), "https://a.com"), {
		code: "discovery-page-too-large",
		message: /^https:\/\/a.com/,
	});
	t.ok(given <= MAX_DISCOVERY_PAGE + 65_536);
	const start = cpuTime();
	await t.resolves(readDiscoveryTags('<meta name="ac-discovery" content="a b">'.repeat(100_000), "x"));
	await t.rejects(readDiscoveryTags("<b>".repeat(1_000_000), "x"), { message: /nested deeper than 512/ });
	await t.resolves(readDiscoveryTags("<b>".repeat(500) + "</i>".repeat(900_000), "x"));
	await t.resolves(readDiscoveryTags("<p>".repeat(1_000_000), "x"));
	await t.resolves(readDiscoveryTags(`<meta ${"a=".repeat(2_000_000)}`, "x"));
	t.ok(cpuTime() - start < 20_000);
});

t.test("prefixes cover whole components", (t) => {
	for (const [name, prefix, verdict] of [
		["example.com/foo", "example.com/foo", true],
		["example.com/foo/bar", "example.com/foo", true],
		["example.com/foo/bar", "example.com/foo/", true],
		["example.com/foobar", "example.com/foo", false],
		["example.com.evil.org/x", "example.com", false],
		["example.com", "example.com/foo", false],
		["example.com", "", false],
		["example.com", "/", false],
	] as const) {
		t.equal(hasNamePrefix(name, prefix), verdict, `${prefix} for ${name}`);
	}
	t.end();
});

t.test("templates", (t) => {
	const render = (template: string, image: string, prefix = "example.com"): string[] =>
		imageEndpoints([{ prefix, template }], parseImageName(image)).map((endpoint) => endpoint.image);
	const cases: [string, string, string[]][] = [
		[
			"https://s/{name}-{version}-{os}-{arch}.{ext}",
			"example.com/a:1.0,os=linux,arch=amd64",
			["https://s/example.com/a-1.0-linux-amd64.aci"],
		],
		["https://s/{name}-{version}.{ext}", "example.com/a", ["https://s/example.com/a-latest.aci"]],
		["https://s/{name}-{os}.{ext}", "example.com/a", []],
		["https://s/{channel}/{name}.{ext}", "example.com/a,channel=beta", ["https://s/beta/example.com/a.aci"]],
		["https://s/{}/{name}", "example.com/a", []],
		["https://s/{name", "example.com/a", []],
		["https://s/{{name}}", "example.com/a", []],
		["https://s/{toString}", "example.com/a", []],
		["https://s/fixed.aci", "example.com/a", ["https://s/fixed.aci"]],
		["https://s/{version}.{ext}", "example.com/a:1.0+git~5", ["https://s/1.0+git~5.aci"]],
		["https://s/{version}.{ext}", "example.com/a:{name}", ["https://s/%7Bname%7D.aci"]],
		[
			"https://s/{version}.{ext}",
			"example.com/a:x?y#z@w%2f é",
			["https://s/x%3Fy%23z%40w%252f%20%C3%A9.aci"],
		],
		["https://{version}.s/x", "example.com/a:evil.org/", ["https://evil.org/.s/x"]],
		["https://{version}@s/x", "example.com/a:1", []],
		["ftp://s/{name}", "example.com/a", []],
		["file:///etc/passwd", "example.com/a", []],
		["javascript:alert(1)", "example.com/a", []],
		["https://user:pass@s/{name}", "example.com/a", []],
		["https:\\\\s/{name}", "example.com/a", []],
		["//s/{name}", "example.com/a", []],
		["http://s/{name}", "example.com/a", ["http://s/example.com/a"]],
	];
	for (const [template, image, urls] of cases)
		t.strictSame(render(template, image), urls, `${template} ${image}`);
	t.strictSame(render("https://s/{name}", "example.com/foobar", "example.com/foo"), []);
	t.strictSame(
		imageEndpoints(
			[
				{ prefix: "a", template: "https://s/{name}.{ext}" },
				{ prefix: "a", template: "https://t/{ext}" },
			],
			parseImageName("a"),
		),
		[
			{ image: "https://s/a.aci", signature: "https://s/a.aci.asc" },
			{ image: "https://t/aci", signature: "https://t/aci.asc" },
		],
	);
	t.strictSame(
		pubkeyEndpoints(
			[
				{ prefix: "a.com", template: "https://a.com/k" },
				{ prefix: "a.com/b", template: "https://a.com/b/k" },
				{ prefix: "a.com", template: "gopher://a.com" },
				{ prefix: "a.com/bc", template: "https://no" },
			],
			"a.com/b",
		),
		["https://a.com/k", "https://a.com/b/k"],
	);
	t.end();
});

t.test("matching of names and labels", (t) => {
	const manifest = {
		name: "a.com/b",
		labels: [
			{ name: "version", value: "1" },
			{ name: "os", value: "linux" },
		],
	};
	for (const [image, verdict] of [
		["a.com/b", true],
		["a.com/b:1", true],
		["a.com/b:1,os=linux", true],
		["a.com/b:2", false],
		["a.com/b,arch=amd64", false],
		["a.com/bc", false],
	] as const) {
		const { name, labels } = parseImageName(image);
		t.equal(matchesImage(manifest, name, labels), verdict, image);
	}
	t.strictSame(missingLabels(manifest, parseImageName("x:1,os=x,arch=y").labels), [
		{ name: "os", value: "x" },
		{ name: "arch", value: "y" },
	]);
	t.equal(displayName(manifest), "a.com/b:1");
	t.equal(displayName({ name: "x", labels: [] }), "x");
	t.end();
});
