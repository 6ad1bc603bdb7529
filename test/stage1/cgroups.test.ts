import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import type { Log } from "../../lib/log.ts";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import { readControllers, warnOfMissingControllers } from "../../stage1/cgroups/controllers.ts";
import { deviceProgram } from "../../stage1/cgroups/device-program.ts";
import { readHierarchies } from "../../stage1/cgroups/hierarchies.ts";
import { type DeviceRule, podDevices } from "../../stage1/cgroups/pod-devices.ts";
import { restrictDevices } from "../../stage1/cgroups/restrict-devices.ts";
import { makeDeviceNode } from "../../stage1/volumes/device-node.ts";

const syscall = createLinuxSyscall();

t.test("a program has six instructions in front, eight or seven for a rule and two behind", (t) => {
	const bytes = 8;
	t.equal(deviceProgram([]).length, (6 + 2) * bytes);
	const rule = { kind: "char", major: 1, minor: 3, access: "r" } as const;
	t.equal(deviceProgram([rule]).length, (6 + 8 + 2) * bytes);
	t.equal(deviceProgram([{ kind: "char", major: 1, access: "r" }]).length, (6 + 7 + 2) * bytes);
	t.end();
});

const unified = readHierarchies().find(({ version }) => version === 2)?.own;
const skip = unified === undefined && "this machine has no version 2 of cgroups";

t.test("the kernel decides as the rules say", { skip }, (t) => {
	const cgroup = path.join(unified ?? "", `rkt-test-devices-${process.pid}`);
	const directory = t.testdir();
	for (const [name, minor] of Object.entries({ null: 3, zero: 5, full: 7 })) {
		const device = { kind: "char", major: 1, minor } as const;
		makeDeviceNode(syscall, path.join(directory, name), device, { uid: 0, gid: 0, mode: 0o600 });
	}
	/** What of the files can be opened, to read and to write, and what can be made, in a cgroup with these rules. */
	const possible = (rules: readonly DeviceRule[]): string[] => {
		fs.mkdirSync(cgroup);
		try {
			t.ok(restrictDevices(syscall, 2, cgroup, rules), "attached");
			// Without rules there is no /dev/null for what fails.
			const script = `exec 2>&-; echo 0 >"$1"; cd "$2"
				for f in null zero full; do
					(exec 3<$f) && echo read $f
					(exec 3>>$f) && echo write $f
				done
				mknod made-c c 1 3 && echo make null; mknod made-b b 7 0 && echo make loop
				rm -f made-c made-b`;
			const words = ["-c", script, "sh", path.join(cgroup, "cgroup.procs"), directory];
			return spawnSync("sh", words, { encoding: "utf8" }).stdout.trim().split("\n");
		} finally {
			fs.rmdirSync(cgroup);
		}
	};
	const read = { kind: "char", major: 1, minor: 5, access: "r" } as const;
	t.strictSame(possible([]), [""]);
	t.strictSame(possible([read]), ["read zero"]);
	t.strictSame(possible([{ ...read, access: "rw" }]), ["read zero", "write zero"]);
	t.strictSame(possible([{ ...read, kind: "block" }]), [""], "block device 1:5 is another");
	t.strictSame(possible([{ kind: "block", major: 7, access: "m" }]), ["make loop"]);
	t.strictSame(possible([{ kind: "char", major: 1, access: "r" }]), ["read null", "read zero", "read full"]);
	t.strictSame(possible([read, { ...read, minor: 3, access: "rwm" }]), [
		"read null",
		"write null",
		"read zero",
		"make null",
	]);
	t.strictSame(
		possible(podDevices([{ kind: "block", major: 8, minor: 0, readOnly: false }])),
		["null", "zero", "full"].flatMap((name) => [`read ${name}`, `write ${name}`]).concat("make null"),
	);
	t.end();
});

t.test("limits without a controller are named, and no others", (t) => {
	const lines: string[] = [];
	const log = { info: (line: string) => lines.push(line) } as unknown as Log;
	const limits = { memoryLimit: 1n, cpuShares: 2, pidsLimit: 3n, blockIops: 4n, oomScoreAdjust: 5 };
	warnOfMissingControllers(
		log,
		[
			{ app: "a", limits },
			{ app: "b", limits: {} },
		],
		new Set(["cpu", "pids"]),
	);
	const saying = (isolator: string, controller: string): string =>
		`warning: app a: isolator ${isolator} has no effect: the pod has no cgroup controller ${controller}`;
	t.strictSame(lines, [saying("resource/memory", "memory"), saying("resource/block-iops", "blkio")]);
	t.end();
});

t.test("controllers of both versions by one name each", (t) => {
	const cgroup = t.testdir({
		"cgroup.controllers": "cpuset io pids\n",
		own: { "cgroup.controllers": "pids\n" },
	});
	const hierarchies = [
		{
			version: 1,
			controllers: ["cpu", "cpuacct"],
			mountPoint: "/sys/fs/cgroup/cpu",
			own: "/sys/fs/cgroup/cpu",
		},
		{ version: 2, controllers: [], mountPoint: cgroup, own: path.join(cgroup, "own") },
	] as const;
	t.strictSame([...readControllers(hierarchies)], ["cpu", "cpuacct", "cpuset", "blkio", "pids"]);
	t.strictSame([...readControllers(hierarchies, path.join(cgroup, "own"))], ["cpu", "cpuacct", "pids"]);
	t.end();
});
