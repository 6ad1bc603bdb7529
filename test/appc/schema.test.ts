import t from "tap";
import { emptyApp } from "../../appc/schema/app.ts";
import { readIsolators } from "../../appc/schema/app-isolators.ts";
import { dockerRepository, parseImageManifest, supportsNotify } from "../../appc/schema/image-manifest.ts";
import { checkIsolator, isolatorValues } from "../../appc/schema/isolators.ts";
import { parsePodManifest } from "../../appc/schema/pod-manifest.ts";
import { goJson, serializeManifest } from "../../appc/schema/serialize.ts";
import { messageOf } from "../../lib/errors.ts";
import { cpuTime } from "../support/cpu-time.ts";

type Json = Record<string, unknown>;

const IMAGE: Json = { acKind: "ImageManifest", acVersion: "0.8.11", name: "example.com/app" };
const APP: Json = { exec: ["/bin/app"], user: "0", group: "0" };
const POD: Json = { acVersion: "1.30.0", acKind: "PodManifest", apps: [] };
const RUNTIME: Json = { name: "app", image: { id: `sha512-${"0".repeat(128)}` } };

const image = (more: Json): string => JSON.stringify({ ...IMAGE, ...more });
const app = (more: Json): string => image({ app: { ...APP, ...more } });
const isolators = (...list: [string, unknown][]): string =>
	app({ isolators: list.map(([name, value]) => ({ name, value })) });
const pod = (more: Json): string => JSON.stringify({ ...POD, ...more });
const runtime = (more: Json): string => pod({ apps: [{ ...RUNTIME, ...more }] });
const volume = (more: Json): string => pod({ volumes: [{ name: "v", ...more }] });
const named = (name: string, value: string) => ({ name, value });

/** Everything of the specification's image manifest in one document, in Go's order. */
const FULL_IMAGE = {
	acKind: "ImageManifest",
	acVersion: "0.8.11",
	name: "example.com/reduce-worker",
	labels: [named("version", "1.0.0"), named("arch", "amd64"), named("os", "linux")],
	app: {
		exec: ["/usr/bin/reduce-worker", "--quiet"],
		eventHandlers: [
			{ name: "pre-start", exec: ["/usr/bin/data-downloader"] },
			{ name: "post-stop", exec: ["/usr/bin/deregister-worker", "--verbose"] },
		],
		user: "100",
		group: "300",
		supplementaryGIDs: [400, 500],
		workingDirectory: "/opt/work",
		environment: [named("REDUCE_WORKER_DEBUG", "true"), named("X.Y-z", "a\nb")],
		mountPoints: [
			{ name: "work", path: "/var/lib/work", readOnly: true },
			{ name: "tmp", path: "/tmp" },
		],
		ports: [{ name: "health", protocol: "tcp", port: 4000, count: 1, socketActivated: true }],
		isolators: [
			{ name: "resource/cpu", value: { request: "250m", limit: "500m" } },
			{ name: "resource/memory", value: { request: "1G", limit: "2G" } },
			{ name: "os/linux/capabilities-retain-set", value: { set: ["CAP_NET_BIND_SERVICE", "CAP_SYS_ADMIN"] } },
		],
		userAnnotations: { "a b": "c" },
		userLabels: { x: "y" },
	},
	annotations: [
		named("authors", "Carly Container <carly@example.com>"),
		named("created", "2014-10-27T19:32:27.67021798Z"),
		named("documentation", "https://example.com/docs"),
		named("homepage", "https://example.com"),
		named("appc.io/executor/supports-systemd-notify", "true"),
	],
	dependencies: [
		{
			imageName: "example.com/reduce-worker-base",
			imageID: `sha512-${"ab".repeat(64)}`,
			labels: [named("os", "linux"), named("env", "canary")],
			size: 22017258,
		},
	],
	pathWhitelist: ["/etc/ca/example.com/crt", "/usr/bin/map-reduce-worker"],
};

const FULL_POD = {
	acVersion: "0.8.11",
	acKind: "PodManifest",
	apps: [
		{
			name: "reduce-worker",
			image: {
				name: "example.com/reduce-worker",
				id: `sha512-${"cd".repeat(64)}`,
				labels: [named("version", "1.0.0")],
			},
			app: { exec: ["/bin/reduce-worker"], user: "0", group: "0" },
			readOnlyRootFS: true,
			mounts: [
				{ volume: "worklib", path: "/var/lib/work" },
				{
					volume: "own",
					path: "/own",
					appVolume: { name: "own", kind: "empty", mode: "0700", uid: 1, gid: 0 },
				},
			],
			annotations: [named("foo", "baz")],
		},
		{ name: "backup", image: { id: `sha512-${"ef".repeat(64)}` } },
	],
	volumes: [
		{
			name: "worklib",
			kind: "host",
			source: "/opt/tenant1/work",
			readOnly: false,
			recursive: true,
			suid: true,
		},
		{ name: "scratch", kind: "empty" },
	],
	isolators: [
		{ name: "resource/memory", value: { limit: "4G" } },
		{ name: "unknown/isolator", value: { Any: 1 } },
	],
	annotations: [named("ip-address", "10.1.2.3")],
	ports: [
		{ name: "ftp", hostPort: 2121 },
		{
			name: "web",
			hostPort: 80,
			hostIP: "::1",
			podPort: { name: "web", protocol: "tcp", port: 8080, count: 1, socketActivated: false },
		},
	],
	userAnnotations: { a: "b" },
	userLabels: { c: "d" },
};

t.test("complete manifests come out as they went in", (t) => {
	t.equal(serializeManifest(parseImageManifest(JSON.stringify(FULL_IMAGE), "x")), goJson(FULL_IMAGE));
	t.equal(serializeManifest(parsePodManifest(JSON.stringify(FULL_POD), "x")), JSON.stringify(FULL_POD));
	t.equal(
		serializeManifest(parsePodManifest(pod({}), "x")),
		'{"acVersion":"1.30.0","acKind":"PodManifest","apps":[],"volumes":null,"isolators":null,"annotations":null,"ports":null}',
	);
	t.equal(
		serializeManifest(parseImageManifest(image({}), "x"), "\t").split("\n")[1],
		'\t"acKind": "ImageManifest",',
	);
	t.equal(goJson({ a: "<&>\u2028" }), '{"a":"\\u003c\\u0026\\u003e\\u2028"}');
	t.end();
});

t.test("accepted as Go's decoder does", (t) => {
	const good: [string, string][] = [
		[
			"another case of member names",
			'{"ACKIND":"ImageManifest","acversion":"1.0.0","Name":"a","LABELS":[{"NAME":"x","Value":"y"}]}',
		],
		[
			"null as absent",
			image({ labels: null, app: null, annotations: null, dependencies: null, pathWhitelist: null }),
		],
		[
			"null members of an app",
			app({ exec: null, environment: null, isolators: null, workingDirectory: null }),
		],
		["unknown members", image({ future: { a: [1] }, app: { ...APP, recursive: 1 } })],
		["an empty exec", app({ exec: [] })],
		["supplementaryGids", app({ supplementaryGids: [1], supplementaryGIDs: undefined })],
		["a lenient identifier", image({ name: "example.com/a--b_c~d" })],
		["arch without os", image({ labels: [named("arch", "pdp11")] })],
		["an empty label", image({ labels: [{ name: "x" }] })],
		["an isolator value in another case", isolators(["resource/memory", { LIMIT: "1G" }])],
		[
			"several capability sets",
			isolators(
				["os/linux/capabilities-retain-set", { set: ["CAP_KILL"] }],
				["os/linux/capabilities-retain-set", { set: ["CAP_CHOWN"] }],
			),
		],
		[
			"two memory isolators",
			isolators(["resource/memory", { limit: "1G" }], ["resource/memory", { limit: "2G" }]),
		],
		["a quantity as number", isolators(["resource/cpu", { limit: 2 }])],
		["default false", isolators(["resource/cpu", { default: false, limit: "1" }])],
		["an io limit", isolators(["resource/block-iops", { default: true, limit: "1M" }])],
		["an AppArmor profile", isolators(["os/linux/apparmor-profile", { profile: "docker-default" }])],
		["a process limit", isolators(["resource/pids", { limit: "100" }])],
		[
			"sysctls",
			isolators([
				"os/unix/sysctl",
				{ "net.ipv4.tcp_mtu_probing": "1", "net.ipv4.ping_group_range": "0\t10" },
			]),
		],
		["a port range to the end", app({ ports: [{ name: "p", protocol: "udp", port: 65000, count: 536 }] })],
		["unknown annotations", image({ annotations: [named("x.y/z", "anything\n")] })],
		["a prototype name as label", image({ app: { ...APP, userLabels: { constructor: "x" } } })],
	];
	for (const [name, text] of good) t.doesNotThrow(() => parseImageManifest(text, "x"), name);
	const goodPods: [string, string][] = [
		["a short image ID", runtime({ image: { id: "sha512-AB" } })],
		["an unknown isolator of the pod", pod({ isolators: [{ name: "x" }] })],
		["two apps of one image", pod({ apps: [RUNTIME, { ...RUNTIME, name: "b" }] })],
		["host port 0", pod({ ports: [{ name: "p", hostPort: 0 }] })],
	];
	for (const [name, text] of goodPods) t.doesNotThrow(() => parsePodManifest(text, "x"), name);
	t.end();
});

const BAD_IMAGES: [string, string][] = [
	["[]", "the document [] must be an object"],
	["null", "the document null must be an object"],
	['"x"', "must be an object"],
	[image({ acKind: "PodManifest" }), 'acKind "PodManifest" must be "ImageManifest"'],
	[image({ acKind: undefined }), "acKind is missing"],
	[image({ acVersion: "0.0.0" }), 'acVersion "0.0.0" must be a semantic version'],
	[image({ acVersion: "v1" }), "acVersion"],
	[image({ acVersion: 1 }), "acVersion 1 must be a string"],
	[image({ name: undefined }), "name is missing"],
	[image({ name: "" }), 'name "" must be an AC identifier'],
	[image({ name: "Example.com" }), 'name "Example.com" must be'],
	[image({ name: "a/../../etc" }), "name"],
	[image({ labels: {} }), "labels {} must be a list"],
	[image({ labels: [null] }), "labels[0] null must be an object"],
	[image({ labels: [{ value: "x" }] }), "labels[0].name is missing"],
	[image({ labels: [named("name", "x")] }), 'labels[0].name "name" is not allowed'],
	[image({ labels: [named("X", "x")] }), 'labels[0].name "X"'],
	[image({ labels: [named("a", "1"), named("a", "2")] }), 'labels[1].name "a" is the name of two labels'],
	[image({ labels: [named("os", "plan9")] }), "labels"],
	[image({ labels: [named("os", "linux"), named("arch", "x86")] }), '"x86", allowed with os linux are amd64'],
	[image({ labels: [{ name: "a", value: 1 }] }), "labels[0].value 1 must be a string"],
	[image({ app: [] }), "app [] must be an object"],
	[image({ app: {} }), "app.user is missing"],
	[app({ user: "" }), 'app.user "" may not be empty'],
	[app({ group: undefined }), "app.group is missing"],
	[app({ user: "a\0b" }), "app.user"],
	[app({ exec: "/bin/sh" }), 'app.exec "/bin/sh" must be a list'],
	[app({ exec: ["a\0b"] }), "app.exec[0]"],
	[app({ exec: [1] }), "app.exec[0] 1 must be a string"],
	[app({ supplementaryGIDs: [-1] }), "app.supplementaryGIDs[0] -1 must be a whole number from 0"],
	[app({ supplementaryGIDs: [4294967295] }), "app.supplementaryGIDs[0]"],
	[app({ supplementaryGIDs: [1.5] }), "app.supplementaryGIDs[0] 1.5 must be a whole number"],
	[app({ supplementaryGIDs: ["1"] }), "app.supplementaryGIDs[0]"],
	[
		app({ eventHandlers: [{ name: "pre-stop", exec: [] }] }),
		'app.eventHandlers[0].name "pre-stop" must be "pre-start" or "post-stop"',
	],
	[
		app({ eventHandlers: [1, 2].map(() => ({ name: "pre-start", exec: ["a"] })) }),
		"app.eventHandlers[1].name",
	],
	[app({ workingDirectory: "tmp" }), 'app.workingDirectory "tmp" must be an absolute path'],
	[app({ environment: [named("A", "1"), named("A", "2")] }), "app.environment[1].name"],
	[app({ environment: [named("1A", "1")] }), "app.environment[0].name"],
	[app({ environment: [named("A=B", "1")] }), "app.environment[0].name"],
	[app({ environment: [named("A", "x\0y")] }), "app.environment[0].value"],
	[app({ mountPoints: [{ name: "A", path: "/a" }] }), "app.mountPoints[0].name"],
	[app({ mountPoints: [{ name: "a" }] }), "app.mountPoints[0].path is missing"],
	[app({ mountPoints: [{ name: "a", path: "" }] }), "app.mountPoints[0].path"],
	[
		app({ mountPoints: [{ name: "a", path: "/a", readOnly: "yes" }] }),
		'readOnly "yes" must be true or false',
	],
	[app({ ports: [{ name: "a b", protocol: "tcp", port: 1 }] }), 'app.ports[0].name "a b" must be an AC name'],
	[
		app({ ports: [{ name: "a", protocol: "tcp", port: 0 }] }),
		"app.ports[0].port 0 must be a whole number from 1 to 65535",
	],
	[app({ ports: [{ name: "a", protocol: "tcp", port: 65536 }] }), "app.ports[0].port"],
	[
		app({ ports: [{ name: "a", protocol: "tcp", port: 65535, count: 2 }] }),
		"app.ports[0].count 2 is too large",
	],
	[app({ ports: [{ name: "a", protocol: "tcp", port: 1, count: 0 }] }), "app.ports[0].count"],
	[app({ ports: [{ name: "a", protocol: "tcp\nX=", port: 1 }] }), "app.ports[0].protocol"],
	[app({ ports: [{ name: "a", port: 1 }] }), "app.ports[0].protocol is missing"],
	[app({ userLabels: { a: 1 } }), "app.userLabels.a 1 must be a string"],
	[app({ userAnnotations: [] }), "app.userAnnotations"],
	[
		image({ annotations: [named("created", "yesterday")] }),
		'annotations[0].value "yesterday" must be a date',
	],
	[image({ annotations: [named("homepage", "ftp://x")] }), "annotations[0].value"],
	[image({ annotations: [named("documentation", "javascript:1")] }), "annotations[0].value"],
	[
		image({ annotations: [named("appc.io/executor/supports-systemd-notify", "yes")] }),
		"annotations[0].value",
	],
	[image({ annotations: [named("a", "1"), named("a", "1")] }), "annotations[1].name"],
	[image({ dependencies: [{}] }), "dependencies[0].imageName is missing"],
	[image({ dependencies: [{ imageName: "a", imageID: "sha256-ab" }] }), "dependencies[0].imageID"],
	[image({ dependencies: [{ imageName: "a", imageID: "sha512-" }] }), "dependencies[0].imageID"],
	[image({ dependencies: [{ imageName: "a", imageID: "sha512-../../../x" }] }), "dependencies[0].imageID"],
	[image({ dependencies: [{ imageName: "a", size: -1 }] }), "dependencies[0].size"],
	[image({ dependencies: [{ imageName: "a", labels: [named("os", "x")] }] }), "dependencies[0].labels"],
	[image({ pathWhitelist: ["etc/passwd"] }), "pathWhitelist[0]"],
	[
		'{"acKind":"ImageManifest","AcKind":"ImageManifest","acVersion":"1.0.0","name":"a"}',
		"acKind stands twice",
	],
	[
		`{"acKind":"ImageManifest","acVersion":"1.0.0","name":"a","app":{"user":"0","USER":"1","group":"0"}}`,
		"app.user stands twice",
	],
];

const BAD_ISOLATORS: [[string, unknown][], string][] = [
	[[["unknown/isolator", 1]], 'app.isolators[0].name "unknown/isolator" is not a known isolator'],
	[[["constructor", 1]], "is not a known isolator"],
	[[["resource/memory", undefined]], "app.isolators[0].value is missing"],
	[[["resource/memory", "1G"]], 'app.isolators[0].value "1G" must be an object'],
	[[["resource/memory", { limit: "1Q" }]], 'app.isolators[0].value.limit "1Q" must be a quantity'],
	[[["resource/memory", { limit: "-1" }]], "may not be negative"],
	[[["resource/memory", { default: true, limit: "1" }]], "app.isolators[0].value.default true must be false"],
	[[["resource/cpu", { limit: "1", LIMIT: "2" }]], "stands twice"],
	[[["resource/block-bandwidth", { limit: "1" }]], "app.isolators[0].value.default is missing"],
	[[["resource/network-bandwidth", { default: true, request: "1" }]], "app.isolators[0].value.request"],
	[[["resource/pids", { limit: "0" }]], "must be at least 1"],
	[[["resource/pids", {}]], "app.isolators[0].value.limit is missing"],
	[[["os/linux/cpu-shares", 1]], "must be a whole number from 2 to 262144"],
	[[["os/linux/cpu-shares", 262145]], "app.isolators[0].value"],
	[
		[
			["os/linux/cpu-shares", 2],
			["os/linux/cpu-shares", 3],
		],
		"app.isolators[1].name",
	],
	[[["os/linux/oom-score-adj", -1001]], "from -1000 to 1000"],
	[[["os/linux/oom-score-adj", "1"]], "app.isolators[0].value"],
	[[["os/linux/capabilities-retain-set", { set: [] }]], "may not be empty"],
	[[["os/linux/capabilities-retain-set", {}]], "app.isolators[0].value.set is missing"],
	[[["os/linux/capabilities-remove-set", { set: ["NET_ADMIN"] }]], "app.isolators[0].value.set[0]"],
	[[["os/linux/capabilities-remove-set", { set: ["CAP_KILL\nUser=root"] }]], "app.isolators[0].value.set[0]"],
	[[["os/linux/seccomp-retain-set", { set: [] }]], "may not be empty"],
	[[["os/linux/seccomp-retain-set", { set: ["Open"] }]], "app.isolators[0].value.set[0]"],
	[[["os/linux/seccomp-retain-set", { set: ["@x"] }]], "app.isolators[0].value.set[0]"],
	[[["os/linux/seccomp-remove-set", { set: ["reboot"], errno: "perm" }]], "app.isolators[0].value.errno"],
	[
		[
			["os/linux/seccomp-remove-set", { set: ["a"] }],
			["os/linux/seccomp-retain-set", { set: ["b"] }],
		],
		"excludes",
	],
	[
		[
			["os/linux/seccomp-remove-set", { set: ["a"] }],
			["os/linux/seccomp-remove-set", { set: ["b"] }],
		],
		"only once",
	],
	[[["os/linux/no-new-privileges", "true"]], "must be true or false"],
	[[["os/linux/selinux-context", { user: "a:b", role: "r", type: "t", level: "l" }]], "value.user"],
	[[["os/linux/selinux-context", { user: "a", role: "r", type: "t", level: "" }]], "value.level"],
	[[["os/linux/apparmor-profile", { profile: "a b" }]], "value.profile"],
	[[["os/unix/sysctl", { "a b": "1" }]], "app.isolators[0].value"],
	[[["os/unix/sysctl", { a: "1\nkernel.core_pattern=|/x" }]], "app.isolators[0].value.a"],
	[[["os/unix/sysctl", { a: 1 }]], "app.isolators[0].value.a"],
	[[["os/unix/rlimits", { NOFILE: { hard: 1 } }]], "app.isolators[0].value"],
	[[["os/unix/rlimits", { RLIMIT_NOFILE: { soft: 2, hard: 1 } }]], "app.isolators[0].value.RLIMIT_NOFILE"],
	[[["os/unix/rlimits", { RLIMIT_NOFILE: { soft: "unlimited", hard: 1 } }]], "value.RLIMIT_NOFILE"],
	[[["os/unix/rlimits", { RLIMIT_NOFILE: { soft: 1 } }]], "value.RLIMIT_NOFILE.hard"],
	[[["os/unix/rlimits", { RLIMIT_NOFILE: { hard: -1 } }]], "value.RLIMIT_NOFILE.hard"],
];

const BAD_PODS: [string, string][] = [
	[pod({ acKind: "ImageManifest" }), "acKind"],
	[pod({ apps: [RUNTIME, RUNTIME] }), 'apps[1].name "app" is the name of two apps'],
	[runtime({ name: "App" }), "apps[0].name"],
	[runtime({ name: "../x" }), "apps[0].name"],
	[runtime({ image: {} }), "apps[0].image.id is missing"],
	[runtime({ image: undefined }), "apps[0].image is missing"],
	[runtime({ image: { id: "sha512-zz" } }), "apps[0].image.id"],
	[runtime({ image: { id: "sha512-ab", name: "A" } }), "apps[0].image.name"],
	[runtime({ app: { user: "0" } }), "apps[0].app.group is missing"],
	[runtime({ app: { ...APP, isolators: [{ name: "x" }] } }), "apps[0].app.isolators[0].name"],
	[runtime({ mounts: [{ volume: "V", path: "/" }] }), "apps[0].mounts[0].volume"],
	[runtime({ mounts: [{ volume: "v" }] }), "apps[0].mounts[0].path is missing"],
	[runtime({ mounts: [{ volume: "v", path: "/x", appVolume: { name: "v", kind: "x" } }] }), "appVolume.kind"],
	[runtime({ readOnlyRootFS: 1 }), "apps[0].readOnlyRootFS"],
	[volume({ kind: "nfs" }), 'volumes[0].kind "nfs" must be "host" or "empty"'],
	[volume({ kind: "host" }), "volumes[0].source is missing"],
	[volume({ kind: "host", source: "tmp" }), 'volumes[0].source "tmp" must be an absolute path'],
	[volume({ kind: "host", source: "/a\0" }), "volumes[0].source"],
	[volume({ kind: "host", source: "/", mode: "0755" }), 'volumes[0].mode "0755" is not allowed'],
	[volume({ kind: "host", source: "/", uid: 0 }), "volumes[0].uid 0 is not allowed"],
	[volume({ kind: "host", source: "/", gid: 0 }), "volumes[0].gid"],
	[volume({ kind: "empty", source: "/x" }), 'volumes[0].source "/x" is not allowed'],
	[volume({ kind: "empty", mode: "rwx" }), "volumes[0].mode"],
	[volume({ kind: "empty", mode: "99" }), "volumes[0].mode"],
	[volume({ kind: "empty", uid: 4294967295 }), "volumes[0].uid"],
	[pod({ volumes: [1, 2].map(() => ({ name: "v", kind: "empty" })) }), "volumes[1].name"],
	[pod({ ports: [{ name: "p", hostPort: 65536 }] }), "ports[0].hostPort"],
	[pod({ ports: [{ name: "p" }] }), "ports[0].hostPort is missing"],
	[pod({ ports: [{ name: "p", hostPort: 1, hostIP: "1.2.3.400" }] }), "ports[0].hostIP"],
	[pod({ ports: [{ name: "p", hostPort: 1, hostIP: "fe80::1%eth0" }] }), "ports[0].hostIP"],
	[
		pod({ ports: [{ name: "p", hostPort: 1, podPort: { name: "p", protocol: "tcp", port: 70000 } }] }),
		"ports[0].podPort.port",
	],
	[pod({ annotations: [named("A", "x")] }), "annotations[0].name"],
	[pod({ userLabels: "x" }), "userLabels"],
];

t.test("refused, with source, place and value", (t) => {
	const check = (parse: (text: string, source: string) => unknown, text: string, message: string): void => {
		try {
			parse(text, "SOURCE");
			t.fail(`accepted: ${text.slice(0, 100)}`);
		} catch (error) {
			t.match(error, { code: "manifest-invalid" }, messageOf(error));
			t.ok(messageOf(error).startsWith("SOURCE: "));
			t.match(messageOf(error), message);
		}
	};
	for (const [text, message] of BAD_IMAGES) check(parseImageManifest, text, message);
	for (const [list, message] of BAD_ISOLATORS) check(parseImageManifest, isolators(...list), message);
	for (const [text, message] of BAD_PODS) check(parsePodManifest, text, message);
	t.throws(() => parseImageManifest('{"acKind":1,"acKind":2}', "x"), { code: "json-invalid" });
	t.throws(() => parseImageManifest(" ".repeat(5_000_000), "x"), { code: "json-invalid" });
	t.throws(() => parseImageManifest(image({ name: "x".repeat(100_000).toUpperCase() }), "x"), {
		message: /^.{1,400}$/,
	});
	t.end();
});

t.test("hostile numbers of elements take little time", (t) => {
	const start = cpuTime();
	const labels = Array.from({ length: 50_000 }, (_, index) => named(`a${index}`, ""));
	t.equal(parseImageManifest(image({ labels }), "x").labels.length, 50_000);
	t.throws(() => parseImageManifest(image({ labels: labels.map(() => named("A", "")) }), "x"), {
		code: "manifest-invalid",
	});
	t.ok(cpuTime() - start < 5000);
	t.end();
});

t.test("isolators together", (t) => {
	const limits = (...list: [string, unknown][]) =>
		readIsolators(parseImageManifest(isolators(...list), "x").app?.isolators ?? []);
	t.strictSame(limits(), { unused: [] });
	t.strictSame(
		limits(
			["resource/memory", { limit: "1Gi" }],
			["resource/memory", { request: "1Mi", limit: "16Mi" }],
			["resource/cpu", { limit: "1500m" }],
			["resource/pids", { limit: 50 }],
			["resource/block-iops", { default: true, limit: "1" }],
			["resource/block-bandwidth", { default: true, limit: "2Mi" }],
			["resource/network-bandwidth", { default: true, limit: "2Mi" }],
			["os/unix/rlimits", { RLIMIT_CORE: { hard: 0 }, RLIMIT_NOFILE: { soft: 9, hard: "unlimited" } }],
			["os/linux/cpu-shares", 512],
			["os/linux/oom-score-adj", -5],
			["os/linux/capabilities-retain-set", { set: ["CAP_KILL", "CAP_CHOWN"] }],
			["os/linux/capabilities-retain-set", { set: ["CAP_KILL", "CAP_SETUID"] }],
			["os/linux/seccomp-remove-set", { set: ["@rkt/default-blacklist", "reboot"], errno: "EPERM" }],
			["os/linux/no-new-privileges", false],
			["os/linux/no-new-privileges", true],
			["os/linux/selinux-context", { user: "u", role: "r", type: "t", level: "s0:c1" }],
			["os/linux/apparmor-profile", { profile: "p" }],
			["os/unix/sysctl", { "net.core.somaxconn": "1" }],
		),
		{
			memoryLimit: 16_777_216n,
			memoryRequest: 1_048_576n,
			cpuLimit: 1500n,
			cpuShares: 512,
			pidsLimit: 50n,
			oomScoreAdjust: -5,
			capabilities: { mode: "retain", set: ["CAP_KILL", "CAP_CHOWN", "CAP_SETUID"] },
			seccomp: { mode: "remove", set: ["@rkt/default-blacklist", "reboot"], errno: "EPERM" },
			noNewPrivileges: true,
			selinuxContext: { user: "u", role: "r", type: "t", level: "s0:c1" },
			apparmorProfile: "p",
			sysctls: { "net.core.somaxconn": "1" },
			rlimits: { CORE: { soft: 0, hard: 0 }, NOFILE: { soft: 9, hard: undefined } },
			blockBandwidth: 2_097_152n,
			blockIops: 1n,
			unused: ["resource/network-bandwidth"],
		},
	);
	t.throws(
		() =>
			limits(
				["os/linux/capabilities-retain-set", { set: ["CAP_KILL"] }],
				["os/linux/capabilities-remove-set", { set: ["CAP_KILL"] }],
			),
		{ code: "isolators-conflict" },
	);
	t.strictSame(checkIsolator({ name: "resource/memory", value: { limit: "1024Ki" } }, "--memory"), {
		name: "resource/memory",
		value: { limit: "1Mi" },
	});
	t.throws(() => checkIsolator({ name: "resource/memory", value: { limit: "x" } }, "--memory"), {
		code: "manifest-invalid",
		message: /^--memory: /,
	});
	t.equal(isolatorValues([{ name: "os/linux/cpu-shares", value: 5 }], "os/linux/cpu-shares")[0], 5);
	t.end();
});

t.test("what manifests say about their apps", (t) => {
	const full = parseImageManifest(JSON.stringify(FULL_IMAGE), "x");
	t.equal(supportsNotify(full), true);
	t.equal(supportsNotify(parseImageManifest(image({}), "x")), false);
	t.equal(dockerRepository(full), undefined);
	const converted = image({ annotations: [named("appc.io/docker/repository", "library/busybox")] });
	t.equal(dockerRepository(parseImageManifest(converted, "x")), "library/busybox");
	const made = { ...parseImageManifest(image({}), "x"), app: emptyApp("1", "2") };
	t.match(parseImageManifest(serializeManifest(made), "x").app, { user: "1", group: "2", exec: [] });
	t.end();
});
