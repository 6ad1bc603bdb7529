import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { PassThrough, Writable } from "node:stream";
import t, { type Test } from "tap";
import * as tarStream from "tar-stream";
import { type AciContent, directoryEntries } from "../../appc/aci/directory-entries.ts";
import type { TarEntry } from "../../appc/aci/entry.ts";
import { readAci } from "../../appc/aci/read.ts";
import { belowRootfs, createTarPacker, writableSink } from "../../appc/aci/tar-pack.ts";
import { writeAci } from "../../appc/aci/write.ts";
import { isImageID } from "../../appc/types/image-id.ts";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import { aciBytes, gnuLong, inPieces, MANIFEST_TEXT, paxHeader, tarEntry } from "../support/tar-bytes.ts";

const { getXattrs } = createLinuxSyscall();
const CAPABILITY = Buffer.from("0100000200040000000000000000000000000000", "hex");
const LONG = `${"directory-with-a-long-name/".repeat(9)}file`;

/** A root file system with one of everything that an image may hold. */
function makeTree(t: Test): string {
	const root = path.join(
		t.testdir({
			image: { manifest: MANIFEST_TEXT, rootfs: { etc: { passwd: "root:x:0:0::/:/bin/sh\n" }, empty: "" } },
		}),
		"image",
	);
	const rootfs = path.join(root, "rootfs");
	fs.mkdirSync(path.join(rootfs, path.dirname(LONG)), { recursive: true });
	fs.writeFileSync(path.join(rootfs, LONG), "long");
	fs.writeFileSync(path.join(rootfs, "Grüße-😀"), "unicode");
	fs.writeFileSync(path.join(rootfs, "su"), "x".repeat(100_000));
	fs.linkSync(path.join(rootfs, "su"), path.join(rootfs, "zz-link"));
	fs.symlinkSync("/etc/passwd", path.join(rootfs, "absolute"));
	fs.symlinkSync(`../../${LONG}`, path.join(rootfs, "relative"));
	fs.mkdirSync(path.join(rootfs, "tmp"));
	execFileSync("mkfifo", [path.join(rootfs, "pipe")]);
	execFileSync("mknod", [path.join(rootfs, "null"), "c", "1", "3"]);
	fs.chownSync(path.join(rootfs, "su"), 1234, 4294967294);
	fs.chownSync(path.join(rootfs, "empty"), 3_000_000_000, 3_000_000_001);
	fs.lchownSync(path.join(rootfs, "absolute"), 5, 6);
	fs.chmodSync(path.join(rootfs, "su"), 0o6755);
	fs.chmodSync(path.join(rootfs, "tmp"), 0o1777);
	fs.utimesSync(path.join(rootfs, "empty"), 1, 1234567890.125);
	execFileSync("setfattr", ["-n", "user.color", "-v", "0x00ff0a3d", path.join(rootfs, "su")]);
	execFileSync("setfattr", [
		"-n",
		"security.capability",
		"-v",
		`0x${CAPABILITY.toString("hex")}`,
		path.join(rootfs, "etc/passwd"),
	]);
	return root;
}

/** What a tree comes to: a line for each entry, with everything that an image must keep. */
function listing(rootfs: string, withFraction: boolean): string[] {
	return [...directoryEntries(rootfs, { getXattrs })].map(({ entry }) => {
		const content = entry.type === "file" ? fs.readFileSync(path.join(rootfs, entry.path.slice(7))) : "";
		const xattrs = [...(entry.xattrs ?? [])]
			.map(([name, value]) => `${name}=${value.toString("hex")}`)
			.sort();
		const mtime =
			entry.type === "symlink" ? 0n : withFraction ? entry.mtimeNs : entry.mtimeNs / 1_000_000_000n;
		const { path: name, type, mode, uid, gid, size, linkTarget, device } = entry;
		const digest = createHash("sha256").update(content).digest("hex");
		return JSON.stringify([
			name,
			type,
			mode,
			uid,
			gid,
			size,
			linkTarget,
			device,
			String(mtime),
			digest,
			...xattrs,
		]);
	});
}

async function collect(
	bytes: AsyncIterable<Buffer>,
): Promise<{ result: Awaited<ReturnType<typeof readAci>>; entries: TarEntry[]; plain: Buffer }> {
	const entries: TarEntry[] = [];
	const chunks: Buffer[] = [];
	const result = await readAci(bytes, {
		source: "test image",
		onEntry: (entry) => {
			entries.push(entry);
		},
		onUncompressedChunk: (chunk) => {
			chunks.push(chunk);
		},
	});
	return { result, entries, plain: Buffer.concat(chunks) };
}

/** Checks an archive and has GNU tar unpack what our packer makes of it. */
async function unpack(bytes: AsyncIterable<Buffer>, target: string): Promise<void> {
	fs.mkdirSync(target);
	const chunks: Buffer[] = [];
	const packer = createTarPacker((chunk) => {
		chunks.push(chunk);
	});
	await readAci(bytes, {
		source: "test image",
		onEntry: (entry, body) => packer.add(belowRootfs(entry), body),
	});
	await packer.finish();
	const args = ["-xp", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", target];
	const { status, stderr } = spawnSync("tar", args, { input: Buffer.concat(chunks) });
	if (status !== 0 || stderr.length > 0) throw new Error(`tar: ${stderr}`);
}

const memory = (): { sink: Writable; bytes: () => Buffer } => {
	const chunks: Buffer[] = [];
	const sink = new Writable({
		write: (chunk, _, done) => {
			chunks.push(chunk);
			done();
		},
	});
	return { sink, bytes: () => Buffer.concat(chunks) };
};

t.test("archives of real programs, unpacked again, are the tree they were made of", async (t) => {
	const root = makeTree(t);
	const rootfs = path.join(root, "rootfs");
	const xattrs = ["--xattrs", "--xattrs-include=*"];
	const ways: [name: string, program: string, args: string[], exact: boolean][] = [
		["GNU tar, pax", "tar", ["--format=pax", ...xattrs, "-cf", "-", "manifest", "rootfs"], true],
		[
			"GNU tar, pax, sorted, from .",
			"tar",
			["--format=pax", "--sort=name", ...xattrs, "-cf", "-", "."],
			true,
		],
		["GNU tar, gnu", "tar", ["--format=gnu", "-cf", "-", "manifest", "rootfs"], false],
		["GNU tar, oldgnu", "tar", ["--format=oldgnu", "-cf", "-", "rootfs", "manifest"], false],
		[
			"busybox tar",
			"sh",
			["-c", "chown 1:1 rootfs/su rootfs/empty; busybox tar -cf - manifest rootfs"],
			false,
		],
		[
			"cpio, ustar",
			"sh",
			["-c", "rm -r rootfs/directory* rootfs/relative; find manifest rootfs | cpio --quiet -o -H ustar"],
			false,
		],
	];
	for (const [name, program, args, exact] of ways) {
		const made = spawnSync(program, args, { cwd: root, maxBuffer: 1 << 28 });
		if (program === "sh" && made.status === 127) continue;
		t.equal(made.status, 0, `${name}: ${made.stderr}`);
		const target = path.join(root, "..", `out-${name.replace(/\W/g, "-")}`);
		await unpack(inPieces(made.stdout, 65_536), target);
		const seconds = (lines: string[]): string[] =>
			exact ? lines : lines.map((line) => line.replace(/,"(?:user|security)\.[^"]*"/g, ""));
		t.strictSame(seconds(listing(target, exact)), seconds(listing(rootfs, exact)), name);
	}
});

t.test("every compression gives the same image ID: that of sha512sum over the archive", async (t) => {
	const root = makeTree(t);
	execFileSync("tar", ["--format=pax", "-cf", "plain", "manifest", "rootfs"], { cwd: root });
	const expected = `sha512-${execFileSync("sha512sum", [path.join(root, "plain")])
		.toString()
		.slice(0, 128)}`;
	for (const [tool, compression] of [["cat"], ["gzip", "gzip"], ["bzip2", "bzip2"], ["xz", "xz"]]) {
		const args = tool === "cat" ? ["plain"] : ["-c", "plain"];
		const data = execFileSync(tool ?? "", args, { cwd: root, maxBuffer: 1 << 28 });
		for (const size of [1000, 1 << 20]) {
			const { result, plain } = await collect(inPieces(data, size));
			t.equal(result.imageId, expected);
			t.equal(isImageID(result.imageId), true);
			t.equal(result.compression, compression ?? "none");
			t.equal(result.uncompressedBytes, plain.length);
			t.equal(plain.equals(fs.readFileSync(path.join(root, "plain"))), true);
			t.equal(result.manifest.name, "example.com/app");
			t.equal(result.manifestText, MANIFEST_TEXT);
		}
	}
	const streamed = await collect(fs.createReadStream(path.join(root, "plain")) as AsyncIterable<Buffer>);
	t.equal(streamed.result.imageId, expected);
});

t.test("what is written is read back the same, by us and by tar", async (t) => {
	const root = makeTree(t);
	const rootfs = path.join(root, "rootfs");
	const options = { manifest: MANIFEST_TEXT, compression: "gzip" } as const;
	const outputs = [memory(), memory()];
	const written = await Promise.all(
		outputs.map(({ sink }) =>
			writeAci({ ...options, rootfs: directoryEntries(rootfs, { getXattrs }) }, sink),
		),
	);
	t.strictSame(written[0], written[1]);
	t.ok(outputs[0]?.bytes().equals(outputs[1]?.bytes() ?? Buffer.alloc(0)), "the same bytes twice");
	const bytes = outputs[0]?.bytes() ?? Buffer.alloc(0);
	const { result, entries } = await collect(inPieces(bytes, 10_000));
	t.equal(result.imageId, written[0]?.imageId);
	t.equal(result.uncompressedBytes, written[0]?.uncompressedBytes);
	t.strictSame(
		entries,
		[...directoryEntries(rootfs, { getXattrs })].map(({ entry }) => entry),
	);
	await unpack(inPieces(bytes, 10_000), path.join(root, "..", "ours"));
	t.strictSame(listing(path.join(root, "..", "ours"), true), listing(rootfs, true));
	const listed = spawnSync("tar", ["-tzf", "-"], { input: bytes });
	t.equal(listed.stderr.toString(), "");
	t.match(listed.stdout.toString(), /^manifest\nrootfs\/\nrootfs\/Gr/);
});

t.test("another reader of tar agrees with what we write", async (t) => {
	const root = makeTree(t);
	const { sink, bytes } = memory();
	await writeAci({ manifest: MANIFEST_TEXT, rootfs: directoryEntries(path.join(root, "rootfs")) }, sink);
	const extract = tarStream.extract();
	extract.end(bytes());
	const names: string[] = [];
	for await (const entry of extract) {
		names.push(entry.header.name.replace(/\/$/, ""));
		entry.resume();
	}
	t.strictSame(names, [
		"manifest",
		...[...directoryEntries(path.join(root, "rootfs"))].map(({ entry }) => entry.path),
	]);
});

t.test("another writer of tar is read", async (t) => {
	const pack = tarStream.pack();
	pack.entry({ name: "manifest" }, MANIFEST_TEXT);
	pack.entry({ name: "rootfs", type: "directory" });
	pack.entry({ name: `rootfs/${LONG}`, mode: 0o755, mtime: new Date(5000) }, "hello");
	pack.entry({ name: "rootfs/link", type: "link", linkname: `rootfs/${LONG}` });
	pack.finalize();
	const { entries } = await collect(pack as unknown as AsyncIterable<Buffer>);
	t.match(entries, [
		{ path: "rootfs", type: "directory" },
		{ path: `rootfs/${LONG}`, type: "file", size: 5, mode: 0o755, mtimeNs: 5_000_000_000n },
		{ path: "rootfs/link", type: "hardlink", linkTarget: `rootfs/${LONG}` },
	]);
});

t.test("details of entries", async (t) => {
	const { entries, result } = await collect(
		inPieces(
			aciBytes(
				paxHeader({
					path: "rootfs/pax",
					mtime: "-1.5",
					uid: "70000",
					gid: "80000",
					"SCHILY.xattr.user.a%3Db": "v=w",
					"SCHILY.acl.access": "x",
				}),
				tarEntry({ name: "rootfs/short", mode: "0104755\0", body: "x" }),
				gnuLong(`rootfs/${"l".repeat(200)}`),
				gnuLong("t".repeat(200), "K"),
				tarEntry({ name: "rootfs/lll", flag: "2", link: "ttt", magic: "ustar  \0" }),
				paxHeader({ "SCHILY.xattr.trusted.x": "1", "SCHILY.xattr.user.overlay.opaque": "y" }),
				tarEntry({ name: "rootfs/plain", uid: "  123 \0", mtime: "14247403221\0" }),
				tarEntry({ name: "rootfs/tty", flag: "3", major: 5, minor: 0 }),
			),
			511,
		),
	);
	t.strictSame(entries, [
		{ path: "rootfs", type: "directory", mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: 0n },
		{
			path: "rootfs/pax",
			type: "file",
			mode: 0o4755,
			uid: 70000,
			gid: 80000,
			size: 1,
			mtimeNs: -1_500_000_000n,
			xattrs: new Map([["user.a=b", Buffer.from("v=w")]]),
		},
		{
			path: `rootfs/${"l".repeat(200)}`,
			type: "symlink",
			mode: 0o644,
			uid: 0,
			gid: 0,
			size: 0,
			mtimeNs: 0n,
			linkTarget: "t".repeat(200),
		},
		{
			path: "rootfs/plain",
			type: "file",
			mode: 0o644,
			uid: 83,
			gid: 0,
			size: 0,
			mtimeNs: BigInt(0o14247403221) * 1_000_000_000n,
		},
		{
			path: "rootfs/tty",
			type: "character-device",
			mode: 0o644,
			uid: 0,
			gid: 0,
			size: 0,
			mtimeNs: 0n,
			device: { major: 5, minor: 0 },
		},
	]);
	t.equal(result.entries, 6);
});

t.test("bodies: whole, in part, or not at all", async (t) => {
	const bodies = ["a".repeat(5000), "b".repeat(5000), "c".repeat(5000), ""];
	const archive = aciBytes(...bodies.map((body, index) => tarEntry({ name: `rootfs/${index}`, body })));
	const seen: string[] = [];
	await readAci(inPieces(archive, 1000), {
		source: "x",
		onEntry: async ({ path: name }, body) => {
			if (name === "rootfs/1") return;
			let text = "";
			for await (const chunk of body) {
				text += chunk.toString();
				if (name === "rootfs/2") break;
			}
			seen.push(`${name} ${text.length}`);
		},
	});
	t.strictSame(
		seen.map((line) => line.replace(/^(rootfs\/2) \d+$/, "$1 part")),
		["rootfs 0", "rootfs/0 5000", "rootfs/2 part", "rootfs/3 0"],
	);
});

t.test("failures of writing", async (t) => {
	const entry: TarEntry = {
		path: "rootfs/f",
		type: "file",
		mode: 0o644,
		uid: 0,
		gid: 0,
		size: 3,
		mtimeNs: 0n,
	};
	const content = (body: Buffer): AciContent[] => [{ entry, body }];
	for (const body of ["ab", "abcd"]) {
		const { sink } = memory();
		await t.rejects(writeAci({ manifest: "{}", rootfs: content(Buffer.from(body)) }, sink), {
			code: "archive-size",
		});
		t.equal(sink.destroyed, true);
	}
	const full = new Writable({ write: (_chunk, _encoding, done) => done(new Error("disk full")) });
	const large = { ...entry, size: 10_000_000 };
	await t.rejects(
		writeAci({ manifest: "{}", rootfs: [{ entry: large, body: Buffer.alloc(10_000_000) }] }, full),
		{ message: "disk full" },
	);
	const closed = new PassThrough();
	closed.destroy();
	await t.rejects(async () => writableSink(closed)(Buffer.alloc(10)), { message: /closed/ });
	const stalled = new PassThrough({ highWaterMark: 1 });
	const pending = Promise.resolve(writableSink(stalled)(Buffer.alloc(10)));
	setImmediate(() => stalled.destroy());
	await t.resolves(pending);
	const huge = { ...entry, size: 2 ** 34, uid: 2_097_152, mtimeNs: 2n ** 40n * 1_000_000_000n };
	const chunks: Buffer[] = [];
	const packer = createTarPacker((chunk) => {
		chunks.push(chunk);
	});
	await t.rejects(packer.add(huge, Buffer.from("x")), { code: "archive-size" });
});
