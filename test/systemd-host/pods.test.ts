import * as fs from "node:fs";
import t from "tap";
import { onSystemdHost } from "../support/on-systemd-host.ts";
import {
	attempt,
	endOf,
	fetchBusybox,
	GRACEFUL,
	journal,
	machineProperty,
	machines,
	podCommand,
	podStatus,
	podUuid,
	RKT,
	startInScope,
	startUnit,
	system,
	unitProcesses,
	unitProperty,
	waitForOutput,
} from "../support/systemd-pods.ts";
import { waitFor } from "../support/wait-for.ts";
import { journalCases, machinectlCases, NSPAWN, scopeCase, statusCase, unitCase } from "./pod-cases.ts";

const layout = onSystemdHost(t, ["hybrid", "unified"], 120);
if (layout !== undefined) {
	t.before(fetchBusybox);
	units();
	machinectlCases(t, NSPAWN);
	signals();
	if (layout === "hybrid") journalCases(t, NSPAWN);
}

function units(): void {
	unitCase(t, NSPAWN);
	statusCase(t, NSPAWN, [0, 7, 143]);
	scopeCase(t, NSPAWN);

	t.test("rkt's own failures are 254", async (t) => {
		const failure = attempt("systemd-run", "--quiet", "--wait", "--collect", RKT, "run", "example.com/none");
		t.equal(failure.status, 254);
	});

	t.test("a unit file: restart, and a supervisor that is killed", async (t) => {
		const command = podCommand("file", GRACEFUL).map((word) => `"${word.replaceAll('"', '\\"')}"`);
		fs.writeFileSync(
			"/run/systemd/system/file.service",
			`[Service]\nType=notify\nKillMode=mixed\nDelegate=yes\nRestart=on-failure\nRestartSec=100ms\nExecStart=${command.join(" ")}\n`,
		);
		system("systemctl", "daemon-reload");
		system("systemctl", "start", "file");
		const first = await waitForOutput("file");
		system("systemctl", "restart", "file");
		const second = podUuid("file");
		t.not(first, second, "each start is a pod of its own");
		t.equal(podStatus(first).get("app-busybox"), "5");
		t.same(machines(), [second]);

		system("systemctl", "kill", "--kill-who=main", "--signal=KILL", "file");
		await waitFor("the restart", () => podUuid("file") !== second && machines().includes(podUuid("file")));
		await waitFor("the unit", () => unitProperty("file", "ActiveState") === "active");
		t.equal(podStatus(second).get("state"), "exited");
		system(RKT, "gc", "--grace-period=0s");
		t.same(machines(), [podUuid("file")], "machined has forgotten the killed pod");
		t.equal([...unitProcesses("file").values()].filter((name) => name === "systemd").length, 1);
		system("systemctl", "stop", "file");
		t.same(machines(), []);
	});

	// The kernel of this layout has no controllers for limits.
	if (layout === "unified") return;
	t.test("a limit of the unit binds the whole pod", async (t) => {
		const hog = "x=$(head -c 90000000 /dev/zero | tr '\\0' x); echo never";
		startUnit("limited", podCommand("limited", `${hog}`), ["MemoryMax=64M", "MemorySwapMax=0", "Type=exec"]);
		await waitFor("the end", () => unitProperty("limited", "ActiveState") !== "active");
		t.not(unitProperty("limited", "ExecMainStatus"), "0");
		t.same(
			journal("-u", "limited").filter(({ MESSAGE }) => MESSAGE?.endsWith("]: never")),
			[],
		);
	});
}

function signals(): void {
	t.test("SIGTERM and SIGINT to the process in the foreground end the pod in order", async (t) => {
		for (const signal of ["SIGTERM", "SIGINT"] as const) {
			const name = signal.toLowerCase();
			const child = startInScope(name, podCommand(name, GRACEFUL));
			const uuid = await waitForOutput(name);
			child.kill(signal);
			t.equal(await endOf(child), 5, signal);
			t.equal(podStatus(uuid).get("app-busybox"), "5");
		}
	});

	t.test("SIGKILL of the supervisor ends the pod at once", async (t) => {
		const child = startInScope("killed", podCommand("killed", "echo up; exec sleep 4711"));
		const uuid = await waitForOutput("killed");
		const processes = [...unitProcesses(machineProperty(uuid, "Unit")).keys()];
		t.equal(processes.length, 3, "systemd, journald, app");
		child.kill("SIGKILL");
		t.equal(await endOf(child), "SIGKILL");
		await waitFor("the pod's end", () => processes.every((pid) => !fs.existsSync(`/proc/${pid}`)));
		await waitFor("machined", () => !machines().includes(uuid));
		t.equal(podStatus(uuid).get("state"), "exited");
		system(RKT, "gc", "--grace-period=0s");
		t.not(attempt(RKT, "status", uuid).status, 0, "the pod is collected");
	});
}
