import t from "tap";
import { type ConvertibleImage, imageManifestOf } from "../../appc/oci/convert.ts";
import { parseOciImageConfig } from "../../appc/oci/image-config.ts";
import { isDockerImage, otherEnvironment } from "../../appc/oci/oci-annotations.ts";
import { signalNumber } from "../../appc/oci/stop-signal.ts";
import type { ImageManifest } from "../../appc/schema/image-manifest.ts";
import { parseImageManifest } from "../../appc/schema/image-manifest.ts";
import { serializeManifest } from "../../appc/schema/serialize.ts";
import { hostLabels } from "../../appc/types/labels.ts";

const DIGEST = `sha256:${"ab".repeat(32)}`;
const LAYERS = [`sha256:${"01".repeat(32)}`, `sha256:${"02".repeat(32)}`];

interface Options {
	readonly config?: Record<string, unknown> | null;
	readonly file?: Record<string, unknown>;
	readonly reference?: ConvertibleImage["reference"];
	readonly warn?: (line: string) => void;
}

/** Through the reader of configurations, as every image comes. */
function convert({ config = {}, file = {}, warn, ...rest }: Options): ImageManifest {
	const text = JSON.stringify({
		...{ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: LAYERS } },
		...(config === null ? {} : { config }),
		...file,
	});
	const reference =
		"reference" in rest ? rest.reference : { registry: "example.com", repository: "app", tag: "1" };
	return imageManifestOf(
		{
			...{ source: "docker://example.com/app:1", manifestDigest: DIGEST, configDigest: DIGEST },
			...{ reference, config: parseOciImageConfig(text, "the configuration") },
		},
		warn,
	);
}

const app = (config: Record<string, unknown>) => {
	const { app: section } = convert({ config });
	if (section === undefined) throw new Error("no app section");
	return section;
};
const annotation = (manifest: ImageManifest, name: string) =>
	manifest.annotations.find((entry) => entry.name === name)?.value;

t.test("a whole image", (t) => {
	const manifest = convert({
		file: { created: "2024-01-02T03:04:05.123456789Z", author: "A <a@b>", comment: "made" },
		config: {
			...{ User: "web", WorkingDir: "/srv", Entrypoint: ["/entry"], Cmd: ["serve", "a\nb"] },
			...{ Env: ["PATH=/opt/bin", "A=1=2", "PATH=/bin"], Labels: { "org.x/y": "l\nm" } },
			...{ ExposedPorts: { "80/tcp": {} }, Volumes: { "/data": {} }, StopSignal: "SIGQUIT" },
			...{ Healthcheck: { Test: ["CMD", "true"], Interval: 5 }, Shell: ["/bin/bash"], OnBuild: ["RUN x"] },
			...{ Hostname: "ignored", Tty: true, Memory: 5 },
		},
	});
	const json = JSON.parse(serializeManifest(manifest));
	t.strictSame(json, {
		acKind: "ImageManifest",
		acVersion: "0.8.11",
		name: "example.com/app",
		labels: [
			{ name: "version", value: "1" },
			{ name: "os", value: "linux" },
			{ name: "arch", value: "amd64" },
		],
		app: {
			exec: ["/entry", "serve", "a\nb"],
			user: "web",
			group: "web",
			workingDirectory: "/srv",
			environment: [
				{ name: "PATH", value: "/bin" },
				{ name: "A", value: "1=2" },
			],
			mountPoints: [{ name: "volume-data", path: "/data" }],
			ports: [{ name: "80-tcp", protocol: "tcp", port: 80, count: 1, socketActivated: false }],
			userLabels: { "org.x/y": "l\nm" },
		},
		annotations: [
			{ name: "created", value: "2024-01-02T03:04:05.123456789Z" },
			{ name: "authors", value: "A <a@b>" },
			{ name: "docker-comment", value: "made" },
			{ name: "appc.io/docker/originalname", value: "example.com/app:1" },
			{ name: "appc.io/docker/registryurl", value: "example.com" },
			{ name: "appc.io/docker/repository", value: "app" },
			{ name: "appc.io/docker/imageid", value: DIGEST },
			{ name: "appc.io/docker/tag", value: "1" },
			{ name: "appc.io/docker/manifesthash", value: DIGEST },
			{ name: "appc.io/docker/entrypoint", value: '["/entry"]' },
			{ name: "appc.io/docker/cmd", value: '["serve","a\\nb"]' },
			{ name: "rkt.io/oci/user", value: "web" },
			{ name: "rkt.io/oci/stopsignal", value: "SIGQUIT" },
			{ name: "rkt.io/oci/healthcheck", value: '{"Test":["CMD","true"],"Interval":5}' },
			{ name: "rkt.io/oci/shell", value: '["/bin/bash"]' },
			{ name: "rkt.io/oci/onbuild", value: '["RUN x"]' },
			{ name: "rkt.io/oci/diffids", value: LAYERS.join(",") },
		],
	});
	t.ok(isDockerImage(manifest));
	const text = serializeManifest(manifest);
	t.equal(serializeManifest(parseImageManifest(text, "it")), text, "the text reads back as itself");
	t.end();
});

t.test("the order of names in sets does not matter", (t) => {
	const text = (ports: string[], volumes: string[], labels: string[]) => {
		const set = (names: string[]) => Object.fromEntries(names.map((name) => [name, {}]));
		const values = Object.fromEntries(labels.map((name) => [name, "v"]));
		return serializeManifest(
			convert({ config: { ExposedPorts: set(ports), Volumes: set(volumes), Labels: values } }),
		);
	};
	t.equal(
		text(["80/tcp", "53/udp", "443"], ["/b", "/a"], ["x", "y"]),
		text(["443", "53/udp", "80/tcp"], ["/a", "/b"], ["y", "x"]),
	);
	t.end();
});

t.test("names and labels", (t) => {
	const name = (registry: string, repository: string) =>
		convert({ reference: { registry, repository } }).name;
	t.equal(name("registry-1.docker.io", "library/busybox"), "registry-1.docker.io/library/busybox");
	t.equal(name("localhost:5000", "a__b/c"), "localhost_5000/a__b/c");
	const byDigest = convert({ reference: { registry: "r.io", repository: "x", digest: DIGEST } });
	t.equal(
		byDigest.labels.find((label) => label.name === "version"),
		undefined,
	);
	t.equal(annotation(byDigest, "appc.io/docker/originalname"), `r.io/x@${DIGEST}`);
	const unnamed = convert({ reference: undefined });
	t.equal(unnamed.name, "localhost/image-abababababab");
	t.ok(isDockerImage(unnamed), "is one all the same");
	t.throws(() => convert({ reference: { registry: "r", repository: "x", tag: "a\nb" } }), {
		code: "oci-invalid",
	});
	t.equal(convert({ config: null }).app, undefined, "no app section without a config");
	t.strictSame(app({}).exec, []);
	t.end();
});

t.test("platforms", (t) => {
	const labels = (file: Record<string, unknown>) =>
		convert({ file })
			.labels.slice(1)
			.map(({ value }) => value)
			.join(" ");
	t.equal(labels({ architecture: "386" }), "linux i386");
	t.equal(labels({ architecture: "arm64", variant: "v8" }), "linux aarch64 v8");
	t.equal(labels({ architecture: "arm" }), "linux armv6l");
	t.equal(labels({ architecture: "arm", variant: "v7" }), "linux armv7l v7");
	t.equal(labels({ architecture: "ppc64le" }), "linux ppc64le");
	t.equal(labels({ os: "darwin" }), "darwin x86_64");
	t.equal(labels({ os: "", architecture: "" }), `${hostLabels().os} ${hostLabels().arch}`);
	for (const file of [
		{ os: "windows" },
		{ architecture: "riscv64" },
		{ architecture: "constructor" },
		{ architecture: "arm", variant: "v9" },
		{ variant: "v1\n" },
		{ os: "linux\n" },
	]) {
		t.throws(() => labels(file), { code: "image-not-runnable" }, JSON.stringify(file));
	}
	t.end();
});

t.test("users", (t) => {
	const ids = (User: string) => [app({ User }).user, app({ User }).group];
	t.strictSame(ids(""), ["0", "0"]);
	t.strictSame(ids("web"), ["web", "web"]);
	t.strictSame(ids("web:"), ["web", "web"]);
	t.strictSame(ids("web:www"), ["web", "www"]);
	t.strictSame(ids("1000"), ["1000", "1000"]);
	t.strictSame(ids("007:010"), ["7", "10"]);
	t.strictSame(ids("4294967294:+5"), ["4294967294", "5"]);
	t.strictSame(ids(":www"), ["0", "www"]);
	for (const User of [
		"4294967295",
		"99999999999",
		"0:4294967296",
		"-1",
		"a:b:c",
		"/etc/passwd",
		"a b",
		"a\n",
	]) {
		t.throws(() => app({ User }), { code: "oci-invalid", message: /config\.User/ }, User);
	}
	t.end();
});

t.test("commands", (t) => {
	t.strictSame(app({ Entrypoint: [""], Cmd: ["x"] }).exec, ["x"], "docker's way to take an entrypoint away");
	t.strictSame(app({ Entrypoint: null, Cmd: null }).exec, []);
	t.strictSame(app({ Cmd: ["a", ""] }).exec, ["a", ""]);
	t.throws(() => app({ Cmd: ["a\0b"] }), { code: "oci-invalid", message: /NUL/ });
	t.throws(() => app({ Cmd: "a b" }), { code: "oci-invalid", message: /list/ });
	t.throws(() => app({ Cmd: ["x".repeat(131_072)] }), { code: "oci-invalid", message: /131073 bytes/ });
	t.throws(() => app({ Env: Array(40_000).fill(`A=${"x".repeat(50)}`) }), {
		code: "oci-invalid",
		message: /more than a program can get/,
	});
	t.end();
});

t.test("environment", (t) => {
	const variables = (Env: string[]) => app({ Env }).environment.map(({ name, value }) => `${name}=${value}`);
	t.strictSame(variables(["A=1", "B=2", "A=3"]), ["A=3", "B=2"]);
	t.strictSame(variables(["A=1", "A"]), [], "a name alone takes the variable away");
	t.strictSame(variables(["A.b-c=", "KEY=-----\nline\n"]), ["A.b-c=", "KEY=-----\nline\n"]);
	const odd = convert({ config: { Env: ["1A=x", "A=y", "npm_config_//r/=t=u", "A B=z"] } });
	t.strictSame(odd.app?.environment, [{ name: "A", value: "y" }]);
	t.strictSame(otherEnvironment(odd), [
		["1A", "x"],
		["npm_config_//r/", "t=u"],
		["A B", "z"],
	]);
	for (const Env of [["=x"], [""], ["A=\0"]]) {
		t.throws(() => app({ Env }), { code: "oci-invalid" }, JSON.stringify(Env));
	}
	for (const value of ["{}", '["x"]', "[1]", '["=x"]']) {
		const annotations = [{ name: "rkt.io/oci/environment", value }];
		t.throws(() => otherEnvironment({ annotations }), { code: "oci-invalid" }, value);
	}
	t.throws(() => otherEnvironment({ annotations: [{ name: "rkt.io/oci/environment", value: "[" }] }), {
		code: "json-invalid",
	});
	t.end();
});

t.test("working directories", (t) => {
	t.equal(app({}).workingDirectory, undefined);
	t.equal(app({ WorkingDir: "srv/../opt/" }).workingDirectory, "/opt");
	t.equal(app({ WorkingDir: "/../.." }).workingDirectory, "/");
	t.throws(() => app({ WorkingDir: "/a\nb" }), { code: "oci-invalid", message: /WorkingDir/ });
	t.end();
});

t.test("ports", (t) => {
	const ports = (...names: string[]) =>
		app({ ExposedPorts: Object.fromEntries(names.map((name) => [name, {}])) }).ports.map(
			({ name, protocol, port, count }) => `${name} ${port}+${count}/${protocol}`,
		);
	t.strictSame(ports("80", "53/UDP", "8000-8010/tcp", "9/sctp"), [
		"53-udp 53+1/udp",
		"80 80+1/tcp",
		"8000-8010-tcp 8000+11/tcp",
		"9-sctp 9+1/sctp",
	]);
	t.strictSame(ports("80", "80/tcp", "80/TCP"), ["80-tcp 80+1/tcp"]);
	for (const name of ["", "0", "65536", "80/", "80/x", "9-8", "80-70000", "80/tcp\n", "-1", "80 "]) {
		t.throws(() => ports(name), { code: "oci-invalid", message: /ExposedPorts/ }, JSON.stringify(name));
	}
	t.throws(() => ports(...Array.from({ length: 4097 }, (_, index) => String(index + 1))), {
		message: /4097 entries/,
	});
	t.throws(() => app({ ExposedPorts: ["80"] }), { code: "oci-invalid" });
	t.end();
});

t.test("volumes", (t) => {
	const points = (...paths: string[]) =>
		app({ Volumes: Object.fromEntries(paths.map((path) => [path, {}])) }).mountPoints.map(
			({ name, path }) => `${name} ${path}`,
		);
	t.strictSame(points("/var/lib/x/", "data", "/var/lib/x"), [
		"volume-data /data",
		"volume-var-lib-x /var/lib/x",
	]);
	t.strictSame(points("/a.b", "/a-b", "/a/b", "/a"), [
		"volume-a /a",
		"volume-a-b /a-b",
		"volume-a-b-1 /a.b",
		"volume-a-b-2 /a/b",
	]);
	t.strictSame(points("/Ünï"), ["volume--n /Ünï"]);
	for (const path of ["/", "", "/..", "/a\nb", "/a\0"]) {
		t.throws(() => points(path), { code: "oci-invalid" }, JSON.stringify(path));
	}
	t.throws(() => points(...Array.from({ length: 1025 }, (_, index) => `/${index}`)), {
		message: /1025 entries/,
	});
	t.end();
});

t.test("signals", (t) => {
	const numbers = { SIGTERM: 15, quit: 3, "9": 9, SIGRTMIN: 34, "RTMIN+3": 37, "SIGRTMAX-1": 63, WINCH: 28 };
	for (const [text, number] of Object.entries(numbers)) t.equal(signalNumber(text), number, text);
	t.equal(annotation(convert({ config: { StopSignal: "sigint" } }), "rkt.io/oci/stopsignal"), "SIGINT");
	t.equal(annotation(convert({ config: { StopSignal: "" } }), "rkt.io/oci/stopsignal"), undefined);
	for (const StopSignal of ["0", "65", "SIGNONE", "RTMIN+31", "RTMIN-1", "TERM\n", "toString", "+9", " 9"]) {
		t.equal(signalNumber(StopSignal), undefined);
		t.throws(() => app({ StopSignal }), { code: "oci-invalid", message: /StopSignal/ }, StopSignal);
	}
	t.end();
});

t.test("what cannot be kept as it stands is told", (t) => {
	const lines: string[] = [];
	const manifest = convert({ file: { created: "yesterday\u001b[2J" }, warn: (line) => lines.push(line) });
	t.equal(annotation(manifest, "created"), undefined);
	t.match(lines, [/"created" is no date: "yesterday\\u/]);
	const labels = Object.fromEntries(
		Array.from({ length: 100_000 }, (_, index) => [`label${index}`, "<<<<<"]),
	);
	t.throws(() => app({ Labels: labels }), { code: "oci-invalid", message: /too large/ });
	t.end();
});
