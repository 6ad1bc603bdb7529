import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { readRecordedProcess } from "../../stage1/pod-record.ts";
import { machineUser } from "../../stage1-kvm/hypervisors/hypervisor.ts";
import { shellApp } from "../stage1/conformance/cases.ts";
import { makeFixtures } from "../stage1/conformance/run-case.ts";
import { testLife } from "../stage1/conformance/suite.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { createMiniStage0 } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-kvm-life-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
const fixtures = makeFixtures(directory);

/** The emulated machine is slow. */
const THE_SAME = {
	"it is the same monitor": ["SIGTERM ends a pod in order"],
	"it is the same systemd": ["an app that ignores SIGTERM is killed", "the stop signal of an image"],
};

for (const flavor of ["kvm-uml", "kvm"] as const) {
	const place = path.join(directory, flavor);
	fs.mkdirSync(place);
	const stage0 = createMiniStage0(place, path.join(distDirectory(), `stage1-${flavor}.aci`));

	const omitted = flavor === "kvm" ? THE_SAME : {};
	t.test(flavor, async (t) => testLife(t, { stage0, fixtures, omitted }));

	t.test(`${flavor}: the programs that the guest speaks to can do little on the host`, async (t) => {
		const pod = stage0.prepare([shellApp(fixtures, "while :; do sleep 0.1; done")]);
		const ended = stage0.run(pod);
		await stage0.containerPid(pod);
		t.equal(stage0.enter(pod, "app", ["/bin/sh", "-c", "true"]).status, 0);
		const processes = processesBelow(readRecordedProcess(pod.directory)?.pid as number);
		for (const [program, expected] of Object.entries(expectedRights(pod.uuid)[flavor]))
			t.match(processes.find(({ exe }) => exe.endsWith(program))?.rights, expected, program);
		const machine = processes.find(({ exe }) => /linux$|qemu-system/.test(exe))?.pid as number;
		const entries = fs.readdirSync(`/proc/${machine}/root`).filter((name) => !/^lib(|32|64|x32)$/.test(name));
		t.strictSame(entries.sort(), ["dev", "pod", "proc", "program", "usr"]);
		t.strictSame(
			openMounts(machine),
			[],
			"it can open no device that it makes, and change nothing of the host's",
		);
		t.equal(stage0.call(pod, "stop", ["--force"]).status, 0);
		await ended;
		stage0.remove(pod);
	});
}

/** What docs/security.md says of the programs on the host that a guest speaks to. */
function expectedRights(uuid: string) {
	const caps = (set: string, bounding = set) => ({ CapPrm: set, CapEff: set, CapBnd: bounding });
	const none = "0".repeat(16);
	const confined = { CapInh: none, NoNewPrivs: "1" };
	return {
		"kvm-uml": { "/program/linux": { Uid: "0", ...confined, ...caps("000000000800001f") } },
		kvm: {
			"/qemu-system-x86_64": { Uid: `${machineUser(uuid)}`, Seccomp: "2", ...confined, ...caps(none) },
			"/virtiofsd": { Uid: "0", Seccomp: "2", ...confined, ...caps("00000000880000db", none) },
		},
	};
}

/** Mount points at which devices could be made and opened, or that could be written to and are not the pod's; proc(5). */
function openMounts(pid: number): string[] {
	const mounts = fs.readFileSync(`/proc/${pid}/mountinfo`, "utf8").trimEnd().split("\n");
	return mounts
		.map((line) => line.split(" ") as [string, string, string, string, string, string])
		.filter(([, , , , point, options]) => {
			const has = (option: string): boolean => options.split(",").includes(option);
			if (/^\/dev\/(null|zero|random|urandom|kvm|net\/tun|vhost-\w+)$/.test(point)) return false;
			const own = /^\/(|dev\/shm|pod\/stage1\/rootfs.*)$/.test(point);
			return !(point === "/pod/stage1/devices" || has("nodev")) || !(own || has("ro"));
		})
		.map(([, , , , point]) => point);
}

/** Every process below another: its program, and of its /proc/PID/status the first word of each line. */
function processesBelow(pid: number): { pid: number; exe: string; rights: Record<string, string> }[] {
	const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
	return children.flatMap((child) => {
		const lines = fs.readFileSync(`/proc/${child}/status`, "utf8").split("\n");
		const rights = Object.fromEntries(lines.map((line) => line.split(/:?\s+/, 2)));
		return [
			...processesBelow(Number(child)),
			{ pid: Number(child), exe: fs.readlinkSync(`/proc/${child}/exe`), rights },
		];
	});
}

t.test("a machine that ends without a status is no success", async (t) => {
	const place = path.join(directory, "broken");
	fs.mkdirSync(place);
	const stage0 = createMiniStage0(place, path.join(distDirectory(), "stage1-kvm-uml.aci"));
	fs.rmSync(path.join(stage0.stage1, "usr/lib/systemd/systemd"));
	const pod = stage0.prepare([shellApp(fixtures, "true")]);
	const result = await stage0.run(pod);
	t.equal(result.status, 254, "the monitor says so", result);
	t.match(result.stderr, /ended before the pod had a status/);
	t.match(result.stdout, /systemd: No such file or directory/);
	stage0.remove(pod);
});
