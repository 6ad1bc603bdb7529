import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import t from "tap";
import type { AciLimits } from "../../appc/aci/limits.ts";
import { type ReadLayerOptions, readLayer } from "../../appc/oci/layer-read.ts";
import type { LayerShape } from "../../appc/oci/layer-rules.ts";
import { messageOf } from "../../lib/errors.ts";
import { base256, gnuLong, inPieces, octal, paxHeader, TAR_END, tarEntry } from "../support/tar-bytes.ts";

/** Paths with their types in order, or the error code and a part of the message. */
type Verdict = string | readonly [code: string, message: string];
type Case = readonly [name: string, archive: Buffer, verdict: Verdict, shape?: Partial<LayerShape>];

const bad = (message: string): Verdict => ["aci-invalid", message];
const layer = (...blocks: Buffer[]): Buffer => Buffer.concat([...blocks, TAR_END]);
const file = (name: string, body = "x"): Buffer => tarEntry({ name, body });
const directory = (name: string): Buffer => tarEntry({ name: `${name}/`, flag: "5", mode: "0000755\0" });
const symlink = (name: string, link: string): Buffer => tarEntry({ name, flag: "2", link });
const hardlink = (name: string, link: string): Buffer => tarEntry({ name, flag: "1", link });
const device = (flag: string, major: number, minor: number): Buffer =>
	tarEntry({ name: "dev", flag, major, minor });
const xattr = (name: string, value = "y"): Buffer => paxHeader({ [`SCHILY.xattr.${name}`]: value });
const digest = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

interface Outcome {
	readonly text: string;
	readonly shape: LayerShape;
	readonly xattrs: string[];
}

async function read(
	bytes: Buffer,
	more: Partial<Pick<ReadLayerOptions, "limits" | "diffId" | "checkedDigest">> & {
		readonly pieces?: number;
	} = {},
): Promise<Outcome & Awaited<ReturnType<typeof readLayer>>> {
	const found: string[] = [];
	const xattrs: string[] = [];
	const result = await readLayer(inPieces(bytes, more.pieces ?? 1000), {
		source: "X",
		diffId: more.diffId ?? digest(bytes),
		...(more.limits && { limits: more.limits }),
		...(more.checkedDigest !== undefined && { checkedDigest: more.checkedDigest }),
		onEntry: (entry) => {
			found.push(`${entry.path || "."} ${entry.type}${entry.linkTarget ? ` ${entry.linkTarget}` : ""}`);
			for (const name of entry.xattrs?.keys() ?? []) xattrs.push(name);
		},
	});
	return { ...result, text: found.join(", "), xattrs };
}

const NAMES: Case[] = [
	["relative", layer(directory("a"), file("a/b")), "a directory, a/b file"],
	[
		"leading ./",
		layer(directory("."), directory("./a"), file("./a/b")),
		". directory, a directory, a/b file",
	],
	["leading slash means the root", layer(directory("/a"), file("//a/b")), "a directory, a/b file"],
	["inner . and //", layer(file("a//./b")), "a/b file"],
	["the root alone", layer(directory("/")), ". directory"],
	["the root as a file", layer(file(".")), bad("its root is a file")],
	["the root as a symlink", layer(symlink("./", "/etc")), bad("its root is a symlink")],
	["empty name", layer(file("")), bad("its root is a file")],
	["dot-dot at the start", layer(file("../a")), bad("goes up")],
	["dot-dot after a slash", layer(file("/../a")), bad("goes up")],
	["dot-dot inside", layer(file("a/../../b")), bad("goes up")],
	["dot-dot that stays inside", layer(file("a/../b")), bad("goes up")],
	["dot-dot through a pax path", layer(paxHeader({ path: "../../a" }), file("a")), bad("goes up")],
	["dot-dot through a GNU long name", layer(gnuLong("a/../../b"), file("a")), bad("goes up")],
	["dot-dot through the prefix field", layer(tarEntry({ name: "a", prefix: ".." })), bad("goes up")],
	["newline", layer(file("a\nb")), bad("control character")],
	["NUL in a pax path", layer(paxHeader({ path: "a\0b" }), file("a")), bad("control character")],
	["Latin-1", layer(file("caf\xe9")), bad("not valid UTF-8")],
	["255 bytes", layer(gnuLong("a".repeat(255)), file("a")), `${"a".repeat(255)} file`],
	["256 bytes", layer(gnuLong("a".repeat(256)), file("a")), bad("more than 255 bytes")],
	["5000 bytes", layer(paxHeader({ path: "/abc".repeat(1250) }), file("a")), bad("longer than 4095 bytes")],
];

const WHITEOUTS: Case[] = [
	["of a file", layer(directory("a"), file("a/.wh.b")), "a directory", { whiteouts: ["a/b"], bare: [] }],
	["at the root", layer(file(".wh.b")), "", { whiteouts: ["b"], implied: [""] }],
	[
		"in directories that are not there",
		layer(file("a/b/.wh.c")),
		"",
		{ whiteouts: ["a/b/c"], bare: ["a", "a/b"] },
	],
	["as a directory entry", layer(directory("a/.wh.b")), "", { whiteouts: ["a/b"] }],
	["as a symlink", layer(symlink(".wh.b", "/etc")), "", { whiteouts: ["b"] }],
	["as a hard link to anything", layer(hardlink(".wh.b", "x")), "", { whiteouts: ["b"] }],
	["of ..", layer(file("a/.wh...")), bad('is a white-out of ".."')],
	["of .", layer(file("a/.wh..")), bad('is a white-out of "."')],
	["of nothing", layer(file("a/.wh.")), bad('is a white-out of ""')],
	["with dot-dot before", layer(file("../.wh.a")), bad("goes up")],
	["of a name of dots", layer(file(".wh....")), "", { whiteouts: ["..."] }],
	["below a file", layer(file("a"), file("a/.wh.b")), bad("not a directory")],
	["below a symlink", layer(symlink("a", "/etc"), file("a/.wh.passwd")), bad("not a directory")],
	["a file below a white-out", layer(file("a/.wh.b/c")), bad('lies below the white-out ".wh.b"')],
	["beside the file", layer(file("a"), file(".wh.a")), "a file", { whiteouts: [], opaque: [] }],
	["before the file", layer(file(".wh.a"), file("a")), "a file", { whiteouts: [] }],
	[
		"of its own directory",
		layer(file(".wh.a"), directory("a"), file("a/b")),
		"a directory, a/b file",
		{ whiteouts: [], opaque: ["a"] },
	],
	[
		"of its own directory, after it",
		layer(directory("a"), file("a/b"), file(".wh.a")),
		"a directory, a/b file",
		{ opaque: ["a"] },
	],
	[
		"of an implied directory, which is a new one",
		layer(file("a/b"), file(".wh.a")),
		"a/b file",
		{ opaque: ["a"], implied: [""] },
	],
	[
		"of a directory with white-outs only",
		layer(file("a/.wh.b"), file(".wh.a")),
		"",
		{ whiteouts: ["a"], bare: [], opaque: [] },
	],
	["twice", layer(file(".wh.a"), file(".wh.a")), "", { whiteouts: ["a"] }],
	["opaque", layer(directory("a"), file("a/.wh..wh..opq")), "a directory", { opaque: ["a"] }],
	[
		"opaque, of a directory that is not there",
		layer(file("a/.wh..wh..opq")),
		"",
		{ opaque: ["a"], bare: ["a"] },
	],
	[
		"opaque, of an implied directory",
		layer(file("a/.wh..wh..opq"), file("a/b/c")),
		"a/b/c file",
		{ opaque: ["a"], implied: ["", "a"] },
	],
	["opaque, of the root", layer(file(".wh..wh..opq"), file("a")), "a file", { opaque: [""] }],
	[
		"opaque, with white-outs below",
		layer(directory("a"), file("a/.wh..wh..opq"), file("a/.wh.b"), file("a/c/.wh.d")),
		"a directory",
		{ opaque: ["a"], whiteouts: [], bare: [] },
	],
	["opaque, of a file", layer(file("a"), file("a/.wh..wh..opq")), bad("not a directory")],
	[
		"a file in place of an opaque directory",
		layer(file("a/.wh..wh..opq"), file("a")),
		bad("is a directory and then a file"),
	],
	[
		"of the union file system",
		layer(directory(".wh..wh.plnk"), file(".wh..wh.plnk/1.2"), file(".wh..wh.aufs")),
		"",
		{ whiteouts: [], implied: [""] },
	],
	["hard link to one", layer(file(".wh.a"), hardlink("b", ".wh.a")), bad("is a hard link to a white-out")],
	[
		"that only looks like one",
		layer(file("a.wh.b"), file("x/.whb")),
		"a.wh.b file, x/.whb file",
		{ whiteouts: [] },
	],
];

const LINKS: Case[] = [
	[
		"hard link",
		layer(file("f"), hardlink("h", "f"), hardlink("i", "./h")),
		"f file, h hardlink f, i hardlink h",
	],
	["hard link with a leading slash", layer(file("f"), hardlink("h", "/f")), "f file, h hardlink f"],
	["hard link to a symlink", layer(symlink("l", "/etc"), hardlink("h", "l")), "l symlink /etc, h hardlink l"],
	[
		"hard link to a file of another layer",
		layer(hardlink("h", "f")),
		bad("no earlier file of the same layer"),
	],
	["hard link forwards", layer(hardlink("h", "f"), file("f")), bad("no earlier file")],
	["hard link to itself", layer(file("h"), hardlink("h", "h")), bad("no earlier file")],
	["hard link to a directory", layer(directory("d"), hardlink("h", "d")), bad("no earlier file")],
	["hard link upwards", layer(hardlink("h", "../../etc/passwd")), bad("goes up")],
	[
		"hard link through a symlink",
		layer(file("f"), symlink("l", "."), hardlink("h", "l/f")),
		bad("no earlier file"),
	],
	[
		"hard link with content",
		layer(file("f"), tarEntry({ name: "h", flag: "1", link: "f", body: "x" })),
		bad("hardlink with content"),
	],
	["file through a symlink", layer(symlink("l", "/etc"), file("l/passwd")), bad('lies below "l"')],
	["file deep below a symlink", layer(symlink("l", "/etc"), file("l/a/b")), bad("not a directory")],
	["directory through a symlink", layer(symlink("l", "/"), directory("l/tmp")), bad("not a directory")],
	[
		"hard link below a symlink",
		layer(file("f"), symlink("l", "."), hardlink("l/h", "f")),
		bad("not a directory"),
	],
	[
		"below a hard link to a symlink",
		layer(symlink("l", "/"), hardlink("h", "l"), file("h/a")),
		bad("not a directory"),
	],
	[
		"two symlinks and a hard link",
		layer(symlink("a", "b"), symlink("b", "/"), hardlink("c", "a"), file("c/etc/x")),
		bad("not a directory"),
	],
	[
		"symlink in place of a directory, and through it",
		layer(directory("d"), file("d/f"), symlink("d", "/etc"), file("d/passwd")),
		bad("is a directory and then a symlink"),
	],
	["file in place of a directory", layer(directory("d"), file("d")), bad("is a directory and then a file")],
	[
		"symlink in place of an implied directory",
		layer(file("d/f"), symlink("d", "/etc")),
		bad("is a directory and then a symlink"),
	],
	[
		"directory in place of a symlink",
		layer(symlink("l", "/etc"), directory("l"), file("l/a")),
		"l symlink /etc, l directory, l/a file",
	],
	[
		"directory in place of a symlink and back",
		layer(symlink("l", "/etc"), directory("l"), symlink("l", "/etc")),
		bad("is a directory and then a symlink"),
	],
	["file twice", layer(file("a", "1"), file("a", "2")), "a file, a file"],
	[
		"file in place of a symlink",
		layer(symlink("l", "/etc/passwd"), file("l")),
		"l symlink /etc/passwd, l file",
	],
	["directory twice", layer(directory("a"), directory("a")), "a directory, a directory"],
	[
		"directory after its content",
		layer(file("a/b"), directory("a")),
		"a/b file, a directory",
		{ implied: [""] },
	],
];

const TYPES: Case[] = [
	["/dev/null", layer(device("3", 1, 3)), "dev character-device"],
	["a white-out of overlayfs", layer(device("3", 0, 0)), bad("character-device 0:0")],
	["/dev/mem", layer(device("3", 1, 1)), bad("character-device 1:1")],
	["a disk", layer(device("4", 8, 0)), bad("block-device 8:0")],
	["uid 2^32", layer(tarEntry({ name: "f", uid: base256(4294967296n, 8) })), bad("impossible user")],
	["uid -1", layer(tarEntry({ name: "f", uid: base256(-1n, 8) })), bad("impossible user")],
	["opaque attribute", layer(xattr("trusted.overlay.opaque"), directory("d")), bad("of overlayfs")],
	[
		"redirect",
		layer(xattr("trusted.overlay.redirect", "/etc"), directory("d")),
		bad("trusted.overlay.redirect"),
	],
	[
		"opaque attribute of users",
		layer(xattr("user.overlay.opaque"), directory("d")),
		bad("user.overlay.opaque"),
	],
	[
		"malformed capabilities",
		layer(xattr("security.capability", "x"), file("f")),
		bad("malformed capabilities"),
	],
];

t.test("layers", async (t) => {
	for (const [name, archive, verdict, shape] of [...NAMES, ...WHITEOUTS, ...LINKS, ...TYPES]) {
		let found: Verdict;
		try {
			const outcome = await read(archive);
			found = outcome.text;
			for (const [key, value] of Object.entries(shape ?? {}))
				t.strictSame(outcome.shape[key as keyof LayerShape], value, `${name}: ${key}`);
		} catch (error) {
			const { code } = error as { code: string };
			const expected = typeof verdict === "string" ? "" : verdict[1];
			found = messageOf(error).includes(expected) ? [code, expected] : [code, messageOf(error)];
		}
		t.strictSame(found, verdict, name);
	}
});

t.test("which attributes are kept", async (t) => {
	const kept = ["user.a", "security.capability", "system.posix_acl_access", "system.posix_acl_default"];
	const dropped = ["security.selinux", "security.ima", "trusted.other", "system.nfs4_acl"];
	const records = Object.fromEntries(
		[...kept, ...dropped].map((name) => [`SCHILY.xattr.${name}`, "x".repeat(20)]),
	);
	t.strictSame((await read(layer(paxHeader(records), file("f")))).xattrs, kept);
});

t.test("compression is told by the content", async (t) => {
	const plain = layer(directory("a"), file("a/b", "x".repeat(5000)));
	const diffId = digest(plain);
	const zstd = (bytes: Buffer, ...args: string[]) =>
		spawnSync("zstd", ["-q", "-c", ...args], { input: bytes, maxBuffer: 1 << 28 }).stdout;
	const members = Buffer.concat([gzipSync(plain.subarray(0, 700)), gzipSync(plain.subarray(700))]);
	const frames = Buffer.concat([zstd(plain.subarray(0, 700)), zstd(plain.subarray(700))]);
	const skippable = Buffer.concat([Buffer.from("502a4d180400000061626364", "hex"), zstd(plain)]);
	for (const [name, bytes, compression] of [
		["plain", plain, "none"],
		["gzip", gzipSync(plain), "gzip"],
		["gzip in members", members, "gzip"],
		["zstd", zstd(plain), "zstd"],
		["zstd in frames", frames, "zstd"],
		["zstd with a frame to skip at the end", Buffer.concat([zstd(plain), skippable.subarray(0, 12)]), "zstd"],
	] as const) {
		for (const pieces of [1, 100_000]) {
			const found = await read(bytes, { diffId, pieces });
			t.equal(found.compression, compression, name);
			t.equal(found.text, "a directory, a/b file", name);
			t.equal(found.uncompressedBytes, plain.length);
		}
	}
	const code = (bytes: Buffer) =>
		read(bytes, { diffId }).then(
			() => "ok",
			(error) => error.code,
		);
	t.match(await code(gzipSync(gzipSync(plain))), /^aci-/, "twice");
	t.equal(await code(spawnSync("xz", ["-c"], { input: plain }).stdout), "aci-invalid", "xz");
	t.equal(await code(spawnSync("bzip2", ["-c"], { input: plain }).stdout), "aci-invalid", "bzip2");
	t.equal(await code(gzipSync(plain).subarray(0, -10)), "aci-truncated", "gzip cut");
	t.match(await code(zstd(plain).subarray(0, -10)), /^aci-/, "zstd cut");
	t.equal(await code(Buffer.concat([gzipSync(plain), Buffer.from("more")])), "aci-invalid", "gzip and more");
	const flipped = Buffer.from(zstd(plain));
	flipped[flipped.length - 6] = (flipped[flipped.length - 6] ?? 0) ^ 1;
	t.match(await code(flipped), /^(?:aci-|layer-digest)/, "zstd flipped");
});

t.test("the digest decides", async (t) => {
	const archive = layer(file("a"));
	await t.rejects(read(archive, { diffId: digest(Buffer.from("")) }), {
		code: "layer-digest-mismatch",
		message: /has the digest sha256:[0-9a-f]{64}, expected sha256:e3b0c442/,
	});
	const packed = gzipSync(layer(file("b")));
	await t.rejects(
		read(packed, { diffId: digest(packed), checkedDigest: digest(packed) }),
		{ code: "layer-digest-mismatch" },
		"the digest of what is compressed says nothing of what is in it",
	);
	const wrong = digest(Buffer.from(""));
	await t.rejects(read(archive, { diffId: wrong, checkedDigest: digest(archive) }), {
		code: "layer-digest-mismatch",
	});
	t.equal((await read(archive, { diffId: digest(archive), checkedDigest: digest(archive) })).text, "a file");
	t.equal((await read(Buffer.alloc(0))).text, "", "the empty layer of docker save");
	t.equal((await read(Buffer.alloc(1024))).text, "", "the empty layer of docker");
	t.equal((await read(file("a"))).text, "a file", "no end mark: the digest tells that it is whole");
	await t.rejects(read(file("a").subarray(0, 700)), { code: "aci-truncated" });
	await t.rejects(read(Buffer.concat([archive, file("b")])), {
		code: "aci-invalid",
		message: /follows the end/,
	});
	await t.rejects(read(Buffer.from("no archive at all".repeat(100))), { code: "aci-invalid" });
	const failing = async function* () {
		yield archive;
		throw new Error("the digest of the blob is wrong");
	};
	const reading = readLayer(failing(), { source: "X", diffId: digest(archive) });
	await t.rejects(reading, /digest of the blob/, "what the input finds at its end counts");
	for (const packed of [gzipSync(archive), spawnSync("zstd", ["-qc"], { input: archive }).stdout]) {
		const late = async function* () {
			yield packed;
			throw new Error("the digest of the blob is wrong");
		};
		await t.rejects(readLayer(late(), { source: "X", diffId: digest(archive) }), /digest of the blob/);
	}
});

t.test("bombs end early", async (t) => {
	const zeros = Buffer.alloc(64 * 1024 * 1024);
	const limits = { maxExpandedBytes: 1024 * 1024, ratioFloorBytes: 2 ** 40 };
	const header = tarEntry({ name: "z", size: `${octal(64 * 2 ** 20, 11)} ` }).subarray(0, 512);
	const bomb = Buffer.concat([header, zeros]);
	const zstd = spawnSync("zstd", ["-qc"], { input: bomb, maxBuffer: 1 << 28 }).stdout;
	const code = (bytes: Buffer, some: Partial<AciLimits>) =>
		read(bytes, { limits: some }).then(
			() => "ok",
			(error) => error.code,
		);
	t.equal(await code(gzipSync(bomb), limits), "aci-too-large");
	t.equal(await code(zstd, limits), "aci-too-large");
	const ratio = { maxRatio: 100, ratioFloorBytes: 1024 * 1024 };
	t.equal(await code(gzipSync(bomb), ratio), "aci-too-large");
	t.equal(await code(zstd, ratio), "aci-too-large");
	t.equal(await code(layer(file("a"), file("b"), file("c")), { maxEntries: 2 }), "aci-too-large");
	t.equal(await code(layer(file("a/b/c/d/.wh.e")), { maxEntries: 3 }), "aci-too-large", "implied ones count");
	t.equal(
		await code(layer(file("a".repeat(90)), file("b".repeat(90))), { maxNameBytes: 100 }),
		"aci-too-large",
	);
	t.equal(
		await code(layer(file(`.wh.${"a".repeat(60)}`), file(`.wh.${"b".repeat(60)}`)), { maxNameBytes: 100 }),
		"aci-too-large",
	);
	const window = Buffer.from("28b52ffd04a8", "hex");
	await t.rejects(read(Buffer.concat([window, Buffer.alloc(100)])), {
		code: "aci-invalid",
		message: /memory/i,
	});
});
