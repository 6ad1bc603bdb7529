import * as fs from "node:fs";
import t from "tap";
import { BUSYBOX } from "../support/busybox-host.ts";
import { onSystemdHost } from "../support/on-systemd-host.ts";
import {
	attempt,
	fetchBusybox,
	journal,
	machineIdOf,
	podCommand,
	podStatus,
	podUuid,
	RKT,
	startUnit,
	system,
	unitProcesses,
	unitProperty,
	waitForOutput,
} from "../support/systemd-pods.ts";
import { waitFor } from "../support/wait-for.ts";

const GRACEFUL = "trap 'echo got TERM; exit 5' TERM; echo up; while :; do sleep 0.1; done";

const layout = onSystemdHost(t, ["hybrid", "unified"], 120);
if (layout !== undefined) {
	t.before(fetchBusybox);
	// The kernel of the unified layout has no controllers for limits.
	if (layout === "hybrid") limitsOfTheUnit();
	else limitsWithoutEffect();

	t.test(
		"systemctl status shows the supervisor, systemd, journald and the app, and nothing of rkt",
		async (t) => {
			startUnit("shown", podCommand("shown", "echo up; exec sleep 1000"));
			await waitForOutput("shown");
			const text = attempt("systemctl", "status", "--no-pager", "--lines=0", "shown").stdout;
			const shown = text.split("\n").flatMap((line) => /[├└]─[0-9]+ ([^ ]+)/.exec(line)?.[1] ?? []);
			t.strictSame(shown.sort(), [
				"/usr/lib/systemd/systemd",
				"/usr/lib/systemd/systemd-journald",
				"sleep",
				"systemd-nspawn",
			]);
			t.match(text, /Main PID: [0-9]+ \(systemd-nspawn\)/);
			t.match(text, /Status: "Container running: /);
			attempt("systemctl", "stop", "shown");
		},
	);

	t.test("pods without and with users of their own in one unit, one after the other and at once", (t) => {
		const pod = (flags: string, script: string): string =>
			`${RKT} run --net=none ${flags} ${BUSYBOX} --exec=/bin/sh -- -c '${script}'`;
		const users = "--private-users";
		const scripts = {
			"one after the other": `${pod("", "true")} && ${pod(users, "true")} && ${pod("", "exit 7")}`,
			"at once": `${pod("", "sleep 1")} & ${pod(users, "sleep 1; exit 7")}; users=$?; wait $! && exit $users`,
		};
		for (const [name, script] of Object.entries(scripts)) {
			for (const unit of [["--wait", "--pipe", "--collect"], ["--scope"]]) {
				const result = attempt(
					"systemd-run",
					"--quiet",
					...unit,
					"bash",
					"-c",
					script.replaceAll("$", unit.length > 1 ? "$$$$" : "$$"),
				);
				t.equal(result.status, 7, `${name} ${unit.join()}`, { stderr: result.stderr });
			}
		}
		t.end();
	});

	t.test("a unit without settings of its own, as systemd-run makes it", async (t) => {
		system("systemd-run", "--quiet", "--unit=bare", ...podCommand("bare", GRACEFUL));
		const uuid = await waitForOutput("bare");
		const began = performance.now();
		attempt("systemctl", "stop", "bare");
		t.ok(performance.now() - began < 5000, "it is stopped in time");
		t.equal(podStatus(uuid).get("state"), "exited");
		t.equal(podStatus(podUuid("bare")).get("app-busybox"), "5");
		t.equal(unitProperty("bare", "ExecMainStatus"), "5");
	});
}

function limitsOfTheUnit(): void {
	t.test("TasksMax= of a unit counts all processes of the pod", async (t) => {
		const script = "i=0; while [ $i -lt 60 ]; do sleep 100 & i=$((i+1)); done; echo started all";
		startUnit("tasks", podCommand("tasks", `echo up; ${script}`), ["TasksMax=20", "Type=exec"]);
		const uuid = await waitForOutput("tasks");
		const directory = `/var/log/journal/${machineIdOf(uuid)}`;
		const said = (): string[] =>
			journal("-D", directory, "-t", "busybox").map((entry) => entry.MESSAGE ?? "");
		await waitFor("the limit", () => said().some((text) => text.includes("can't fork")));
		t.notOk(said().includes("started all"));
		attempt("systemctl", "stop", "tasks");
	});

	t.test("CPUQuota= of a unit binds the whole pod", async (t) => {
		const spin = "while :; do :; done";
		startUnit("slow", podCommand("slow", `echo up; ${spin} & ${spin}`), ["CPUQuota=20%"]);
		await waitForOutput("slow");
		const used = cpuSeconds("slow");
		const began = performance.now();
		await new Promise((resolve) => setTimeout(resolve, 1500));
		const share = (cpuSeconds("slow") - used) / ((performance.now() - began) / 1000);
		t.ok(share > 0.05 && share < 0.35, `${share.toFixed(2)} processors`);
		attempt("systemctl", "kill", "--signal=KILL", "slow");
	});
}

function limitsWithoutEffect(): void {
	t.test("limits that nothing applies are named, in a service and from a login", (t) => {
		const flags = ["--memory=20M", "--cpu=500m"];
		for (const unit of [["--wait", "--pipe", "--collect"], ["--scope"]]) {
			const { status, stderr } = attempt(
				"systemd-run",
				"--quiet",
				...unit,
				...podCommand("no-limits", "true", { app: flags }),
			);
			t.equal(status, 0, { stderr });
			for (const name of ["memory", "cpu"]) {
				t.match(
					stderr,
					`warning: app busybox: isolator resource/${name} has no effect: the pod has no cgroup controller ${name}\n`,
				);
			}
		}
		t.end();
	});
}

/** Of all processes of a unit, proc(5). */
function cpuSeconds(unit: string): number {
	const ticks = [...unitProcesses(unit).keys()].map((pid) => {
		const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").replace(/.*\) /, "").split(" ");
		return Number(fields[11]) + Number(fields[12]);
	});
	return ticks.reduce((sum, value) => sum + value, 0) / 100;
}
