import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { createFakeSyscall } from "../../lib/syscall/fake.ts";
import { requireHardware } from "../../stage1-kvm/hypervisors/accelerator.ts";
import type { Machine } from "../../stage1-kvm/hypervisors/hypervisor.ts";
import { contextId, lkvmArguments } from "../../stage1-kvm/hypervisors/lkvm.ts";
import { createBusyboxHost, outputLines } from "../support/busybox-host.ts";
import { createFakeMachine, type FakePod } from "../support/fake-machine.ts";
import { lkvmObstacle } from "../support/lkvm-obstacle.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-lkvm-");
t.teardown(() => {
	spawnSync("umount", ["--recursive", "--lazy", path.join(directory, "root/dev")]);
	fs.rmSync(directory, { recursive: true, force: true });
});
const fake = createFakeMachine(directory);

const MACHINE: Machine = {
	uuid: "6d0d2d8c-31d9-456c-b7d4-9c2a0b4d6c11",
	root: "/da,ta/pods/run/u/stage1/rootfs",
	programs: "/tree/rkt/vm",
	cpus: 2,
	memoryMiB: 300,
	disks: [],
	nics: [],
	debug: false,
	parameters: [],
	environment: {},
};
const CID = contextId(MACHINE.uuid);

t.test("the words for a pod without a network", (t) => {
	const words = lkvmArguments(MACHINE);
	t.strictSame(words.slice(0, -1), [
		"run",
		"--name=vm",
		"--cpus=2",
		"--mem=300",
		"--console=virtio",
		"--rng",
		"--no-dhcp",
		`--vsock=${CID}`,
		"--kernel=/proc/self/fd/3",
		"--disk=stage1/rootfs",
		"--network=mode=none",
	]);
	const parameters = words.at(-1)?.replace("--params=", "").split(" ") ?? [];
	const root = [
		"root=/dev/root",
		"rootfstype=9p",
		"rootflags=trans=virtio,version=9p2000.L,cache=mmap",
		"rw",
	];
	for (const word of [...root, "reboot=k", "rkt_off=reboot", "init=/rkt/vm/init", "quiet"]) {
		t.ok(parameters.includes(word), word);
	}
	t.notOk(parameters.some((word) => word.startsWith("rkt_disks")));
	t.end();
});

t.test("the words for cards, disks, and what the caller says", (t) => {
	const words = lkvmArguments({
		...MACHINE,
		nics: [
			{ tap: "tap0", mac: "ce:15:02:8d:78:f2", mtu: 1400 },
			{ tap: "tap1", mac: "ce:15:02:8d:78:f3", mtu: 1500 },
		],
		disks: [
			{ name: "7-0", node: "stage1/devices/7-0", readOnly: false },
			{ name: "8-16", node: "stage1/devices/8-16", readOnly: true },
		],
		debug: true,
		environment: { RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS: "a=1,2 b" },
	});
	t.strictSame(
		words.filter((word) => /^--(network|disk)/.test(word)),
		[
			"--disk=stage1/rootfs",
			"--disk=stage1/devices/7-0",
			"--disk=stage1/devices/8-16,ro",
			"--network=mode=tap,tapif=tap0,guest_mac=ce:15:02:8d:78:f2",
			"--network=mode=tap,tapif=tap1,guest_mac=ce:15:02:8d:78:f3",
		],
	);
	t.match(words.at(-1), / rkt_disks=vda:7-0,vdb:8-16 rkt_disks_in_order=1 .* rkt\.debug a=1,2 b$/);
	t.end();
});

t.test("what lkvm would cut off or leave out is refused", (t) => {
	const disk = { name: "7-0", node: "stage1/devices/7-0", readOnly: false };
	t.throws(() => lkvmArguments({ ...MACHINE, disks: Array(5).fill(disk) }), { code: "own-kernel-refuses" });
	const environment = { RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS: "x".repeat(1500) };
	t.throws(() => lkvmArguments({ ...MACHINE, environment }), { code: "kernel-parameters-invalid" });
	t.end();
});

t.test("every pod has an address of its own, and none that means something else", (t) => {
	const uuid = (first: string): string => `${first}${MACHINE.uuid.slice(8)}`;
	t.equal(contextId(uuid("00000000")), 3);
	t.equal(contextId(uuid("7fffffff")), 5);
	t.ok(contextId(uuid("ffffffff")) < 2 ** 32 - 1);
	t.not(contextId(uuid("00000001")), contextId(uuid("00000002")));
	t.end();
});

t.test("without hardware virtualization lkvm is refused, with the reason", (t) => {
	const cpuinfo = path.join(directory, "cpuinfo");
	const files = { cpuinfo, device: "/dev/null" };
	const syscall = createFakeSyscall({ ioctl: () => fs.openSync("/dev/null", "r") });
	fs.writeFileSync(cpuinfo, "flags\t\t: fpu\n");
	t.throws(() => requireHardware("lkvm", syscall, {}, files), {
		code: "hypervisor-unusable",
		message: "lkvm cannot emulate: the processor has neither vmx nor svm",
	});
	fs.writeFileSync(cpuinfo, "flags\t\t: fpu svm\n");
	t.doesNotThrow(() => requireHardware("lkvm", syscall, {}, files));
	t.throws(() => requireHardware("lkvm", syscall, { RKT_KVM_ACCEL: "tcg" }, files), {
		message: "lkvm cannot emulate: RKT_KVM_ACCEL is tcg",
	});
	t.end();
});

const obstacle = lkvmObstacle();

t.test("a host that cannot run it", { skip: obstacle === false && "this one can" }, async (t) => {
	const host = await createBusyboxHost("lkvm-refused");
	t.teardown(() => host.remove());
	const result = await host.shell("true", { pod: ["--stage1-image=kvm-lkvm"] });
	t.equal(result.status, 254);
	t.ok(result.stderr.includes(obstacle as string), result.stderr);
	t.equal((await host.rkt(["list", "--full", "--no-legend"])).stdout, "", "nothing is left of the pod");
});

t.test("a pod with lkvm", { skip: obstacle }, async (t) => {
	const host = await createBusyboxHost("lkvm");
	t.teardown(() => host.remove());
	const result = await host.shell("echo in the machine; exit 3", { pod: ["--stage1-image=kvm-lkvm"] });
	t.equal(result.status, 3, result.stderr);
	t.ok(outputLines(result).includes("in the machine"), result.stdout);
});

const noSockets = !fs.existsSync("/dev/vsock") && "the kernel has no vsock";

/** A pod whose lkvm is `script`; FILES of the monitor's status and channel are beside it. */
function startFake(name: string, script: string, flags: readonly string[] = []) {
	const place = path.join(directory, name);
	fs.mkdirSync(place);
	const program = path.join(place, "lkvm");
	fs.writeFileSync(program, `#!/bin/sh\ncd ${place}\n${script}\n`, { mode: 0o755 });
	const channel = path.join(place, "channel");
	const vsock = [`--vsock=${CID}`, `--channel=${channel}`, `--status=${place}/status`];
	return { place, pod: fake.start([program, ...lkvmArguments(MACHINE)], { flags: [...vsock, ...flags] }) };
}

async function checkEnd(t: Test, pod: FakePod, wanted: Record<string, unknown>): Promise<void> {
	const { stdout, ...ending } = await pod.ended;
	t.match({ ...ending, stdout: stdout.toString() }, wanted);
	t.notOk(fs.existsSync(path.join(pod.directory, "control")), "the control socket is gone");
}

t.test("the processes of a pod with lkvm", { skip: noSockets }, async (t) => {
	t.test("it gets its words, no input, and an end that the guest wrote down", async (t) => {
		const script = `printf '%s\\n' "$@" >words; ls -l /proc/self/fd | grep -c ' [3-9] ->' >open; cat >input
echo a line; echo 5 >status`;
		const { place, pod } = startFake("ends", script);
		await checkEnd(t, pod, { status: 5, stdout: "a line\n", stderr: "" });
		const read = (file: string): string => fs.readFileSync(path.join(place, file), "utf8");
		t.strictSame(read("words").trimEnd().split("\n"), lkvmArguments(MACHINE));
		t.equal(read("input"), "");
		t.equal(read("open").trim(), "1", "nothing of the monitor but the listing's own directory");
		t.match(read("channel"), /^[0-9]+ [0-9a-f]{32}\n$/);
		t.equal(fs.statSync(path.join(place, "channel")).mode & 0o777, 0o600);
	});
	t.test("it refuses to start", async (t) => {
		const { pod } = startFake("refuses", "echo '  Error: Could not open /dev/kvm' >&2; exit 1");
		await checkEnd(t, pod, {
			status: 254,
			stdout: "",
			stderr: /Could not open \/dev\/kvm\nmonitor: .* before/,
		});
	});
	t.test("its guest dies while it boots", async (t) => {
		const { pod } = startFake("dies", "echo 'Kernel panic - not syncing: VFS'; exit 0");
		await checkEnd(t, pod, { status: 254, stdout: /Kernel panic/, stderr: /before the pod had a status/ });
	});
	t.test("it is killed", async (t) => {
		const { place, pod } = startFake("killed", "echo $$ >pid; exec sleep 1000");
		await waitFor("lkvm", () => fs.existsSync(path.join(place, "pid")));
		process.kill(childOf(pod.monitor.pid), "SIGKILL");
		await checkEnd(t, pod, { status: 254, stderr: /before the pod had a status/ });
	});
	t.test("its guest never calls", async (t) => {
		const { pod } = startFake("silent", "exec sleep 1000", ["--boot=1"]);
		t.match(await new Promise((resolve) => pod.enter("/bin/true").on("close", resolve)), 254);
		await checkEnd(t, pod, { status: 254, stderr: /did not start in time/ });
	});
	t.test("the monitor is killed, most often before lkvm has asked to end with it", async (t) => {
		for (let turn = 0; turn < 10; turn += 1) {
			const { pod } = startFake(`orphan-${turn}`, "exec sleep 1000");
			await waitFor("lkvm", () => childOf(pod.monitor.pid) > 0);
			const child = childOf(pod.monitor.pid);
			pod.monitor.kill("SIGKILL");
			await pod.ended;
			await waitFor("its end", () => hasEnded(child));
		}
		t.pass("lkvm has gone too");
	});
	t.test("the way to the agent is there already", async (t) => {
		const { place, pod } = startFake("first", "exec sleep 1000");
		await waitFor("the file", () => fs.existsSync(path.join(place, "channel")));
		pod.monitor.kill("SIGKILL");
		await pod.ended;
		const argv = [
			`--vsock=${CID}`,
			`--channel=${place}/channel`,
			`--status=${place}/status`,
			"--",
			"/bin/true",
		];
		const again = spawnSync(path.join(fake.programs, "monitor"), argv, { cwd: place, encoding: "utf8" });
		t.match(
			again,
			{ status: 254, stderr: /^monitor: vsock: File exists$/m },
			"a file that is there is not trusted",
		);
	});
});

/** Also when nobody has taken its status yet. */
function hasEnded(pid: number): boolean {
	try {
		return fs.readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z ");
	} catch {
		return true;
	}
}

function childOf(pid: number | undefined): number {
	return Number(fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0]);
}

const UML = "/usr/bin/linux.uml";
const MODULES = ["vsock", "vmw_vsock_virtio_transport_common", "vsock_loopback"];

/**
 * In a guest of User-Mode Linux, whose kernel has local connections of vsock: there the monitor and the agent of its pod
 * are on the same machine, the agent's address is 1.
 */
const BRIDGE = `#!/bin/busybox sh
export PATH=/bin
mount -t proc proc /proc; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /pod
for module in ${MODULES.join(" ")}; do insmod /modules/$module.ko; done
cd /pod
agent='while :; do /rkt/vm/agent vsock:/pod/channel; sleep 0.1; done'
/rkt/vm/monitor --status=/rkt/pod-status --vsock=1 --channel=/pod/channel --helper=0 -- /bin/sh -c \
	"trap 'echo 7 >/rkt/pod-status; exit' 37; $agent & while :; do wait; done" &
monitor=$!
while [ ! -S control ]; do sleep 0.1; done
client() { /rkt/vm/client --app=app --wait=20 -- "$@" </dev/null; echo "status $?"; }
client /bin/sh -c 'echo through the socket; exit 5'
head -c 3000000 /dev/urandom >bytes; /rkt/vm/client --app=app --wait=20 -- /bin/cat <bytes | cmp - bytes && echo the same bytes
sed 's/ ./ x/' channel >wrong
/rkt/vm/agent vsock:/pod/wrong; echo "a stranger: $?"
client /bin/true
(sleep 1; kill -9 $(pidof agent)) & client /bin/sleep 100
client /bin/true
kill $monitor; wait $monitor; echo "pod $?"
rm channel
/rkt/vm/monitor --status=/rkt/none --vsock=99 --channel=/pod/channel --boot=2 -- /bin/sh -c "$agent"; echo "another address: $?"
poweroff -f
`;

const noLoopback = !fs.existsSync(UML) && "no User-Mode Linux with local connections of vsock";

t.test("the channel by vsock, between real sockets", { skip: noLoopback }, (t) => {
	const { root, programs } = fake;
	for (const name of ["monitor", "client"]) fs.copyFileSync(`${programs}/${name}`, `${root}/rkt/vm/${name}`);
	for (const name of ["monitor", "client"]) fs.chmodSync(`${root}/rkt/vm/${name}`, 0o755);
	for (const name of ["pod", "modules"]) fs.mkdirSync(path.join(root, name));
	const applets = ["mount", "insmod", "sed", "cmp", "pidof", "poweroff", "rm"];
	for (const name of applets) fs.symlinkSync("busybox", path.join(root, "bin", name));
	const release = fs.readdirSync("/usr/lib/uml/modules")[0] as string;
	const modules = path.join("/usr/lib/uml/modules", release, "kernel/net/vmw_vsock");
	for (const name of MODULES) fs.copyFileSync(`${modules}/${name}.ko`, `${root}/modules/${name}.ko`);
	fs.writeFileSync(path.join(root, "bridge"), BRIDGE, { mode: 0o755 });
	const words = [
		"mem=128M",
		"con0=null,fd:1",
		"con=null",
		"root=/dev/root",
		"rootfstype=hostfs",
		"rw",
		"quiet",
	];
	const environment = { PATH: "/usr/bin", TMPDIR: "/dev/shm", HOME: directory };
	const result = spawnSync(UML, [...words, `rootflags=${root}`, `uml_dir=${directory}`, "init=/bridge"], {
		...{ env: environment, encoding: "utf8", timeout: 90_000 },
		stdio: ["ignore", "pipe", "pipe"],
	});
	const said = result.stdout.replaceAll("\r", "");
	t.match(said, "through the socket\nstatus 5\n", said);
	t.match(said, "the same bytes\n");
	t.match(said, /^a stranger: 1\nstatus 0\n/m, "who has the wrong key is not heard, and the agent stays");
	t.match(
		said,
		/^enter: the agent in the virtual machine has gone\nstatus 254\n(Killed\n)?status 0\n/m,
		"another agent comes",
	);
	t.match(said, "pod 7\n", "the way down was begun by the agent");
	t.match(
		said,
		/did not start in time[^\n]*\n(monitor: [^\n]*\n)?another address: 254\n/,
		"nor who has another address",
	);
	t.end();
});
