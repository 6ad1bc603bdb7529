import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import { appCgroup } from "../../stage1/cgroups/app-cgroup.ts";
import type { AppDevice } from "../../stage1/units/app-unit.ts";
import { describeDevice, makeDeviceNode, makePodNode } from "../../stage1/volumes/device-node.ts";
import { machineDisks } from "../../stage1-kvm/disks.ts";
import { refuseReadAndWritten } from "../../stage1-nspawn/refuse-read-and-written.ts";

const syscall = createLinuxSyscall();
const block = (minor: number, readOnly = false): AppDevice => ({ kind: "block", major: 7, minor, readOnly });
const app = (name: string, ...devices: AppDevice[]) => ({ unit: { app: name }, devices });

t.test("a device file has the numbers that it is made with", (t) => {
	const directory = t.testdir();
	for (const [index, [major, minor]] of [
		[7, 0],
		[259, 300],
		[4095, 1048575],
	].entries()) {
		const file = path.join(directory, String(index));
		const device = { kind: "block", major: major as number, minor: minor as number } as const;
		makeDeviceNode(syscall, file, device, { uid: 1, gid: 2, mode: 0o666 });
		const stat = fs.statSync(file);
		t.strictSame(describeDevice(stat), device);
		t.match(stat, { uid: 1, gid: 2, mode: 0o060666 });
	}
	t.end();
});

t.test("a node for a pod with users of its own", (t) => {
	const directory = t.testdir({ nodes: {} });
	const context = { syscall, deviceNodes: path.join(directory, "nodes"), shift: 1_000_000 };
	const source = path.join(directory, "source");
	const node = (uid: number, mode: number, readOnly: boolean): fs.Stats => {
		fs.rmSync(context.deviceNodes, { recursive: true });
		fs.mkdirSync(context.deviceNodes);
		fs.rmSync(source, { force: true });
		makeDeviceNode(syscall, source, block(0), { uid, gid: 6, mode });
		return fs.statSync(makePodNode(context, fs.statSync(source), readOnly));
	};
	t.match(node(5, 0o660, false), { uid: 1_000_005, gid: 1_000_006, mode: 0o060660 });
	t.match(node(70_000, 0o600, false), { uid: 1_000_000, mode: 0o060600 }, "never a user of another pod");
	t.match(node(0, 0o660, true), { uid: 0, gid: 1_000_000, mode: 0o060440 });
	t.match(node(0, 0o666, true), { uid: 0, gid: 1_000_000, mode: 0o060444 });
	t.end();
});

t.test("a device that one app reads and another writes is refused", (t) => {
	const refused = { code: "device-not-read-only", message: /app a: the device 7:1 .*app b may write/ };
	t.throws(() => refuseReadAndWritten([app("a", block(1, true)), app("b", block(0), block(1))]), refused);
	t.doesNotThrow(() => refuseReadAndWritten([app("a", block(1, true)), app("b", block(1, true))]));
	t.doesNotThrow(() => refuseReadAndWritten([app("a", block(1)), app("b", block(1))]));
	const character = { ...block(1), kind: "char" } as const;
	t.doesNotThrow(() => refuseReadAndWritten([app("a", block(1, true)), app("b", character)]));
	t.end();
});

t.test("the disks of a machine", (t) => {
	const pod = t.testdir({ devices: {} });
	const deviceNodes = path.join(pod, "devices");
	const disks = (...apps: ReturnType<typeof app>[]) =>
		machineDisks({ syscall, pod: { directory: pod } }, { apps, deviceNodes });
	t.strictSame(disks(app("a", block(0, true), block(1, true)), app("b", block(0), block(1, true))), [
		{ name: "7-0", node: "devices/7-0", readOnly: false },
		{ name: "7-1", node: "devices/7-1", readOnly: true },
	]);
	t.match(fs.statSync(path.join(deviceNodes, "7-1")), { uid: 0, mode: 0o060600 });
	const many = Array.from({ length: 17 }, (_, minor) => block(minor));
	t.throws(() => disks(app("a", ...many)), { code: "own-kernel-refuses", message: /17 disks.* at most 16/ });
	const tty: AppDevice = { kind: "char", major: 5, minor: 0, readOnly: false };
	t.throws(() => disks(app("a", tty)), { code: "own-kernel-refuses", message: /a character device/ });
	t.end();
});

t.test("the cgroup of an app has the name that systemd gives it", (t) => {
	t.equal(appCgroup("web"), "system.slice/web.service");
	t.equal(appCgroup("memory"), "system.slice/_memory.service");
	t.equal(appCgroup("memory-hog"), "system.slice/memory-hog.service");
	t.end();
});
