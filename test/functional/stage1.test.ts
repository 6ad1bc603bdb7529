import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";
import t from "tap";
import { BUSYBOX, type BusyboxHost, createBusyboxHost, outputLines } from "../support/busybox-host.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { imageManifest, makeAci } from "../support/make-aci.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

t.test("the stage1 interface", async (t) => {
	const host = await createBusyboxHost("stage1");
	t.teardown(() => host.remove());

	t.test("--private-users is not needed where pods have users of their own", async (t) => {
		const pod = ["--private-users", "--stage1-image=kvm-uml"];
		const result = await host.shell("cat /proc/self/uid_map; stat -c %u /bin/sh", { pod });
		t.equal(result.status, 0, result.stderr);
		t.match(
			result.stderr,
			/^run: --private-users has no effect: pods of \S+kvm-uml have users of their own/m,
		);
		t.equal(result.stderr.match(/private-users/g)?.length, 1, "one line");
		t.match(outputLines(result), [/^\s+0\s+0\s+4294967295$/, "0"]);
	});

	t.test("a stage1 without entry points is refused, and what it lacks is named", async (t) => {
		const file = path.join(host.directory, "empty-stage1.aci");
		await makeAci(file, { manifest: imageManifest("example.com/empty-stage1", { app: null }), files: {} });
		const result = await host.rkt(["--insecure-options=image", "run", `--stage1-path=${file}`, BUSYBOX]);
		t.equal(result.status, 254);
		t.match(result.stderr, /coreos\.com\/rkt\/stage1\/run/);
	});

	t.test("the module and the executables of our stage1 do the same", async (t) => {
		const image = await withoutModule(host);
		const script = "echo to stdout; env | sort; id; exit 13";
		const byModule = await host.shell(script);
		const flags = { pod: [`--stage1-path=${image}`, "--insecure-options=image"] };
		const byExecutable = await host.shell(script, flags);
		t.equal(byModule.status, 13, byModule.stderr);
		t.equal(byExecutable.status, 13, byExecutable.stderr);
		t.strictSame(outputLines(byExecutable), outputLines(byModule));
		const collected = await host.rkt(["gc", "--grace-period=0s"]);
		t.equal(collected.status, 0, { stderr: collected.stderr });
		t.equal((await host.rkt(["list", "--no-legend"])).stdout, "");
	});
});

/** Our stage1 image as another stage0 sees it. */
async function withoutModule(host: BusyboxHost): Promise<string> {
	const directory = path.join(host.directory, "stage1-image");
	fs.mkdirSync(directory);
	await execa("tar", ["-xpf", path.join(distDirectory(), "stage1-nspawn.aci"), "-C", directory]);
	const file = path.join(directory, "manifest");
	const manifest = JSON.parse(fs.readFileSync(file, "utf8"));
	manifest.annotations = manifest.annotations.filter(
		(one: { name: string }) => one.name !== "rkt.io/stage1/module",
	);
	fs.writeFileSync(file, JSON.stringify(manifest));
	await execa("tar", ["-cf", `${directory}.aci`, "-C", directory, "manifest", "rootfs"]);
	return `${directory}.aci`;
}
