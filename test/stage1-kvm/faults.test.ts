import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import {
	type BusyboxHost,
	createBusyboxHost,
	firstUuid,
	outputLines,
	type ShellFlags,
} from "../support/busybox-host.ts";
import { newTraces, readMachineTraces } from "../support/machine-traces.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import type { RktResult } from "../support/test-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

const UML = "--stage1-image=kvm-uml";
const EXTRA = "RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS";
/** QEMU's kernel looks for its first program in the archive that comes with it, and then has no root that it could mount. */
const NO_INIT = { [EXTRA]: "init=/nowhere rdinit=/nowhere" };

async function makeHost(t: Test, name: string): Promise<BusyboxHost> {
	const host = await createBusyboxHost(name);
	t.teardown(() => host.remove());
	return host;
}

/** Starts a pod and gives its UUID and its end. */
async function startPod(
	host: BusyboxHost,
	script: string,
	flags: readonly string[],
): Promise<{ uuid: string; ended: Promise<unknown> }> {
	const file = path.join(host.directory, `uuid-${Date.now()}`);
	const words = host.shellWords(script, { pod: [`--uuid-file-save=${file}`, ...flags] });
	const child = host.start(["run", ...words]);
	await waitFor("the UUID", () => fs.existsSync(file) && fs.statSync(file).size === 36);
	const uuid = fs.readFileSync(file, "utf8");
	const ready = await host.rkt(["status", "--wait-ready=60s", uuid]);
	if (ready.status !== 0) throw new Error(ready.stderr);
	return { uuid, ended: child.then(() => undefined) };
}

/** The pod is exited, and gc takes all of it. */
async function checkCollected(
	t: Test,
	host: BusyboxHost,
	uuid: string,
	before: ReturnType<typeof readMachineTraces>,
) {
	t.match((await host.rkt(["status", uuid])).stdout, /^state=exited$/m);
	const gc = await host.rkt(["gc", "--grace-period=0s"]);
	t.equal(gc.status, 0, gc.stderr);
	t.strictSame(newTraces(before, readMachineTraces(host.dataDirectory, [uuid])), [], "nothing is left");
}

const podOf = async (host: BusyboxHost): Promise<string> =>
	firstUuid((await host.rkt(["list", "--full", "--no-legend"])).stdout);

for (const flavor of ["kvm-uml", "kvm"]) {
	t.test(`${flavor}: the panic of a guest is shown and ends the pod, and only that`, async (t) => {
		const host = await makeHost(t, "panic");
		const before = readMachineTraces(host.dataDirectory, []);
		const pod = [`--stage1-image=${flavor}`];
		const result = await host.shell("true", { pod }, { environment: NO_INIT, timeoutMs: 60_000 });
		t.equal(result.status, 254, result.stderr);
		t.match(
			result.stdout,
			/Kernel panic - not syncing: (Requested init \/nowhere failed|VFS: Unable to mount root)/,
		);
		t.match(result.stderr, /^monitor: the virtual machine ended before the pod had a status$/m);
		await checkCollected(t, host, await podOf(host), before);
	});
}

/** Prepares a pod; gives its UUID, and the directory in which it finds files of its root that are not the image's. */
async function prepare(
	host: BusyboxHost,
	script: string,
	flags: ShellFlags,
): Promise<{ uuid: string; upper: string }> {
	const words = host.shellWords(script, flags).slice(1);
	const prepared = await host.rkt(["prepare", "--quiet", ...words]);
	const uuid = firstUuid(prepared.stdout);
	const pod = path.join(host.dataDirectory, "pods/prepared", uuid);
	const tree = fs.readFileSync(path.join(pod, "stage1TreeStoreID"), "utf8").trim();
	return { uuid, upper: path.join(pod, "overlay", tree, "upper") };
}

t.test("kvm: what the host has mounted stays mounted when the apps have ended", async (t) => {
	const host = await makeHost(t, "mounts");
	const shared = path.join(host.directory, "shared");
	fs.mkdirSync(path.join(shared, "a b"), { recursive: true });
	spawnSync("mount", ["-t", "tmpfs", "tmpfs", path.join(shared, "a b")]);
	t.teardown(() => spawnSync("umount", [path.join(shared, "a b")]));
	const { uuid, upper } = await prepare(host, "sleep 1", {
		pod: ["--stage1-image=kvm", `--volume=v,kind=host,source=${shared}`],
		app: ["--mount=volume=v,target=/mnt"],
	});
	const units = path.join(upper, "etc/systemd/system");
	fs.mkdirSync(path.join(units, "default.target.wants"), { recursive: true });
	fs.copyFileSync("/bin/busybox", path.join(upper, "busybox"));
	const command = "ExecStart=/busybox cp /proc/1/mountinfo /mounts";
	const unit = `[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\n${command}\n`;
	fs.writeFileSync(path.join(units, "look.service"), unit);
	fs.symlinkSync("../look.service", path.join(units, "default.target.wants/look.service"));
	const ended = await host.rkt(["run-prepared", "--net=none", uuid], { timeoutMs: 60_000 });
	const mounts = path.join(upper.replace("/prepared/", "/run/"), "mounts");
	const seen = fs.existsSync(mounts) ? fs.readFileSync(mounts, "utf8") : "";
	const root = "/opt/stage2/busybox/rootfs";
	for (const mount of [root, `${root}/mnt`, `${root}/mnt/a\\040b`])
		t.ok(seen.includes(` ${mount} rw,relatime `), mount, { ...ended, seen });
});

t.test("what a guest does to its root reaches no other pod", async (t) => {
	const host = await makeHost(t, "root");
	const { uuid, upper } = await prepare(host, "true", { pod: [UML] });
	// As a guest whose kernel somebody has taken over: it may write to everything that it is shown.
	fs.copyFileSync("/bin/busybox", path.join(upper, "busybox"));
	const script = `#!/busybox sh
/busybox echo spoiled > /usr/lib/systemd/systemd && /busybox rm -r /usr/lib/x86_64-linux-gnu
/busybox chmod 777 /rkt/launch; /busybox echo "result: $(/busybox cat /usr/lib/systemd/systemd)"
/busybox mount -t devtmpfs none /dev; /busybox poweroff -f
`;
	fs.writeFileSync(path.join(upper, "taken"), script, { mode: 0o755 });
	const taken = await host.rkt(["run-prepared", "--net=none", uuid], {
		environment: { [EXTRA]: "init=/taken" },
		timeoutMs: 60_000,
	});
	t.match(taken.stdout, /result: spoiled/, "it could", taken);
	t.equal(taken.status, 254);
	const list = (await host.rkt(["image", "list", "--full", "--fields=id,name", "--no-legend"])).stdout;
	const id = list
		.split("\n")
		.find((line) => line.includes("stage1-kvm-uml"))
		?.split(/\s/)[0] as string;
	const verified = await host.rkt(["image", "verify", id]);
	t.equal(verified.status, 0, verified.stderr);
	const next = await host.shell("echo fine", { pod: [UML] });
	t.strictSame([next.status, outputLines(next)], [0, ["fine"]]);
});

t.test("a full disk ends a pod, and no command after it", async (t) => {
	const host = await makeHost(t, "full");
	const shared = path.join(host.directory, "shared");
	fs.mkdirSync(shared);
	spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", shared]);
	t.teardown(() => spawnSync("umount", [shared]));
	const result = await host.shell("dd if=/dev/zero of=/mnt/fill bs=64k 2>&1; echo status $?", {
		pod: [UML, `--volume=v,kind=host,source=${shared}`],
		app: ["--mount=volume=v,target=/mnt"],
	});
	t.match(result.stdout, /No space left on device/);
	t.match(result.stdout, /status 1/);
	t.equal(result.status, 0, "the pod goes on, and its status is on record");

	const data = path.join(host.directory, "small");
	fs.mkdirSync(data);
	spawnSync("mount", ["-t", "tmpfs", "-o", "size=170m", "tmpfs", data]);
	t.teardown(() => spawnSync("umount", ["-R", data]));
	const rkt = (...args: readonly string[]): Promise<RktResult> => host.rkt([`--dir=${data}`, ...args]);
	const image = path.join(host.directory, "example.com-busybox.aci");
	const run = (script: string): Promise<RktResult> =>
		rkt("--insecure-options=image", "run", UML, "--net=none", image, "--exec=/bin/sh", "--", "-c", script);
	const full = await run("dd if=/dev/zero of=/fill bs=64k");
	t.not(full.status, 0);
	t.match(`${full.stdout}${full.stderr}`, /No space left on device/);
	t.match((await rkt("list")).stdout, /\sexited\s/);
	t.match(await rkt("gc", "--grace-period=0s"), { status: 0 });
	const next = await run("echo fine");
	t.strictSame([next.status, outputLines(next)], [0, ["fine"]], next);
	await rkt("gc", "--grace-period=0s");
});

t.test("a pod whose network is taken away can be stopped and collected", async (t) => {
	const host = await makeHost(t, "gone");
	const before = readMachineTraces(host.dataDirectory, []);
	const script = "trap 'exit 5' TERM; while :; do sleep 0.1; done";
	const { uuid, ended } = await startPod(host, script, [UML, "--net=default"]);
	const name = `cni-${uuid}`;
	t.equal(spawnSync("ip", ["-n", name, "link", "del", "tap0"]).status, 0);
	t.equal(spawnSync("ip", ["netns", "del", name]).status, 0);
	t.match(await host.rkt(["enter", uuid, "/bin/true"]), { status: 0 }, "the channel is another");
	t.match(await host.rkt(["stop", uuid]), { status: 0 });
	await ended;
	t.match((await host.rkt(["status", uuid])).stdout, /^app-busybox=5$/m);
	await checkCollected(t, host, uuid, before);
});

t.test("ten pods at once", async (t) => {
	const host = await makeHost(t, "ten");
	await host.shell("true", { pod: [UML] });
	const all = await Promise.all(
		Array.from({ length: 10 }, (_, n) => host.shell(`echo ${n}; exit ${n}`, { pod: [UML] })),
	);
	t.strictSame(
		all.map((one) => [one.status, outputLines(one)]),
		Array.from({ length: 10 }, (_, n) => [n, [`${n}`]]),
	);
});
