import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import t from "tap";
import { parseImageManifest } from "../../appc/schema/image-manifest.ts";
import { parsePodManifest } from "../../appc/schema/pod-manifest.ts";
import { serializeManifest } from "../../appc/schema/serialize.ts";
import { checkProperty, parsed } from "./run-property.ts";

const IMAGE = {
	acKind: "ImageManifest",
	acVersion: "0.8.11",
	name: "example.com/app",
	labels: [
		{ name: "version", value: "1.0.0" },
		{ name: "os", value: "linux" },
		{ name: "arch", value: "amd64" },
	],
	app: {
		exec: ["/bin/app", "--flag"],
		user: "0",
		group: "0",
		supplementaryGIDs: [7],
		eventHandlers: [{ name: "pre-start", exec: ["/bin/hook"] }],
		environment: [{ name: "PATH", value: "/bin" }],
		workingDirectory: "/",
		mountPoints: [{ name: "data", path: "/data", readOnly: true }],
		ports: [{ name: "web", protocol: "tcp", port: 80, count: 1, socketActivated: false }],
		isolators: [
			{ name: "resource/memory", value: { request: "1Mi", limit: "1Gi" } },
			{
				name: "os/linux/seccomp-retain-set",
				value: { set: ["read", "@docker/default-whitelist"], errno: "EPERM" },
			},
			{ name: "os/linux/capabilities-retain-set", value: { set: ["CAP_KILL"] } },
			{ name: "os/unix/sysctl", value: { "net.core.somaxconn": "1" } },
			{ name: "os/unix/rlimits", value: { RLIMIT_NOFILE: { soft: 1, hard: "unlimited" } } },
		],
	},
	annotations: [{ name: "created", value: "2015-01-01T00:00:00Z" }],
	dependencies: [
		{ imageName: "example.com/base", imageID: `sha512-${"a".repeat(64)}`, labels: [], size: 22 },
	],
	pathWhitelist: ["/bin/app"],
};

const POD = {
	acVersion: "0.8.11",
	acKind: "PodManifest",
	apps: [
		{
			name: "app",
			image: { id: `sha512-${"a".repeat(64)}`, name: "example.com/app", labels: [] },
			mounts: [{ volume: "data", path: "/data" }],
			annotations: [],
		},
	],
	volumes: [
		{ name: "data", kind: "host", source: "/srv", readOnly: true, recursive: false },
		{ name: "empty", kind: "empty", mode: "0755", uid: 0, gid: 0 },
	],
	isolators: [],
	annotations: [{ name: "a", value: "b" }],
	ports: [{ name: "web", hostPort: 8080, hostIP: "127.0.0.1" }],
};

/** Values that stand for something in some member, and any others. */
const value = fc.oneof(
	fc.constantFrom<unknown>(
		"",
		"0",
		"-1",
		"1e400",
		"4294967296",
		null,
		-0,
		1e21,
		[],
		{},
		"host",
		"../..",
		"/",
		"\ud800",
		"__proto__",
	),
	fc.jsonValue(),
	fc.string({ unit: "binary" }),
);

interface Change {
	readonly place: number;
	readonly value: unknown;
	readonly how: "replace" | "remove" | "double" | "add";
	readonly name: string;
}

const change: fc.Arbitrary<Change> = fc.record({
	place: fc.nat(),
	value,
	how: fc.constantFrom("replace" as const, "remove" as const, "double" as const, "add" as const),
	name: fc.oneof(fc.constantFrom("app", "name", "NAME", "__proto__", "constructor", "toString"), fc.string()),
});

type Slot = readonly [container: Record<string, unknown> | unknown[], key: string];

function slots(value: unknown): Slot[] {
	if (typeof value !== "object" || value === null) return [];
	const container = value as Record<string, unknown>;
	return Object.keys(container).flatMap((key) => [[container, key] as Slot, ...slots(container[key])]);
}

function apply(document: unknown, changes: readonly Change[]): unknown {
	const copy = structuredClone(document);
	for (const { place, value, how, name } of changes) {
		const all = slots(copy);
		const [container, key]: Slot = all[place % Math.max(1, all.length)] ?? [{}, ""];
		if (Array.isArray(container)) {
			if (how === "remove") container.splice(Number(key), 1);
			else if (how === "replace") container[Number(key)] = value;
			else container.push(how === "double" ? container[Number(key)] : value);
		} else if (how === "remove") delete container[key];
		else
			Object.defineProperty(container, how === "replace" ? key : name, {
				value,
				enumerable: true,
				configurable: true,
				writable: true,
			});
	}
	return copy;
}

/** Bytes that were changed on the way. */
const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 3 });

const CODES = ["json-invalid", "manifest-invalid", "quantity-invalid", "image-id-invalid", "name-invalid"];

for (const [kind, document, parse] of [
	["image", IMAGE, parseImageManifest],
	["pod", POD, parsePodManifest],
] as const) {
	t.test(`a manifest (${kind}) is refused, or read the same when it is written again`, async (t) => {
		t.ok(parse(JSON.stringify(document), "x"), "what is changed was right");
		const changes = fc.array(change, { minLength: 1, maxLength: 4 });
		await checkProperty(
			t,
			fc.property(changes, damage, (changes, damage) => {
				const bytes = Buffer.from(JSON.stringify(apply(document, changes)) ?? "");
				for (const [at, byte] of damage) if (bytes.length > 0) bytes[at % bytes.length] = byte;
				const read = parsed(() => parse(bytes, "x"), CODES);
				if (read === undefined) return true;
				const again = parse(serializeManifest(read as never), "x");
				return isDeepStrictEqual(again, read);
			}),
		);
	});
}

t.test("any JSON", (t) =>
	checkProperty(
		t,
		fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
			parsed(() => parseImageManifest(text, "x"), CODES);
			parsed(() => parsePodManifest(text, "x"), CODES);
		}),
	),
);
