import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import type { TarEntry } from "../../appc/aci/entry.ts";
import type { AciLimits } from "../../appc/aci/limits.ts";
import { createTarPacker } from "../../appc/aci/tar-pack.ts";
import { readLayer } from "../../appc/oci/layer-read.ts";
import { indexTar } from "../../appc/oci/tar-index.ts";
import { messageOf } from "../../lib/errors.ts";
import { inPieces, octal, paxHeader, TAR_END, tarEntry } from "../support/tar-bytes.ts";

const FORMATS = [
	["--format=gnu"],
	["--format=pax", "--sparse-version=0.0"],
	["--format=pax", "--sparse-version=0.1"],
	["--format=pax", "--sparse-version=1.0"],
];

/** Files with holes in every place: none, at both ends, only, and more of them than fit into a header. */
function makeFiles(t: Test): string {
	const directory = path.join(t.testdir({ files: {} }), "files");
	const write = (name: string, size: number, ...places: number[]): void => {
		const fd = fs.openSync(path.join(directory, name), "w");
		for (const place of places) fs.writeSync(fd, `data at ${place}`, place);
		fs.ftruncateSync(fd, size);
		fs.closeSync(fd);
	};
	write("ends", 4 << 20, 0, (4 << 20) - 20);
	write("middle", (4 << 20) + 123, 2 << 20);
	write("hole", 3 << 20);
	write("many", 4 << 20, ...Array.from({ length: 60 }, (_, index) => index * 65536 + 7));
	write("ä".repeat(100), 1 << 20, 70_000);
	fs.writeFileSync(path.join(directory, "plain"), "x".repeat(5000));
	return directory;
}

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const contents = (directory: string): Record<string, string> =>
	Object.fromEntries(
		fs.readdirSync(directory).map((name) => [name, sha256(fs.readFileSync(path.join(directory, name)))]),
	);
const blocks = (directory: string): number =>
	fs.readdirSync(directory).reduce((sum, name) => sum + fs.statSync(path.join(directory, name)).blocks, 0);

async function read(
	archive: Buffer,
	onEntry: (entry: TarEntry, body: AsyncIterable<Buffer>) => Promise<void>,
	limits: Partial<AciLimits> = {},
): Promise<void> {
	await readLayer(inPieces(archive, 700), {
		source: "X",
		diffId: `sha256:${sha256(archive)}`,
		onEntry,
		limits,
	});
}

async function whole(body: AsyncIterable<Buffer>): Promise<Buffer> {
	const pieces: Buffer[] = [];
	for await (const piece of body) pieces.push(Buffer.from(piece));
	return Buffer.concat(pieces);
}

t.test("files of GNU tar with holes are read, and written with the same holes", async (t) => {
	const directory = makeFiles(t);
	const expected = contents(directory);
	for (const format of FORMATS) {
		const args = [...format, "--sparse", "--hole-detection=raw", "-C", directory, "-cf", "-", "."];
		const archive = execFileSync("tar", args, { maxBuffer: 1 << 26 });
		const found: Record<string, string> = {};
		const chunks: Buffer[] = [];
		const packer = createTarPacker((chunk) => void chunks.push(chunk));
		await read(archive, async (entry, body) => {
			if (entry.type !== "file") return;
			const content = await whole(body);
			t.equal(content.length, entry.size, entry.path);
			found[entry.path] = sha256(content);
			await packer.add(entry, content);
		});
		await packer.finish();
		t.strictSame(found, expected, format.join(" "));

		const target = path.join(t.testdirName, `unpacked${FORMATS.indexOf(format)}`);
		fs.mkdirSync(target);
		const written = Buffer.concat(chunks);
		const { stderr } = spawnSync("tar", ["-x", "-C", target], { input: written });
		t.equal(stderr.toString(), "");
		t.strictSame(contents(target), expected);
		t.ok(blocks(target) * 512 < 2 << 20, `holes take no room: ${blocks(target)} blocks`);
		t.ok(written.length < 2 << 20, `nor are they in the archive: ${written.length} bytes`);
	}
});

t.test("entries behind a sparse file that nobody read", async (t) => {
	const directory = makeFiles(t);
	for (const format of FORMATS) {
		const archive = execFileSync("tar", [...format, "-S", "-C", directory, "-cf", "-", "."], {
			maxBuffer: 1 << 26,
		});
		const names: string[] = [];
		await read(archive, async ({ path: name }) => void names.push(name));
		t.strictSame(names.sort(), ["", ...Object.keys(contents(directory))].sort(), format.join(" "));
	}
});

type Case = readonly [name: string, archive: Buffer, message: string];

const sparse = (records: Record<string, string>, body = "abcd"): Buffer =>
	Buffer.concat([
		paxHeader({ "GNU.sparse.name": "f", "GNU.sparse.size": "100", ...records }),
		tarEntry({ name: "GNUSparseFile.1/f", body }),
		TAR_END,
	]);
const version1 = (map: string, data = "abcd", size = "100"): Buffer =>
	sparse(
		{
			"GNU.sparse.major": "1",
			"GNU.sparse.minor": "0",
			"GNU.sparse.realsize": size,
			"GNU.sparse.size": size,
		},
		map + "\0".repeat(-map.length & 511) + data,
	);
/** The old header: offsets and lengths in octal from byte 386 on, then the flag for more, then the size. */
const old = (
	ranges: readonly (readonly [number, number])[],
	{ more = 0, size = 100, body = "abcd" } = {},
): Buffer => {
	const numbers = ranges.flatMap(([offset, length]) => [`${octal(offset, 11)}\0`, `${octal(length, 11)}\0`]);
	const map = numbers.join("").padEnd(96, "\0");
	const prefix = `${"\0".repeat(386 - 345)}${map}`.slice(0, 155);
	const block = tarEntry({ name: "f", flag: "S", magic: "ustar  \0", body, prefix });
	block[482] = more;
	Buffer.from(`${octal(size, 11)}\0`).copy(block, 483);
	block.fill(" ", 148, 156);
	const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
	block.write(`${octal(sum, 6)}\0 `, 148, 8, "latin1");
	return Buffer.concat([block, TAR_END]);
};

const BAD_MAPS: Case[] = [
	["overlapping", sparse({ "GNU.sparse.map": "0,3,2,1" }), "overlap"],
	["backwards", sparse({ "GNU.sparse.map": "50,2,10,2" }), "overlap"],
	["beyond the file", sparse({ "GNU.sparse.map": "98,4" }), "leaves the file"],
	["more data than the archive has", sparse({ "GNU.sparse.map": "0,5" }), "has 5 bytes of data"],
	["less data than the archive has", sparse({ "GNU.sparse.map": "0,3" }), "has 3 bytes of data"],
	["no map", sparse({}), "has 0 bytes of data"],
	["half a range", sparse({ "GNU.sparse.map": "0,4,8" }), "malformed"],
	["a negative number", sparse({ "GNU.sparse.map": "-1,4" }), "malformed"],
	["a number of 1 EB", sparse({ "GNU.sparse.map": "1000000000000000000,4" }), "malformed"],
	["a negative size", sparse({ "GNU.sparse.map": "0,4", "GNU.sparse.size": "-5" }), "impossible size"],
	[
		"a size of 1 EB",
		sparse({ "GNU.sparse.map": "0,4", "GNU.sparse.size": "1000000000000000000" }),
		"impossible",
	],
	["version 2.0", sparse({ "GNU.sparse.major": "2", "GNU.sparse.minor": "0" }), "unknown format"],
	["version 1.1", sparse({ "GNU.sparse.major": "1", "GNU.sparse.minor": "1" }), "unknown format"],
	["1.0 overlapping", version1("2\n0\n3\n2\n1\n"), "overlap"],
	["1.0 with too few numbers", version1("2\n0\n4\n", ""), "malformed"],
	["1.0 with a count that is none", version1("x\n0\n4\n"), "malformed"],
	["1.0 with a hexadecimal count", version1("0x1\n0\n4\n"), "malformed"],
	["1.0 with 1 EB of ranges", version1("1000000000000000000\n0\n4\n"), "malformed"],
	["1.0 without data", version1("1\n0\n4\n", ""), "has 4 bytes of data"],
	[
		"1.0 with a second map",
		Buffer.concat([
			paxHeader({
				"GNU.sparse.major": "1",
				"GNU.sparse.minor": "0",
				"GNU.sparse.realsize": "9",
				"GNU.sparse.map": "0,4",
			}),
			tarEntry({ name: "f", body: "abcd" }),
			TAR_END,
		]),
		"two maps",
	],
	["1.0 with a map of 2 MB", version1(`100000000\n${"0\n".repeat(1 << 20)}`), "longer than"],
	[
		"old, overlapping",
		old([
			[0, 3],
			[2, 1],
		]),
		"overlap",
	],
	["old, beyond the file", old([[98, 4]]), "leaves the file"],
	["old, less data", old([[0, 3]]), "has 3 bytes of data"],
	["old, without an end of the map", old([[0, 4]], { more: 1 }), "malformed"],
	["old, 8 EB", old([[0, 4]], { size: Number.NaN }), "impossible size"],
	[
		"a directory with holes",
		Buffer.concat([
			paxHeader({ "GNU.sparse.map": "", "GNU.sparse.size": "100" }),
			tarEntry({ name: "d/", flag: "5" }),
			TAR_END,
		]),
		"unknown format",
	],
	[
		"a symlink with holes",
		Buffer.concat([
			paxHeader({ "GNU.sparse.map": "", "GNU.sparse.size": "100" }),
			tarEntry({ name: "l", flag: "2", link: "x" }),
			TAR_END,
		]),
		"unknown format",
	],
	["the name leads out", sparse({ "GNU.sparse.map": "0,4", "GNU.sparse.name": "../f" }), "goes up"],
	[
		"star's sparse file",
		Buffer.concat([paxHeader({ "SCHILY.realsize": "100" }), tarEntry({ name: "f" }), TAR_END]),
		"SCHILY.realsize",
	],
];

t.test("maps that lie are refused", async (t) => {
	for (const [name, archive, message] of BAD_MAPS) {
		const error = await read(archive, async (_, body) => void (await whole(body))).catch((reason) => reason);
		t.match(messageOf(error ?? "accepted"), message, name);
		t.equal(error?.code, "aci-invalid", name);
	}
	const good = await Promise.all(
		[sparse({ "GNU.sparse.map": "0,4" }), version1("1\n0\n4\n"), old([[0, 4]])].map(async (archive) => {
			let text = "";
			await read(archive, async (_, body) => {
				text = (await whole(body)).toString("latin1");
			});
			return text;
		}),
	);
	t.strictSame(new Set(good), new Set([`abcd${"\0".repeat(96)}`]), "the same without the lie are read");
});

t.test("the pairs of version 0.0 come in turn", async (t) => {
	const record = (keyword: string, value: number): string => {
		const text = ` GNU.sparse.${keyword}=${value}\n`;
		return `${text.length + 2}${text}`;
	};
	const archive = (...records: string[]): Buffer => {
		const body = ["14 comment=abc\n".replace("14", "15"), record("size", 100), ...records].join("");
		return Buffer.concat([tarEntry({ flag: "x", body }), tarEntry({ name: "f", body: "abcd" }), TAR_END]);
	};
	const verdict = (bytes: Buffer): Promise<string> =>
		read(bytes, async () => {}).then(
			() => "ok",
			(error) => messageOf(error),
		);
	const [offset, length] = [record("offset", 50), record("numbytes", 4)];
	t.equal(await verdict(archive(offset, length)), "ok");
	t.match(await verdict(archive(length, offset)), "malformed map");
	t.match(await verdict(archive(offset, length, offset)), "malformed map");
	t.match(await verdict(archive(offset, offset, length, length)), "malformed map");
});

t.test("holes have a limit, of all files together", async (t) => {
	const one = (name: string): Buffer =>
		Buffer.concat([
			paxHeader({ "GNU.sparse.name": name, "GNU.sparse.size": "1000", "GNU.sparse.map": "0,4" }),
			tarEntry({ name: "x", body: "abcd" }),
		]);
	const verdict = (limit: Partial<AciLimits>): Promise<string> =>
		read(Buffer.concat([one("a"), one("b"), TAR_END]), async () => {}, limit).then(
			() => "ok",
			({ code }) => code,
		);
	t.equal(await verdict({ maxHoleBytes: 2000 }), "ok");
	t.equal(await verdict({ maxHoleBytes: 1500 }), "aci-too-large");
	t.equal(await verdict({ maxExpandedBytes: 900 }), "aci-too-large");
	const huge = old([[0, 4]], { size: 2 ** 33 - 1 });
	t.ok(huge.length < 3000);
	await t.rejects(
		read(huge, async () => {}, { maxHoleBytes: 2 ** 32 }),
		{ code: "aci-too-large" },
	);
});

t.test("archives that hold images are not read with holes in them", async (t) => {
	for (const bytes of [sparse({ "GNU.sparse.map": "0,4" }), old([[0, 4]])]) {
		const source = {
			size: bytes.length,
			read: (at: number, length: number) => bytes.subarray(at, at + length),
		};
		await t.rejects(indexTar(source, "X"), { code: "aci-invalid", message: /without --sparse/ });
	}
});
