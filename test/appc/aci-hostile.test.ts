import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import t from "tap";
import type { AciLimits } from "../../appc/aci/limits.ts";
import { type ReadAci, readAci } from "../../appc/aci/read.ts";
import { messageOf } from "../../lib/errors.ts";
import { cpuTime } from "../support/cpu-time.ts";
import {
	aciBytes,
	base256,
	gnuLong,
	inPieces,
	MANIFEST_ENTRY,
	MANIFEST_TEXT,
	octal,
	paxHeader,
	ROOTFS_ENTRY,
	TAR_END,
	tarEntry,
} from "../support/tar-bytes.ts";

/** `ok`, or the error code and a part of the message. */
type Verdict = "ok" | readonly [code: string, message: string | RegExp];
type Case = readonly [name: string, archive: Buffer, verdict: Verdict, limits?: Partial<AciLimits>];

const bad = (message: string | RegExp): Verdict => ["aci-invalid", message];
const cut = (message: string | RegExp): Verdict => ["aci-truncated", message];
const large = (message: string | RegExp): Verdict => ["aci-too-large", message];

const file = (name: string, body = "x"): Buffer => tarEntry({ name, body });
const directory = (name: string): Buffer => tarEntry({ name, flag: "5", mode: "0000755\0" });
const symlink = (name: string, link: string): Buffer => tarEntry({ name, flag: "2", link });
const hardlink = (name: string, link: string): Buffer => tarEntry({ name, flag: "1", link });
const device = (flag: string, major: number, minor: number): Buffer =>
	tarEntry({ name: "rootfs/dev", flag, major, minor });
const compress = (tool: string, data: Buffer): Buffer =>
	spawnSync(tool, ["-c"], { input: data, maxBuffer: 1 << 30 }).stdout;

const GOOD = aciBytes(file("rootfs/a"));
const GZIP = gzipSync(GOOD);
const XZ = compress("xz", GOOD);
const BZIP2 = compress("bzip2", GOOD);
const ZEROS_64M = gzipSync(Buffer.alloc(64 * 1024 * 1024));
const BIG_HEADER = gzipSync(
	Buffer.concat([
		MANIFEST_ENTRY,
		ROOTFS_ENTRY,
		tarEntry({ name: "rootfs/zeros", size: `${octal(10 * 2 ** 30, 11)} ` }).subarray(0, 512),
	]),
);

const NAMES: Case[] = [
	["absolute name", aciBytes(file("/etc/passwd")), bad('name "/etc/passwd" is absolute')],
	["absolute name below rootfs", aciBytes(file("//rootfs/a")), bad("is absolute")],
	["dot-dot at the start", aciBytes(file("../a")), bad("goes up")],
	["dot-dot inside", aciBytes(file("rootfs/../a")), bad("goes up")],
	["dot-dot at the end", aciBytes(directory("rootfs/a/..")), bad("goes up")],
	["dot-dot out and in again", aciBytes(file("rootfs/../rootfs/a")), bad("goes up")],
	["dot-dot after dots", aciBytes(file("rootfs/./../../a")), bad("goes up")],
	[
		"dot-dot through a pax path",
		aciBytes(paxHeader({ path: "rootfs/../../a" }), file("rootfs/a")),
		bad("goes up"),
	],
	["dot-dot through a GNU long name", aciBytes(gnuLong("rootfs/../../a"), file("rootfs/a")), bad("goes up")],
	[
		"dot-dot through the prefix field",
		aciBytes(tarEntry({ name: "a", prefix: "rootfs/.." })),
		bad("goes up"),
	],
	["absolute pax path", aciBytes(paxHeader({ path: "/etc/passwd" }), file("rootfs/a")), bad("is absolute")],
	["name of dots only", aciBytes(file("rootfs/...")), "ok"],
	[
		"leading ./",
		Buffer.concat([
			directory("./"),
			tarEntry({ name: "./manifest", body: MANIFEST_TEXT }),
			directory("./rootfs"),
			file("./rootfs/a"),
			TAR_END,
		]),
		"ok",
	],
	["inner . and //", aciBytes(file("rootfs/.//./a")), "ok"],
	["a file called .", aciBytes(file(".")), bad("only manifest and rootfs")],
	["empty name", aciBytes(tarEntry({ name: "", body: "x" })), bad("only manifest and rootfs")],
	["empty pax path", aciBytes(paxHeader({ path: "" }), file("rootfs/a")), bad("only manifest and rootfs")],
	[
		"NUL in a pax path",
		aciBytes(paxHeader({ path: "rootfs/a\0b" }), file("rootfs/a")),
		bad("control character"),
	],
	["newline in a name", aciBytes(file("rootfs/a\nb")), bad('"rootfs/a\\nb" holds a control character')],
	["escape sequence in a name", aciBytes(file("rootfs/\x1b[2J")), bad("holds a control character")],
	[
		"C1 control in a name",
		aciBytes(file(Buffer.from("rootfs/\u009b31m").toString("latin1"))),
		bad("control character"),
	],
	["Latin-1 name", aciBytes(file("rootfs/caf\xe9")), bad("is not valid UTF-8")],
	["overlong UTF-8", aciBytes(file("rootfs/\xc0\xaf")), bad("is not valid UTF-8")],
	["surrogate in UTF-8", aciBytes(file("rootfs/\xed\xa0\x80")), bad("is not valid UTF-8")],
	["UTF-8 name", aciBytes(file(Buffer.from("rootfs/é😀").toString("latin1"))), "ok"],
	["backslashes", aciBytes(file("rootfs/..\\..\\a")), "ok"],
	["component of 255 bytes", aciBytes(gnuLong(`rootfs/${"a".repeat(255)}`), file("rootfs/a")), "ok"],
	[
		"component of 256 bytes",
		aciBytes(gnuLong(`rootfs/${"a".repeat(256)}`), file("rootfs/a")),
		bad("more than 255 bytes"),
	],
	[
		"path of 4095 bytes",
		aciBytes(paxHeader({ path: `rootfs${"/abc".repeat(1022)}/` }), file("rootfs/a", "")),
		"ok",
	],
	[
		"path over 4095 bytes",
		aciBytes(paxHeader({ path: `rootfs${"/abc".repeat(1030)}` }), file("rootfs/a")),
		bad("longer than 4095 bytes"),
	],
	[
		"path of 2000 components",
		aciBytes(paxHeader({ path: `rootfs${"/a".repeat(2000)}` }), file("rootfs/a")),
		"ok",
	],
	["case differs only", aciBytes(file("rootfs/a"), file("rootfs/A")), "ok"],
	["white-out name of docker", aciBytes(file("rootfs/.wh.a")), "ok"],
];

const LAYOUT: Case[] = [
	["file beside rootfs", aciBytes(file("evil")), bad('holds "evil"')],
	["directory beside rootfs", aciBytes(directory("rootfs2")), bad("only manifest and rootfs")],
	["below the manifest", aciBytes(file("manifest/a")), bad("only manifest and rootfs")],
	["no manifest", Buffer.concat([ROOTFS_ENTRY, TAR_END]), bad("it has no manifest")],
	["no rootfs", Buffer.concat([MANIFEST_ENTRY, TAR_END]), bad("it has no rootfs")],
	["nothing at all", TAR_END, bad("neither a tar archive")],
	["implied rootfs", Buffer.concat([MANIFEST_ENTRY, file("rootfs/a"), TAR_END]), "ok"],
	["rootfs first", Buffer.concat([ROOTFS_ENTRY, file("rootfs/a"), MANIFEST_ENTRY, TAR_END]), "ok"],
	[
		"manifest as directory",
		Buffer.concat([directory("manifest"), ROOTFS_ENTRY, TAR_END]),
		bad("manifest is a directory"),
	],
	[
		"manifest as symlink",
		Buffer.concat([symlink("manifest", "/etc/passwd"), ROOTFS_ENTRY, TAR_END]),
		bad("manifest is a symlink"),
	],
	[
		"manifest as hard link",
		Buffer.concat([ROOTFS_ENTRY, file("rootfs/a"), hardlink("manifest", "rootfs/a"), TAR_END]),
		bad("manifest is a hardlink"),
	],
	[
		"manifest as fifo",
		Buffer.concat([tarEntry({ name: "manifest", flag: "6" }), ROOTFS_ENTRY, TAR_END]),
		bad("manifest is a fifo"),
	],
	[
		"rootfs as symlink",
		Buffer.concat([MANIFEST_ENTRY, symlink("rootfs", "/"), TAR_END]),
		bad("rootfs is a symlink"),
	],
	["rootfs as file", Buffer.concat([MANIFEST_ENTRY, file("rootfs"), TAR_END]), bad("rootfs is a file")],
	["manifest twice", aciBytes(MANIFEST_ENTRY), bad('"manifest" stands twice')],
	[
		"manifest twice, as ./manifest",
		aciBytes(tarEntry({ name: "./manifest", body: MANIFEST_TEXT })),
		bad("stands twice"),
	],
	["rootfs twice", aciBytes(ROOTFS_ENTRY), bad('"rootfs" stands twice')],
	["file twice", aciBytes(file("rootfs/a"), file("rootfs/a")), bad('"rootfs/a" stands twice')],
	["file twice, spelled differently", aciBytes(file("rootfs/a"), file("rootfs//./a")), bad("stands twice")],
	["directory twice", aciBytes(directory("rootfs/a"), directory("rootfs/a/")), bad("stands twice")],
	["directory after its content", aciBytes(file("rootfs/a/b"), directory("rootfs/a")), "ok"],
	["file, then directory", aciBytes(file("rootfs/a"), directory("rootfs/a")), bad("stands twice")],
	[
		"malformed manifest",
		Buffer.concat([file("manifest", "{"), ROOTFS_ENTRY, TAR_END]),
		["json-invalid", "manifest of X"],
	],
	[
		"manifest of a pod",
		Buffer.concat([file("manifest", '{"acKind":"PodManifest"}'), ROOTFS_ENTRY, TAR_END]),
		["manifest-invalid", "acKind"],
	],
	[
		"empty manifest",
		Buffer.concat([file("manifest", ""), ROOTFS_ENTRY, TAR_END]),
		["json-invalid", "end of the text"],
	],
	[
		"manifest in Latin-1",
		Buffer.concat([
			tarEntry({ name: "manifest", body: Buffer.from('{"a":"\xe9"}', "latin1") }),
			ROOTFS_ENTRY,
			TAR_END,
		]),
		bad("not valid UTF-8"),
	],
	[
		"manifest of 5 MiB",
		Buffer.concat([file("manifest", " ".repeat(5 * 2 ** 20)), ROOTFS_ENTRY, TAR_END]),
		large("a manifest of 5242880 bytes"),
	],
	[
		"manifest with a duplicate key",
		Buffer.concat([file("manifest", MANIFEST_TEXT.replace("{", '{"name":"b",')), ROOTFS_ENTRY, TAR_END]),
		["json-invalid", "stands twice"],
	],
];

const LINKS: Case[] = [
	[
		"file through a symlink",
		aciBytes(symlink("rootfs/l", "/etc"), file("rootfs/l/passwd")),
		bad('lies below "rootfs/l"'),
	],
	[
		"file through a relative symlink",
		aciBytes(symlink("rootfs/l", "../../etc"), file("rootfs/l/passwd")),
		bad("which is not a directory"),
	],
	[
		"deep below a symlink",
		aciBytes(symlink("rootfs/l", "/etc"), file("rootfs/l/a/b/c")),
		bad("which is not a directory"),
	],
	[
		"directory through a symlink",
		aciBytes(symlink("rootfs/l", "/"), directory("rootfs/l/tmp")),
		bad("which is not a directory"),
	],
	[
		"symlink through a symlink",
		aciBytes(symlink("rootfs/l", "."), symlink("rootfs/l/m", "/")),
		bad("which is not a directory"),
	],
	[
		"hard link through a symlink",
		aciBytes(file("rootfs/f"), symlink("rootfs/l", "."), hardlink("rootfs/l/h", "rootfs/f")),
		bad("which is not a directory"),
	],
	[
		"symlink in place of a directory with content",
		aciBytes(file("rootfs/d/f"), symlink("rootfs/d", "/etc")),
		bad("stands twice"),
	],
	[
		"symlink in place of a directory",
		aciBytes(directory("rootfs/d"), symlink("rootfs/d", "/etc")),
		bad("stands twice"),
	],
	[
		"file in place of a symlink",
		aciBytes(symlink("rootfs/l", "/etc/passwd"), file("rootfs/l")),
		bad("stands twice"),
	],
	[
		"directory in place of a symlink",
		aciBytes(symlink("rootfs/l", "/etc"), directory("rootfs/l")),
		bad("stands twice"),
	],
	["below a file", aciBytes(file("rootfs/f"), file("rootfs/f/a")), bad("which is not a directory")],
	[
		"below a fifo",
		aciBytes(tarEntry({ name: "rootfs/p", flag: "6" }), file("rootfs/p/a")),
		bad("which is not a directory"),
	],
	[
		"below a hard link",
		aciBytes(file("rootfs/f"), hardlink("rootfs/h", "rootfs/f"), file("rootfs/h/a")),
		bad("which is not a directory"),
	],
	[
		"symlinks to anywhere",
		aciBytes(symlink("rootfs/a", "/etc/passwd"), symlink("rootfs/b", "../../../x"), symlink("rootfs/c", "c")),
		"ok",
	],
	["symlink without target", aciBytes(symlink("rootfs/l", "")), bad("empty or overlong target")],
	["symlink with a newline", aciBytes(symlink("rootfs/l", "a\nb")), bad("symlink target")],
	["symlink with Latin-1", aciBytes(symlink("rootfs/l", "\xe9")), bad("not valid UTF-8")],
	[
		"symlink with a target of 5000 bytes",
		aciBytes(paxHeader({ linkpath: "a".repeat(5000) }), symlink("rootfs/l", "a")),
		bad("overlong"),
	],
	[
		"symlink with content",
		aciBytes(tarEntry({ name: "rootfs/l", flag: "2", link: "a", body: "x" })),
		bad("is a symlink with content"),
	],
	[
		"hard link",
		aciBytes(file("rootfs/f"), hardlink("rootfs/h", "rootfs/f"), hardlink("rootfs/i", "./rootfs//h")),
		"ok",
	],
	["hard link to outside", aciBytes(hardlink("rootfs/h", "/etc/passwd")), bad("hard link target")],
	["hard link upwards", aciBytes(hardlink("rootfs/h", "rootfs/../../etc/passwd")), bad("goes up")],
	["hard link to the manifest of the store", aciBytes(hardlink("rootfs/h", "../manifest")), bad("goes up")],
	["hard link to the manifest", aciBytes(hardlink("rootfs/h", "manifest")), bad("no earlier file of rootfs")],
	["hard link to itself", aciBytes(hardlink("rootfs/h", "rootfs/h")), bad("no earlier file")],
	[
		"hard link forwards",
		aciBytes(hardlink("rootfs/h", "rootfs/f"), file("rootfs/f")),
		bad("no earlier file"),
	],
	["hard link to nothing", aciBytes(hardlink("rootfs/h", "")), bad("no earlier file")],
	[
		"hard link to a directory",
		aciBytes(directory("rootfs/d"), hardlink("rootfs/h", "rootfs/d")),
		bad("no earlier file"),
	],
	[
		"hard link to a symlink",
		aciBytes(symlink("rootfs/l", "/etc/shadow"), hardlink("rootfs/h", "rootfs/l")),
		bad("no earlier file"),
	],
	[
		"hard link to a fifo",
		aciBytes(tarEntry({ name: "rootfs/p", flag: "6" }), hardlink("rootfs/h", "rootfs/p")),
		bad("no earlier file"),
	],
	[
		"hard link relative to rootfs",
		aciBytes(file("rootfs/f"), hardlink("rootfs/h", "f")),
		bad("no earlier file"),
	],
	[
		"hard link through a pax linkpath",
		aciBytes(file("rootfs/f"), paxHeader({ linkpath: "/etc/passwd" }), hardlink("rootfs/h", "rootfs/f")),
		bad("is absolute"),
	],
	[
		"hard link through a GNU long link",
		aciBytes(file("rootfs/f"), gnuLong("/etc/passwd", "K"), hardlink("rootfs/h", "rootfs/f")),
		bad("is absolute"),
	],
	[
		"hard link with content",
		aciBytes(file("rootfs/f"), tarEntry({ name: "rootfs/h", flag: "1", link: "rootfs/f", body: "x" })),
		bad("is a hardlink with content"),
	],
];

const TYPES: Case[] = [
	...["1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2"].map((numbers): Case => {
		const [major = 0, minor = 0] = numbers.split(":").map(Number);
		return [`character device ${numbers}`, aciBytes(device("3", major, minor)), "ok"];
	}),
	["/dev/mem", aciBytes(device("3", 1, 1)), bad("is the character-device 1:1")],
	["/dev/kvm", aciBytes(device("3", 10, 232)), bad("character-device 10:232")],
	["block device 1:3", aciBytes(device("4", 1, 3)), bad("block-device 1:3")],
	["disk", aciBytes(device("4", 8, 0)), bad("block-device 8:0")],
	[
		"device numbers in a pax header",
		aciBytes(paxHeader({ "SCHILY.devmajor": "8" }), device("3", 1, 3)),
		bad("SCHILY.devmajor"),
	],
	["fifo", aciBytes(tarEntry({ name: "rootfs/p", flag: "6" })), "ok"],
	[
		"fifo with content",
		aciBytes(tarEntry({ name: "rootfs/p", flag: "6", body: "x" })),
		bad("is a fifo with content"),
	],
	[
		"directory with content",
		aciBytes(tarEntry({ name: "rootfs/d", flag: "5", body: file("rootfs/hidden") })),
		bad("is a directory with content"),
	],
	["file with a slash is a directory", aciBytes(tarEntry({ name: "rootfs/d/" }), file("rootfs/d/f")), "ok"],
	["file with a slash and content", aciBytes(file("rootfs/d/")), bad("is a directory with content")],
	["contiguous file", aciBytes(tarEntry({ name: "rootfs/f", flag: "7", body: "x" })), "ok"],
	["old file flag", aciBytes(tarEntry({ name: "rootfs/f", flag: "\0", body: "x" })), "ok"],
	...["D", "M", "N", "V", "A", "I", "X", "8", "9", "Z", "\x80", " "].map(
		(flag): Case => [
			`entry type ${JSON.stringify(flag)}`,
			aciBytes(tarEntry({ name: "rootfs/f", flag, body: "x" })),
			bad("unsupported entry type"),
		],
	),
	["set-user-ID", aciBytes(tarEntry({ name: "rootfs/su", mode: "0004755\0", body: "x" })), "ok"],
	["type bits in the mode", aciBytes(tarEntry({ name: "rootfs/f", mode: "0100644\0", body: "x" })), "ok"],
];

const NUMBERS: Case[] = [
	["uid of 32 bits", aciBytes(tarEntry({ name: "rootfs/f", uid: base256(4294967294n, 8) })), "ok"],
	[
		"uid -1",
		aciBytes(tarEntry({ name: "rootfs/f", uid: base256(-1n, 8) })),
		bad("impossible user or group -1"),
	],
	[
		"uid 2^32-1",
		aciBytes(tarEntry({ name: "rootfs/f", uid: base256(4294967295n, 8) })),
		bad("impossible user or group"),
	],
	[
		"uid 2^32",
		aciBytes(tarEntry({ name: "rootfs/f", uid: base256(4294967296n, 8) })),
		bad("impossible user or group"),
	],
	[
		"gid 2^32 in a pax header",
		aciBytes(paxHeader({ gid: "4294967296" }), file("rootfs/f")),
		bad("impossible user or group"),
	],
	["uid -1 in a pax header", aciBytes(paxHeader({ uid: "-1" }), file("rootfs/f")), bad("malformed uid")],
	["empty uid in a pax header", aciBytes(paxHeader({ uid: "" }), file("rootfs/f")), bad("malformed uid")],
	["uid in hexadecimal", aciBytes(paxHeader({ uid: "0x10" }), file("rootfs/f")), bad("malformed uid")],
	["uid that is no number", aciBytes(tarEntry({ name: "rootfs/f", uid: "abc\0" })), bad("malformed number")],
	["octal with 8", aciBytes(tarEntry({ name: "rootfs/f", mode: "0000848\0" })), bad("malformed number")],
	["number with spaces", aciBytes(tarEntry({ name: "rootfs/f", uid: "   123 \0", gid: "        " })), "ok"],
	[
		"negative size",
		aciBytes(tarEntry({ name: "rootfs/f", size: base256(-512n, 12) })),
		bad("impossible size"),
	],
	[
		"size of 2^80",
		aciBytes(tarEntry({ name: "rootfs/f", size: base256(2n ** 80n, 12) })),
		bad("malformed number"),
	],
	[
		"size of 1 EiB",
		aciBytes(tarEntry({ name: "rootfs/f", size: base256(2n ** 50n, 12) })),
		large("a file of 1125899906842624 bytes"),
	],
	[
		"size of 1 EB in a pax header",
		aciBytes(paxHeader({ size: "100000000000000" }), file("rootfs/f")),
		large("a file of"),
	],
	[
		"negative size in a pax header",
		aciBytes(paxHeader({ size: "-1" }), file("rootfs/f")),
		bad("impossible size"),
	],
	[
		"size with exponent in a pax header",
		aciBytes(paxHeader({ size: "1e3" }), file("rootfs/f")),
		bad("impossible size"),
	],
	[
		"size in a pax header",
		aciBytes(paxHeader({ size: "3" }), tarEntry({ name: "rootfs/f", size: "00000000000\0", body: "abc" })),
		"ok",
	],
	[
		"size in a pax header hides an entry",
		aciBytes(
			paxHeader({ size: "512" }),
			tarEntry({ name: "rootfs/f", size: "00000000000\0" }),
			file("../evil"),
		),
		bad("check sum"),
	],
	[
		"size larger than the archive",
		aciBytes(tarEntry({ name: "rootfs/f", size: "00000100000\0" })),
		cut("inside a file"),
	],
	["time before 1970", aciBytes(tarEntry({ name: "rootfs/f", mtime: base256(-1n, 12) })), "ok"],
	["time with a fraction", aciBytes(paxHeader({ mtime: "1234.5678" }), file("rootfs/f")), "ok"],
	["malformed time", aciBytes(paxHeader({ mtime: "now" }), file("rootfs/f")), bad("malformed mtime")],
	["huge time", aciBytes(paxHeader({ mtime: "9".repeat(30) }), file("rootfs/f")), bad("malformed mtime")],
];

const HEADERS: Case[] = [
	["wrong check sum", aciBytes(tarEntry({ name: "rootfs/f", checksum: 1 })), bad("wrong check sum")],
	["no magic", aciBytes(tarEntry({ name: "rootfs/f", magic: "" })), bad("neither ustar, pax nor GNU")],
	["GNU magic", aciBytes(tarEntry({ name: "rootfs/f", magic: "ustar  \0", prefix: "123" })), "ok"],
	["star's trailer", aciBytes(tarEntry({ name: "f", prefix: "rootfs", trailer: "tar\0" })), "ok"],
	[
		"pax header without entry",
		aciBytes(paxHeader({ path: "rootfs/a" })),
		bad("an extended header has no entry"),
	],
	["GNU long name without entry", aciBytes(gnuLong("rootfs/a")), bad("an extended header has no entry")],
	[
		"two pax headers",
		aciBytes(paxHeader({ path: "rootfs/a" }), paxHeader({ path: "rootfs/b" }), file("rootfs/c")),
		bad("two extended headers"),
	],
	[
		"two GNU long names",
		aciBytes(gnuLong("rootfs/a"), gnuLong("rootfs/b"), file("rootfs/c")),
		bad("two long names"),
	],
	[
		"pax and GNU disagree",
		aciBytes(paxHeader({ path: "rootfs/a" }), gnuLong("rootfs/b"), file("rootfs/c")),
		bad("has two names"),
	],
	[
		"pax keyword twice",
		aciBytes(tarEntry({ flag: "x", body: "9 path=a\n9 path=b\n" }), file("rootfs/f")),
		bad("keyword twice"),
	],
	[
		"pax length too long",
		aciBytes(tarEntry({ flag: "x", body: "99 path=a\n" }), file("rootfs/f")),
		bad("malformed"),
	],
	[
		"pax length too short",
		aciBytes(tarEntry({ flag: "x", body: "5 path=a\n" }), file("rootfs/f")),
		bad("malformed"),
	],
	["pax length 0", aciBytes(tarEntry({ flag: "x", body: "0 path=a\n" }), file("rootfs/f")), bad("malformed")],
	[
		"pax length negative",
		aciBytes(tarEntry({ flag: "x", body: "-9 path=a\n" }), file("rootfs/f")),
		bad("malformed"),
	],
	[
		"pax record without =",
		aciBytes(tarEntry({ flag: "x", body: "8 patha\n" }), file("rootfs/f")),
		bad("malformed"),
	],
	[
		"pax record without newline",
		aciBytes(tarEntry({ flag: "x", body: "9 path=aa" }), file("rootfs/f")),
		bad("malformed"),
	],
	["pax header of __proto__", aciBytes(paxHeader({ __proto__x: "1" }), file("rootfs/f")), "ok"],
	[
		"pax header of 1 GiB",
		aciBytes(tarEntry({ flag: "x", size: "10000000000\0" })),
		bad("an extended header of 1073741824 bytes"),
	],
	[
		"pax header of negative size",
		aciBytes(tarEntry({ flag: "x", size: base256(-5n, 12) })),
		bad("an extended header of -5 bytes"),
	],
	[
		"GNU long name of 1 GiB",
		aciBytes(tarEntry({ flag: "L", size: "10000000000\0" })),
		bad("an extended header"),
	],
	[
		"GNU long name of 5000 bytes",
		aciBytes(gnuLong("a".repeat(5000))),
		bad("an extended header of 5001 bytes"),
	],
	[
		"pax header cut off",
		Buffer.concat([MANIFEST_ENTRY, tarEntry({ flag: "x", size: "00000010000\0" })]),
		cut("inside an extended header"),
	],
	["global comment", aciBytes(paxHeader({ comment: "0123456789abcdef" }, "g"), file("rootfs/f")), "ok"],
	[
		"global path",
		aciBytes(paxHeader({ path: "rootfs/x" }, "g"), file("rootfs/f")),
		bad("may not apply to the whole archive"),
	],
	["global size", aciBytes(paxHeader({ size: "0" }, "g"), file("rootfs/f")), bad("may not apply")],
	[
		"global xattr",
		aciBytes(paxHeader({ "SCHILY.xattr.user.a": "0" }, "g"), file("rootfs/f")),
		bad("may not apply"),
	],
	[
		"sparse file, pax 1.0",
		aciBytes(
			paxHeader({ "GNU.sparse.major": "1", "GNU.sparse.realsize": "1000000000000000000" }),
			file("rootfs/f"),
		),
		bad("impossible size"),
	],
	[
		"sparse file, pax 0.1",
		aciBytes(paxHeader({ "GNU.sparse.map": "0,1,1000000,1" }), file("rootfs/f")),
		bad("impossible size"),
	],
	[
		"capabilities",
		aciBytes(
			paxHeader({ "SCHILY.xattr.security.capability": `\x01\0\0\x02${"\0".repeat(16)}` }),
			file("rootfs/f"),
		),
		"ok",
	],
	[
		"malformed capabilities",
		aciBytes(paxHeader({ "SCHILY.xattr.security.capability": "x" }), file("rootfs/f")),
		bad("malformed capabilities"),
	],
	[
		"dropped attributes",
		aciBytes(
			paxHeader({
				"SCHILY.xattr.trusted.overlay.opaque": "y",
				"SCHILY.xattr.security.selinux": "x",
				"SCHILY.xattr.user.overlay.redirect": "/etc",
			}),
			directory("rootfs/d"),
		),
		"ok",
	],
	[
		"attribute with an overlong name",
		aciBytes(paxHeader({ [`SCHILY.xattr.user.${"a".repeat(300)}`]: "1" }), file("rootfs/f")),
		bad("impossible attribute"),
	],
	[
		"attribute with a NUL in its name",
		aciBytes(paxHeader({ "SCHILY.xattr.user.a\0b": "1" }), file("rootfs/f")),
		bad("impossible attribute"),
	],
	[
		"attribute of 70 KiB",
		aciBytes(paxHeader({ "SCHILY.xattr.user.a": "x".repeat(70_000) }), file("rootfs/f")),
		bad("impossible attribute"),
	],
	["data behind the end", Buffer.concat([GOOD, file("rootfs/evil")]), bad("data follows the end")],
	["a second archive behind the end", Buffer.concat([GOOD, GOOD]), bad("data follows the end")],
	["one zero block at the end", GOOD.subarray(0, -512), "ok"],
	["padding to a tape record", Buffer.concat([GOOD, Buffer.alloc(10240)]), "ok"],
	["odd padding", Buffer.concat([GOOD, Buffer.alloc(7)]), "ok"],
];

const STREAMS: Case[] = [
	["empty", Buffer.alloc(0), cut("before it begins")],
	["one byte", Buffer.from("x"), bad("neither a tar archive")],
	["text", Buffer.from("<html>Not found</html>".repeat(100)), bad("neither a tar archive")],
	["random", createHash("sha512").update("seed").digest(), bad("neither a tar archive")],
	["zeros", Buffer.alloc(100_000), bad("neither a tar archive")],
	["zip", Buffer.concat([Buffer.from("PK\x03\x04"), Buffer.alloc(1000)]), bad("neither a tar archive")],
	["zstd", Buffer.concat([Buffer.from("28b52ffd", "hex"), Buffer.alloc(1000)]), bad("compressed with zstd")],
	["plain, cut in a header", GOOD.subarray(0, 700), cut("inside a file")],
	["plain, cut at a header", GOOD.subarray(0, 1024), cut("where another entry")],
	["plain, cut before the end mark", GOOD.subarray(0, -1024), cut("where another entry")],
	["gzip", GZIP, "ok"],
	["gzip, cut in the middle", GZIP.subarray(0, GZIP.length >> 1), cut("inside the gzip data")],
	["gzip, cut in the trailer", GZIP.subarray(0, -4), cut("inside the gzip data")],
	["gzip, cut in the header", GZIP.subarray(0, 5), cut("inside the gzip data")],
	["gzip, wrong check sum", flip(GZIP, GZIP.length - 6), bad("gzip data is damaged")],
	["gzip, a flipped bit", flip(GZIP, 40), bad("gzip data is damaged")],
	[
		"gzip of two members",
		Buffer.concat([gzipSync(GOOD.subarray(0, 700)), gzipSync(GOOD.subarray(700))]),
		"ok",
	],
	["gzip of two archives", Buffer.concat([GZIP, GZIP]), bad("data follows the end")],
	["gzip, then garbage", Buffer.concat([GZIP, Buffer.from("garbage")]), bad("gzip data is damaged")],
	["gzip, then zeros", Buffer.concat([GZIP, Buffer.alloc(100)]), bad("follows the end of the gzip data")],
	[
		"gzip, then zeros and another",
		Buffer.concat([GZIP, Buffer.alloc(10), GZIP]),
		bad("follows the end of the gzip data"),
	],
	["gzip of gzip", gzipSync(GZIP), bad("compressed twice")],
	["gzip of xz", gzipSync(Buffer.concat([XZ, Buffer.alloc(512)])), bad("compressed twice")],
	["xz of gzip", compress("xz", Buffer.concat([GZIP, Buffer.alloc(512)])), bad("compressed twice")],
	["gzip of text", gzipSync("x".repeat(1000)), bad("holds no tar archive")],
	["gzip of nothing", gzipSync(""), cut("where another entry")],
	["xz", XZ, "ok"],
	["xz, cut", XZ.subarray(0, XZ.length - 30), cut("inside the xz data")],
	["xz, a flipped bit", flip(XZ, XZ.length - 36), bad("xz data is damaged")],
	["xz, then garbage", Buffer.concat([XZ, Buffer.from("garbage!".repeat(10))]), bad("xz data is damaged")],
	["bzip2", BZIP2, "ok"],
	["bzip2, cut", BZIP2.subarray(0, BZIP2.length - 30), cut("inside the bzip2 data")],
	["bzip2, a flipped bit", flip(BZIP2, BZIP2.length >> 1), bad("bzip2 data is damaged")],
	["bzip2 magic only", Buffer.concat([Buffer.from("BZh"), Buffer.alloc(600)]), bad("bzip2 data is damaged")],
];

function flip(data: Buffer, at: number): Buffer {
	const copy = Buffer.from(data);
	copy[at] = (copy[at] ?? 0) ^ 0x10;
	return copy;
}

const SIZES: Case[] = [
	[
		"10 GiB of zeros",
		Buffer.concat([BIG_HEADER, ...Array(160).fill(ZEROS_64M)]),
		large("more than 200 times its size"),
	],
	[
		"zeros behind the end",
		Buffer.concat([GZIP, ...Array(5).fill(ZEROS_64M)]),
		large("more than 200 times"),
		{ ratioFloorBytes: 256 * 2 ** 20 },
	],
	[
		"more than allowed",
		aciBytes(file("rootfs/f", "x".repeat(5000))),
		large(/5000 bytes|more than 4096 bytes/),
		{ maxExpandedBytes: 4096 },
	],
	[
		"more than allowed together",
		aciBytes(file("rootfs/f", "x".repeat(3000)), file("rootfs/g", "x".repeat(3000))),
		large("more than 4096 bytes"),
		{ maxExpandedBytes: 4096 },
	],
	[
		"too many entries",
		aciBytes(file("rootfs/a"), file("rootfs/b")),
		large("more than 3 entries"),
		{ maxEntries: 3 },
	],
	[
		"too many implied directories",
		aciBytes(file("rootfs/a/b/c/d")),
		large("more than 5 entries"),
		{ maxEntries: 5 },
	],
	[
		"too many names",
		aciBytes(
			...Array.from({ length: 60 }, (_, i) =>
				Buffer.concat([paxHeader({ path: `rootfs/${i}${"/dir".repeat(900)}` }), file("rootfs/a")]),
			),
		),
		large("names of more than"),
		{
			maxNameBytes: 10_000_000,
		},
	],
];

async function verdictOf(
	archive: Buffer,
	pieces: number,
	limits: Partial<AciLimits> = {},
): Promise<ReadAci | Error> {
	try {
		return await readAci(inPieces(archive, pieces), { source: "X", limits, onEntry: () => {} });
	} catch (error) {
		return error as Error;
	}
}

// The limits of single archives are checked one by one below.
t.setTimeout(170_000);

const GROUPS = { NAMES, LAYOUT, LINKS, TYPES, NUMBERS, HEADERS, STREAMS, SIZES };

for (const [group, cases] of Object.entries(GROUPS)) {
	t.test(`archives: ${group.toLowerCase()}`, async (t) => {
		for (const [name, archive, verdict, limits] of cases) {
			for (const pieces of [archive.length > 100_000 ? 1 << 20 : 511, 1 << 20]) {
				const start = cpuTime();
				const result = await verdictOf(archive, pieces, limits);
				t.ok(cpuTime() - start < 5000, `${name}: in time`);
				if (verdict === "ok") {
					t.ok(!(result instanceof Error), `${name}: ${messageOf(result)}`);
					continue;
				}
				t.equal((result as { code?: string }).code, verdict[0], `${name}: ${messageOf(result)}`);
				t.match(messageOf(result), verdict[1], name);
				t.match(messageOf(result), /^[^\p{Cc}]*$/u, `${name}: printable`);
			}
		}
	});
}

t.test("there are enough of them", (t) => {
	t.ok(Object.values(GROUPS).flat().length >= 200);
	t.end();
});

/** Headers only, as many as are asked for; digits are counted up in place and in the check sum. */
async function* manyEntries(count: number): AsyncGenerator<Buffer> {
	yield Buffer.concat([MANIFEST_ENTRY, ROOTFS_ENTRY]);
	const blocks = Buffer.concat(
		Array.from({ length: 1000 }, (_, index) =>
			tarEntry({ name: `rootfs/${String(index).padStart(3, "0")}-0000`, body: "" }),
		),
	);
	for (let thousand = 0; thousand < count / 1000; thousand++) {
		const copy = Buffer.from(blocks);
		const digits = String(thousand).padStart(4, "0");
		const added = [...digits].reduce((total, digit) => total + Number(digit), 0);
		for (let at = 0; at < copy.length; at += 512) {
			copy.write(digits, at + 11, "latin1");
			const sum = Number.parseInt(copy.toString("latin1", at + 148, at + 154), 8);
			copy.write(octal(sum + added, 6), at + 148, "latin1");
		}
		yield copy;
	}
	yield TAR_END;
}

t.test("a million entries", async (t) => {
	const before = cpuTime();
	await t.rejects(readAci(manyEntries(1_000_000), { source: "X" }), {
		code: "aci-too-large",
		message: /more than 500000 entries/,
	});
	t.ok(cpuTime() - before < 40_000, "in little time of the processor");
	t.ok(process.memoryUsage().rss < 800_000_000);
});

t.test("a failure closes the input, and errors of input and callbacks come through", async (t) => {
	for (const archive of [GOOD, GZIP, XZ, BZIP2]) {
		let closed = 0;
		const input = async function* (failing: boolean): AsyncGenerator<Buffer> {
			try {
				yield archive.subarray(0, 60);
				if (failing) throw new Error("the network broke");
				yield archive.subarray(60);
				for (let more = 0; more < 1000; more++) yield Buffer.alloc(1000);
			} finally {
				closed++;
			}
		};
		await t.rejects(readAci(input(true), { source: "X" }), { message: "the network broke" });
		t.equal(closed, 1);
		const stop = (): never => {
			throw new Error("stop");
		};
		await t.rejects(readAci(input(false), { source: "X", onUncompressedChunk: stop }), { message: "stop" });
		await t.rejects(readAci(inPieces(archive, 60), { source: "X", onEntry: stop }), { message: "stop" });
		for (let turn = 0; closed < 2 && turn < 100; turn++) await setImmediate();
		t.equal(closed, 2);
	}
	let closed = false;
	const garbage = async function* (): AsyncGenerator<Buffer> {
		try {
			for (;;) yield Buffer.from("garbage");
		} finally {
			closed = true;
		}
	};
	await t.rejects(readAci(garbage(), { source: "X" }), { code: "aci-invalid" });
	t.equal(closed, true);
});
