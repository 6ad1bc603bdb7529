import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { runCommand } from "../../lib/process.ts";
import { BUSYBOX, createBusyboxHost } from "../support/busybox-host.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

const FLAVORS = [
	{ flavor: "kvm-uml", program: "linux" },
	{ flavor: "kvm", program: "vmlinux" },
];

t.test("which kernel a virtual machine boots", async (t) => {
	const host = await createBusyboxHost("guest-kernel");
	t.teardown(() => host.remove());
	for (const { flavor, program } of FLAVORS) {
		const aci = path.join(distDirectory(), `stage1-${flavor}.aci`);
		const sha512 = sha512Of(aci, `rootfs/rkt/vm/${program}`);
		const file = path.join(host.directory, `uuid-${flavor}`);
		const flags = ["--net=none", `--stage1-image=${flavor}`, `--uuid-file-save=${file}`];
		const ran = await host.rkt(["run", ...flags, BUSYBOX, "--exec=/bin/sh", "--", "-c", "uname -r"]);
		t.equal(ran.status, 0, ran.stderr);
		const release = ran.stdout.trim().split(" ").at(-1) as string;
		t.match(release, /^6\./);
		const uuid = fs.readFileSync(file, "utf8");
		const text = (await host.rkt(["status", uuid])).stdout;
		t.ok(text.includes(`\nguest-kernel=${release}\n`), `${flavor}: the release that the guest has: ${text}`);
		t.ok(text.includes(`\nguest-kernel-sha512=${sha512}\n`), `${flavor}: the hash of the file in the image`);
		const json = JSON.parse((await host.rkt(["status", "--format=json", uuid])).stdout);
		t.match(json.guest_kernel, { release, sha512, source: /^(linux-image-6|user-mode-linux |stage1-kvm\/)/ });
		const list = JSON.parse((await host.rkt(["image", "list", "--format=json"])).stdout);
		const image = list.find(({ name }: { name: string }) => name.includes(`stage1-${flavor}:`));
		t.strictSame(image.guest_kernel, json.guest_kernel);
		const columns = (await host.rkt(["image", "list", "--fields=name,kernel"])).stdout;
		t.match(columns, new RegExp(`stage1-${flavor}:\\S+\\s+${release.replaceAll(/[.+]/g, "\\$&")}\n`));
	}
	const nspawn = await host.rkt(["run", "--net=none", BUSYBOX, "--exec=/bin/true"]);
	t.equal(nspawn.status, 0, nspawn.stderr);
	const pods = (await host.rkt(["list", "--full", "--no-legend"])).stdout.split("\n");
	const plain = pods.map((line) => line.split(/\s/)[0] ?? "").filter((uuid) => uuid.length === 36);
	const statuses = await Promise.all(plain.map(async (uuid) => (await host.rkt(["status", uuid])).stdout));
	t.equal(
		statuses.filter((text) => text.includes("guest-kernel=")).length,
		FLAVORS.length,
		"nspawn has none",
	);
	t.notMatch((await host.rkt(["image", "list"])).stdout, /KERNEL/, "the usual columns are rkt's");
});

function sha512Of(archive: string, member: string): string {
	const target = fs.mkdtempSync("/var/tmp/rkt-guest-kernel-");
	try {
		const result = runCommand("tar", ["-C", target, "-xf", archive, member]);
		if (result.status !== 0) throw new Error(result.stderr);
		return createHash("sha512")
			.update(fs.readFileSync(path.join(target, member)))
			.digest("hex");
	} finally {
		fs.rmSync(target, { recursive: true, force: true });
	}
}
