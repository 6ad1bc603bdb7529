import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import t from "tap";
import { createFakeSyscall } from "../../lib/syscall/fake.ts";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import { chooseAccelerator } from "../../stage1-kvm/hypervisors/accelerator.ts";
import type { Machine } from "../../stage1-kvm/hypervisors/hypervisor.ts";
import { kernelParameters } from "../../stage1-kvm/hypervisors/kernel-parameters.ts";
import { machineSize, readMachineSettings } from "../../stage1-kvm/hypervisors/machine-size.ts";
import { qemuArguments, shareArguments } from "../../stage1-kvm/hypervisors/qemu.ts";
import { requireKernel } from "../../stage1-kvm/hypervisors/require-kernel.ts";
import { umlArguments } from "../../stage1-kvm/hypervisors/uml.ts";

const MACHINE: Machine = {
	uuid: "6d0d2d8c-31d9-456c-b7d4-9c2a0b4d6c11",
	root: "/data/pods/run/u/stage1/rootfs",
	programs: "/tree/rkt/vm",
	cpus: 2,
	memoryMiB: 300,
	disks: [],
	nics: [{ tap: "tap0", mac: "ce:15:02:8d:78:f2", mtu: 1400 }],
	debug: false,
	parameters: [],
	environment: {},
};

const CPUS = {
	vmx: "processor : 0\nflags\t\t: fpu vmx sse\n",
	none: "processor : 0\nflags\t\t: fpu vmxyz sse\n",
};

t.test("hardware virtualization is used only where it works", (t) => {
	const directory = t.testdir({ ...CPUS, device: "" });
	const syscall = createFakeSyscall({ ioctl: () => fs.openSync("/dev/null", "r") });
	const choose = (cpu: string, wanted = {}, device = "device") =>
		chooseAccelerator(syscall, wanted, {
			cpuinfo: path.join(directory, cpu),
			device: path.join(directory, device),
		});
	t.strictSame(choose("vmx"), { name: "kvm" });
	t.match(choose("none"), { name: "tcg", reason: /neither vmx nor svm/ });
	t.match(choose("vmx", {}, "gone"), { name: "tcg", reason: /ENOENT/ });
	t.strictSame(choose("vmx", { RKT_KVM_ACCEL: "tcg" }), { name: "tcg" });
	t.throws(() => choose("none", { RKT_KVM_ACCEL: "kvm" }), { code: "hypervisor-unusable" });
	t.throws(() => choose("vmx", { RKT_KVM_ACCEL: "xen" }), { code: "environment-invalid" });
	t.end();
});

t.test("a device without permission, or that makes no machines", { skip: process.geteuid?.() !== 0 }, (t) => {
	const directory = fs.mkdtempSync("/var/tmp/rkt-test-accelerator-");
	const cpuinfo = path.join(directory, "cpuinfo");
	fs.writeFileSync(cpuinfo, CPUS.vmx);
	// A file system without devices refuses one as a device without permission does, root too.
	const closed = path.join(directory, "closed");
	fs.mkdirSync(closed);
	run("mount", "-t", "tmpfs", "-o", "nodev", "tmpfs", closed);
	t.teardown(() => {
		run("umount", closed);
		fs.rmSync(directory, { recursive: true });
	});
	const reasons = [closed, directory].map((place) => {
		const device = path.join(place, "null");
		run("mknod", device, "c", "1", "3");
		return chooseAccelerator(createLinuxSyscall(), {}, { cpuinfo, device }).reason?.replace(`${place}/`, "");
	});
	t.strictSame(reasons, ["null: EACCES", "null: ENOTTY"]);
	t.end();
});

function run(program: string, ...args: string[]): void {
	const result = spawnSync(program, args, { encoding: "utf8" });
	if (result.status !== 0) throw new Error(result.stderr);
}

t.test("the size of a machine is the sum of its apps and what the guest needs", (t) => {
	const usual = readMachineSettings({});
	const MIB = 1024n * 1024n;
	const all = os.availableParallelism();
	t.strictSame(machineSize([{ memoryLimit: 400n * MIB, cpuLimit: 500n }], usual), {
		cpus: 1,
		memoryMiB: 529,
	});
	t.equal(machineSize([{ memoryLimit: 1n }], usual).memoryMiB, 256, "never too small to start");
	t.equal(machineSize([{ memoryLimit: 864n * MIB }], usual, 1000 * 1024 * 1024).memoryMiB, 1000);
	t.throws(() => machineSize([{ memoryLimit: 865n * MIB }], usual, 1000 * 1024 * 1024), {
		code: "machine-too-large",
		message: /1001 MiB of memory, the host has 1000/,
	});
	t.equal(
		machineSize([{ memoryLimit: 400n * MIB }, {}], usual).memoryMiB,
		400 + 512 + 120 + 17,
		"a 64th are records of pages",
	);
	t.equal(machineSize([{ cpuLimit: 1000n }, {}], usual).cpus, all, "an app without a limit may have all");
	t.equal(machineSize([{ cpuLimit: 1_000_000n }], usual).cpus, all, "never more than there are");
	const own = readMachineSettings({ RKT_KVM_MEMORY: "1Gi", RKT_KVM_OVERHEAD: "64Mi", RKT_KVM_CPUS: "1" });
	t.strictSame(machineSize([{}, { memoryLimit: 100n * MIB }], own), { cpus: 1, memoryMiB: 1207 });
	t.equal(machineSize([{}], { ...own, cpus: 9999 }).cpus, all);
	for (const [name, value] of [
		["RKT_KVM_MEMORY", "0"],
		["RKT_KVM_OVERHEAD", "-1Mi"],
		["RKT_KVM_CPUS", "0.5"],
	] as const) {
		t.throws(() => readMachineSettings({ [name]: value }), { code: "machine-setting-invalid" }, name);
	}
	t.throws(() => readMachineSettings({ RKT_KVM_MEMORY: "much" }), /RKT_KVM_MEMORY cannot be "much"/);
	t.end();
});

t.test("QEMU gets files, cards and the channel", (t) => {
	const words = qemuArguments(MACHINE, "tcg");
	const text = words.join(" ");
	t.match(text, "-accel tcg,thread=single,tb-size=32 -cpu max,-erms -smp 1");
	t.match(text, "size=300M,share=on");
	t.match(text, "socket,id=control,fd=3");
	t.match(text, "-chardev socket,id=root,fd=5 ");
	t.match(text, "-netdev tap,id=net0,fd=8 ");
	t.match(text, "-kernel /proc/self/fd/6 -initrd /proc/self/fd/7 ");
	t.match(text, "mac=ce:15:02:8d:78:f2,host_mtu=1400");
	t.match(words.at(-1), /rdinit=\/rkt\/vm\/init rkt_root=virtiofs .*quiet/);
	t.notMatch(words.at(-1), /rkt\.debug/);
	t.match(qemuArguments({ ...MACHINE, debug: true }, "kvm").at(-1), /rkt\.debug/);
	const share = shareArguments({ ...MACHINE, root: "/a,b\\c" });
	t.notMatch(share.join(" "), /flock|posix_lock/);
	t.ok(share.includes("source=/a\\,b\\\\c"), "what separates the options of the file server is escaped");
	t.end();
});

t.test("User-Mode Linux is told of no path that somebody chose", (t) => {
	const words = umlArguments({ ...MACHINE, root: "/a b,c" });
	t.ok(words.includes("rootflags=/pod/stage1/rootfs"));
	t.ok(words.includes("uml_dir=/pod"));
	t.ok(words.includes("vec0:transport=tap,ifname=tap0,mac=ce:15:02:8d:78:f2,mtu=1400,gro=1,depth=64"));
	t.notMatch(words.join(" "), "/a b,c");
	t.end();
});

t.test("disks are named by their numbers on the host", (t) => {
	const disks = [
		{ name: "7-0", node: "stage1/devices/7-0", readOnly: false },
		{ name: "8-16", node: "stage1/devices/8-16", readOnly: true },
	];
	const machine = { ...MACHINE, disks };
	const text = qemuArguments(machine, "tcg").join(" ");
	t.match(
		text,
		"-add-fd fd=9,set=0 -blockdev host_device,node-name=disk0,filename=/dev/fdset/0,read-only=off",
	);
	t.match(text, "-add-fd fd=10,set=1 ");
	t.match(text, "-device virtio-blk-pci,drive=disk1,serial=8-16");
	t.match(text, "read-only=on");
	t.match(text, " rkt_disks=vda:7-0,vdb:8-16 ");
	const words = umlArguments(machine);
	t.strictSame(
		words.filter((word) => /^(ubd|rkt_disks)/.test(word)),
		["ubd0d=stage1/devices/7-0", "ubd1rd=stage1/devices/8-16", "rkt_disks=ubda:7-0,ubdb:8-16"],
	);
	t.notMatch(umlArguments(MACHINE).join(" "), /rkt_disks/);
	t.end();
});

t.test("a missing kernel is named before anything is started", (t) => {
	t.throws(() => requireKernel("/none/vmlinux"), { code: "hypervisor-missing", message: /\/none\/vmlinux/ });
	t.doesNotThrow(() => requireKernel(process.execPath));
	t.end();
});

t.test("the caller's parameters for the kernel come last", (t) => {
	const words = kernelParameters(false, { RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS: " a=1  b " });
	t.strictSame(words.slice(-2), ["a=1", "b"]);
	const variable = { RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS: "a\nb" };
	t.throws(() => kernelParameters(false, variable), { code: "kernel-parameters-invalid" });
	t.end();
});
