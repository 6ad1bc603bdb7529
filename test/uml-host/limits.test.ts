import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";
import t, { type Test } from "tap";
import { BUSYBOX, type BusyboxHost, createBusyboxHost } from "../support/busybox-host.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { onUmlHost } from "../support/on-uml-host.ts";
import { waitFor } from "../support/wait-for.ts";

/* Limits with version 2 of cgroups, of which the machine that builds may have none of the controllers. */

const CGROUPS = "/sys/fs/cgroup";

/** A limit of the app of a running pod. */
function limitOf(uuid: string, file: string): string {
	const scope = `machine-rkt\\x2d${uuid.replaceAll("-", "\\x2d")}.scope`;
	return fs
		.readFileSync(path.join(CGROUPS, scope, "payload/system.slice/busybox.service", file), "utf8")
		.trim();
}

/**
 * The only process of a cgroup starts a pod, so that cgroups below have controllers; when that fails, it gets no way back
 * before these are taken from them.
 */
async function checkFailedStart(t: Test, host: BusyboxHost): Promise<void> {
	const own = `${CGROUPS}/alone`;
	fs.mkdirSync(own);
	const rkt = [path.join(distDirectory(), "rkt"), `--dir=${host.dataDirectory}`];
	const alone = ["-c", `echo 0 >${own}/cgroup.procs; exec "$@"`, "sh", ...rkt, "run", "--net=none", BUSYBOX];
	const failed = await execa("sh", [...alone, "--exec=/bin/nothing-here"], { reject: false });
	t.equal(failed.exitCode, 254);
	t.match(failed.stderr, /nothing-here/);
	t.notMatch(failed.stderr, /EBUSY/);
	t.strictSame(
		fs.readdirSync(own).filter((name) => name.startsWith("machine")),
		[],
		"nothing is left",
	);
	t.equal(
		(await execa("sh", [...alone, "--exec=/bin/true"], { reject: false })).exitCode,
		0,
		"and it can be tried again",
	);
}

if (onUmlHost(t, [], 120)) {
	t.test("limits of an app with version 2 of cgroups", async (t) => {
		const host = await createBusyboxHost("limits");
		t.teardown(() => host.remove());
		const uuidFile = path.join(host.directory, "uuid");
		const pod = [`--uuid-file-save=${uuidFile}`];

		const hog = "exec dd if=/dev/zero of=/dev/null count=1 bs=60M";
		t.equal((await host.shell(hog, { pod, app: ["--memory=20M"] })).status, 9);
		t.match((await host.rkt(["status", `--uuid-file=${uuidFile}`])).stdout, /^oom-killed=busybox$/m);

		const script = [
			"mknod /tmp/mem c 1 1; echo device",
			"sleep 5; for i in 1 2 3 4 5 6 7 8; do sleep 1 & done",
		].join("; ");
		const app = ["--memory=20M", "--pids=5", "--cpu=200m", "--cpu-shares=333"];
		fs.rmSync(uuidFile);
		const running = host.shell(script, { pod, app });
		await waitFor("the app", () => fs.existsSync(uuidFile));
		const uuid = fs.readFileSync(uuidFile, "utf8");
		const expected = {
			"memory.max": "19996672",
			"pids.max": "5",
			"cpu.max": "20000 100000",
			"cpu.weight": "32",
		};
		await waitFor("the limits", () => {
			try {
				return Object.entries(expected).every(([file, value]) => limitOf(uuid, file) === value);
			} catch {
				return false;
			}
		});
		const { stdout } = await running;
		t.match(
			stdout,
			/mknod.*Operation not permitted\n.*device\n.*can't fork: Resource temporarily unavailable/,
		);

		await checkFailedStart(t, host);

		// Where a process stays that is not the pod's, the kernel gives no controllers to cgroups below.
		fs.mkdirSync(`${CGROUPS}/shared`);
		fs.writeFileSync(`${CGROUPS}/shared/cgroup.procs`, String(process.pid));
		const { status, stderr } = await host.shell("true", { app: ["--memory=20M"] });
		t.equal(status, 0, stderr);
		t.match(stderr, "isolator resource/memory has no effect: the pod has no cgroup controller memory\n");
	});
}
