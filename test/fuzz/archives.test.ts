import fc from "fast-check";
import t from "tap";
import { readAci } from "../../appc/aci/read.ts";
import { base256, type RawFields, tarEntry } from "../support/tar-bytes.ts";
import { checkProperty, requireUserError } from "./run-property.ts";

const MANIFEST = JSON.stringify({
	acKind: "ImageManifest",
	acVersion: "0.8.11",
	name: "example.com/app",
});
const END = Buffer.alloc(1024);
const VALID: readonly RawFields[] = [
	{ name: "manifest", body: MANIFEST },
	{ name: "rootfs", flag: "5" },
	{ name: "rootfs/dir", flag: "5" },
	{ name: "x", flag: "x", body: "30 path=rootfs/dir/longer-name\n" },
	{ name: "rootfs/dir/f", body: "content" },
	{ name: "rootfs/dir/link", flag: "2", link: "../dir/f" },
	{ name: "rootfs/hard", flag: "1", link: "rootfs/dir/longer-name" },
];

const CODES = ["aci-invalid", "aci-truncated", "aci-too-large", "json-invalid", "manifest-invalid"];

const names = fc.constantFrom(
	...[
		"rootfs",
		"rootfs/a",
		"rootfs/a/b",
		"manifest",
		"./rootfs/a",
		"rootfs/../x",
		"/rootfs/a",
		"..",
		"rootfs/",
		"",
	],
	...["rootfs//a", "rootfs/.", "rootfs/a\\b", "rootfs/\n", "././@LongLink", `rootfs/${"n".repeat(90)}`],
);
const name = fc.oneof(names, fc.string({ maxLength: 99 }));
const number = fc.oneof(
	fc.constantFrom("", "0000000\0", "7777777\0", "99999999", "-1", " 12\0", "00000000000\0", "77777777777\0"),
	fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }).map((value) => base256(value, 12)),
);
const pax = fc
	.array(
		fc.tuple(
			fc.constantFrom(
				"path",
				"linkpath",
				"size",
				"mtime",
				"uid",
				"GNU.sparse.map",
				"SCHILY.xattr.user.a",
				"=",
				"",
			),
			fc.oneof(names, fc.string({ maxLength: 40 })),
		),
		{ maxLength: 4 },
	)
	.map((records) =>
		records
			.map(([key, value]) => {
				const rest = ` ${key}=${value}\n`;
				const length = Buffer.byteLength(rest);
				return `${length + String(length + String(length).length).length}${rest}`;
			})
			.join(""),
	);

const entry: fc.Arbitrary<RawFields> = fc.record(
	{
		name,
		flag: fc.constantFrom(..."0123456789xgLKSDMVX\0"),
		link: name,
		size: number,
		mtime: number,
		uid: number,
		prefix: fc.oneof(fc.constant(""), fc.string({ maxLength: 40 })),
		magic: fc.constantFrom("ustar\x0000", "ustar  \0", "", "garbage!"),
		body: fc.oneof(fc.constant(""), fc.string({ maxLength: 1200 }), pax, fc.constant(MANIFEST)),
	},
	{ requiredKeys: ["name"] },
);

const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 });

async function read(archive: Buffer, pieceSize: number): Promise<void> {
	const pieces = async function* () {
		for (let at = 0; at < archive.length; at += pieceSize) yield archive.subarray(at, at + pieceSize);
	};
	const began = performance.now();
	try {
		await readAci(pieces(), {
			source: "x",
			limits: { maxExpandedBytes: 1 << 24 },
			onEntry: async ({ path }, body) => {
				if (path !== "rootfs" && !path.startsWith("rootfs/")) throw new Error(`an entry outside: ${path}`);
				if (path.split("/").some((part) => part === ".." || part === "." || part === ""))
					throw new Error(`an entry with a path that is not plain: ${path}`);
				for await (const chunk of body) if (chunk.length === 0) throw new Error("an empty piece");
			},
		});
	} catch (error) {
		requireUserError(error, CODES);
	}
	if (performance.now() - began > 2000) throw new Error("it took too long");
}

t.test("archives of valid and strange entries", (t) =>
	checkProperty(
		t,
		fc.asyncProperty(
			fc.array(fc.oneof(fc.constantFrom(...VALID), entry), { maxLength: 8 }),
			fc.integer({ min: 100, max: 5000 }),
			fc.boolean(),
			(entries, pieceSize, ends) =>
				read(
					Buffer.concat([...[...VALID.slice(0, 2), ...entries].map(tarEntry), ...(ends ? [END] : [])]),
					pieceSize,
				),
		),
	),
);

t.test("archives that were damaged or cut off on the way", (t) => {
	const whole = Buffer.concat([...VALID.map(tarEntry), END]);
	return checkProperty(
		t,
		fc.asyncProperty(damage, fc.integer({ min: 0, max: whole.length }), (damage, length) => {
			const archive = Buffer.from(whole);
			for (const [at, byte] of damage) archive[at % archive.length] = byte;
			return read(archive.subarray(0, length), 1000);
		}),
	);
});

t.test("any bytes, also those that say that they are compressed", (t) => {
	const magic = fc.constantFrom([], [0x1f, 0x8b, 8], [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]);
	const bytes = fc.uint8Array({ maxLength: 2000 });
	return checkProperty(
		t,
		fc.asyncProperty(magic, bytes, (magic, bytes) => read(Buffer.from([...magic, ...bytes]), 512)),
	);
});
