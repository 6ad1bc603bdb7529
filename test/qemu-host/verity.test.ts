import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { busyboxFiles, imageManifest, makeAci } from "../support/make-aci.ts";
import { runInQemuHost } from "../support/qemu-host.ts";

const IMAGE = "example.com/sealed";
const RKT = "dist/rkt --dir=/mnt/rkt --local-config=/tmp/etc";
const DATA = "0123456789".repeat(2000);
/** Bytes in a block of the file system. */
const BLOCK = 4096;

t.setTimeout(300_000);
t.test("files of an image are sealed where the file system can do it", async (t) => {
	const directory = fs.mkdtempSync("/var/tmp/rkt-verity-");
	t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
	const image = path.join(directory, "image.aci");
	await makeAci(image, {
		manifest: imageManifest(IMAGE),
		files: { ...busyboxFiles(), "etc/data": { text: DATA } },
	});
	const disk = path.join(directory, "disk");
	fs.writeFileSync(disk, "");
	fs.truncateSync(disk, 256 << 20);
	execFileSync("mkfs.ext4", ["-q", "-b", String(BLOCK), "-O", "verity", disk]);
	const verify = `${RKT} image verify ${IMAGE}`;
	const sealed = await runInQemuHost(
		directory,
		disk,
		`${RKT} --insecure-options=image fetch ${image} >/dev/null && ${RKT} image render ${IMAGE} /tmp/rendered || exit
		cd /mnt/rkt/cas/tree/*/rootfs/etc
		echo more >>data
		lsattr data; stat -c %s data; pwd`,
	);
	t.equal(sealed.status, 0, sealed.output);
	const [attributes = "", size, where = ""] = sealed.output.split("\n").slice(-4);
	t.match(attributes, /^\S*V\S* data$/, "lsattr(1) shows what the kernel checks");
	t.match(sealed.output, "cannot create data: Operation not permitted", "nobody writes");
	t.equal(size, "20000");

	flipByte(disk, `${where.slice("/mnt".length)}/data`);
	const flipped = await runInQemuHost(
		directory,
		disk,
		`cat ${where}/data >/dev/null
		${verify}; cat ${where}/data`,
	);
	t.match(flipped.output, /^cat: \S+: Input\/output error\n/, "nobody reads other content");
	t.match(flipped.output, "/etc/data has other content", "it is named");
	t.ok(flipped.output.endsWith(DATA), "and made anew", { output: flipped.output });
	t.equal(flipped.status, 0);
});

/** On the disk beneath the file system. */
function flipByte(disk: string, file: string): void {
	const block = Number(
		execFileSync("debugfs", ["-R", `bmap ${file} 2`, disk], { encoding: "utf8", stdio: "pipe" }),
	);
	if (!(block > 0)) throw new Error(`no block of ${file}`);
	const fd = fs.openSync(disk, "r+");
	const byte = Buffer.alloc(1);
	fs.readSync(fd, byte, 0, 1, block * BLOCK + 7);
	fs.writeSync(fd, Buffer.of((byte[0] as number) ^ 1), 0, 1, block * BLOCK + 7);
	fs.closeSync(fd);
}
