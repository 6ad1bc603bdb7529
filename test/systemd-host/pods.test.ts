import * as fs from "node:fs";
import t from "tap";
import { onSystemdHost } from "../support/on-systemd-host.ts";
import {
	attempt,
	endOf,
	fetchBusybox,
	GRACEFUL,
	journal,
	machineIdOf,
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

const layout = onSystemdHost(t, ["hybrid", "unified"], 120);
if (layout !== undefined) {
	t.before(fetchBusybox);
	units();
	machinectl();
	signals();
	if (layout === "hybrid") journals();
}

function units(): void {
	t.test("a pod is a unit: below it are its own processes and none of rkt", async (t) => {
		startUnit("web", podCommand("web", GRACEFUL));
		const uuid = podUuid("web");
		t.equal(unitProperty("web", "ActiveState"), "active");
		// The unit is active when the pod's systemd is; a moment later the app has its name.
		await waitFor("the app", () => [...unitProcesses("web").values()].includes("busybox"));
		const processes = unitProcesses("web");
		// A sleep of the app may have ended meanwhile and have no name any more.
		const names = [...processes.values()].filter((name) => name !== "busybox" && name !== "").sort();
		t.same(names, ["systemd", "systemd-journald", "systemd-nspawn"]);
		t.equal(processes.get(Number(unitProperty("web", "MainPID"))), "systemd-nspawn");
		t.same(machines(), [uuid]);
		t.equal(machineProperty(uuid, "Unit"), "web.service");
		t.equal(machineProperty(uuid, "Service"), "rkt");
		t.equal(machineProperty(uuid, "State"), "running");
		t.equal(processes.get(Number(machineProperty(uuid, "Leader"))), "systemd");
		t.equal(podStatus(uuid).get("state"), "running");
		t.equal(podStatus(uuid).get("pid"), unitProperty("web", "MainPID"));
		t.match(system("machinectl", "status", `rkt-${uuid}`), /busybox\.service/);

		const started = performance.now();
		attempt("systemctl", "stop", "web");
		t.ok(performance.now() - started < 2000, "stopping is quick");
		t.equal(unitProperty("web", "ExecMainStatus"), "5", "the app's status is the unit's");
		t.same(machines(), []);
		t.equal(podStatus(uuid).get("state"), "exited");
		t.equal(podStatus(uuid).get("app-busybox"), "5");
		t.ok(
			journal("-u", "web").some(({ MESSAGE }) => MESSAGE?.includes("got TERM")),
			"the app ended in order",
		);
	});

	t.test("the exit status of the pod is that of its unit", async (t) => {
		for (const status of [0, 7, 143]) {
			const command = podCommand("status", `exit ${status}`);
			const result = attempt("systemd-run", "--quiet", "--wait", "--collect", "--slice=machine", ...command);
			t.equal(result.status, status, { stderr: result.stderr });
		}
		const failure = attempt("systemd-run", "--quiet", "--wait", "--collect", RKT, "run", "example.com/none");
		t.equal(failure.status, 254, "rkt's own failures are 254");
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

	t.test("outside of a service the pod gets a scope from machined", async (t) => {
		const child = startInScope("login", podCommand("login", GRACEFUL));
		const uuid = await waitForOutput("login");
		const unit = machineProperty(uuid, "Unit");
		t.equal(unit, `machine-rkt\\x2d${uuid.replaceAll("-", "\\x2d")}.scope`);
		t.ok([...unitProcesses(unit).values()].includes("systemd-journald"));
		t.same(system(RKT, "stop", uuid), `"${uuid}"`);
		t.equal(await endOf(child), 5);
		await waitFor("machined", () => machines().length === 0);
		t.equal(podStatus(uuid).get("app-busybox"), "5");
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

function machinectl(): void {
	t.test("machinectl poweroff and terminate, seen by rkt at every moment", async (t) => {
		for (const verb of ["poweroff", "terminate"]) {
			startUnit(verb, podCommand(verb, GRACEFUL));
			const uuid = await waitForOutput(verb);
			system("machinectl", verb, `rkt-${uuid}`);
			await waitFor("the end", () => unitProperty(verb, "ActiveState") !== "active");
			await waitFor("machined", () => !machines().includes(uuid));
			t.equal(podStatus(uuid).get("state"), "exited", verb);
			t.equal(podStatus(uuid).get("app-busybox"), "5", verb);
			t.same([...unitProcessesOrNone(verb).values()], [], "nothing is left");
		}
	});

	t.test("machinectl reboot ends the pod in order: starting it again is the unit's business", async (t) => {
		startUnit("again", podCommand("again", GRACEFUL));
		const uuid = await waitForOutput("again");
		system("machinectl", "reboot", `rkt-${uuid}`);
		await waitFor("the end", () => unitProperty("again", "ActiveState") !== "active");
		t.equal(podStatus(uuid).get("app-busybox"), "5");
		t.equal(unitProperty("again", "ExecMainStatus"), "5");
		t.same(machines(), []);
	});
}

function unitProcessesOrNone(unit: string): Map<number, string> {
	return unitProperty(unit, "ControlGroup") === "" ? new Map() : unitProcesses(unit);
}

function journals(): void {
	t.test("the journal of a pod: while it runs, after its end, until gc", async (t) => {
		startUnit("log", podCommand("log", `echo one; echo two >&2; ${GRACEFUL}`));
		const uuid = await waitForOutput("log");
		const messages = (...filter: string[]): (string | undefined)[] =>
			journal("-M", `rkt-${uuid}`, ...filter).map(({ MESSAGE }) => MESSAGE);
		await waitFor("all lines", () => messages("-t", "busybox").length >= 3);
		t.same(
			messages("-u", "busybox").filter((text) => /^(one|two|up)$/.test(text ?? "")),
			["one", "two", "up"],
		);
		t.same(messages("-t", "busybox"), ["one", "two", "up"], "each line once");
		const [line] = journal("-M", `rkt-${uuid}`, "-t", "busybox");
		t.match(line, {
			MESSAGE: "one",
			SYSLOG_IDENTIFIER: "busybox",
			_SYSTEMD_UNIT: "busybox.service",
			_HOSTNAME: `rkt-${uuid}`,
			_MACHINE_ID: machineIdOf(uuid),
			PRIORITY: "6",
		});

		const follow = attempt(
			"timeout",
			"--signal=INT",
			"1",
			"journalctl",
			"-M",
			`rkt-${uuid}`,
			"-f",
			"-o",
			"cat",
		);
		t.match(follow.stdout, /one\ntwo\nup\n/);

		attempt("systemctl", "stop", "log");
		const after = (): (string | undefined)[] =>
			journal("-m", `_MACHINE_ID=${machineIdOf(uuid)}`, "-t", "busybox").map(({ MESSAGE }) => MESSAGE);
		t.same(
			after().filter((text) => text !== "Terminated"),
			["one", "two", "up", "got TERM"],
		);
		system(RKT, "gc", "--grace-period=0s");
		t.same(after(), []);
		t.notOk(fs.existsSync(`/var/log/journal/${machineIdOf(uuid)}`));
	});

	t.test("an app that prints 100,000 lines and ends at once loses none", async (t) => {
		const script = "i=0; while [ $i -lt 100000 ]; do echo line-$i; i=$((i+1)); done";
		const result = attempt("systemd-run", "--quiet", "--wait", "--pipe", ...podCommand("lines", script));
		t.equal(result.status, 0, { stderr: result.stderr });
		const uuid = podUuid("lines");
		const lines = system(
			"journalctl",
			"-D",
			`/var/log/journal/${machineIdOf(uuid)}`,
			"-t",
			"busybox",
			"-o",
			"cat",
		);
		const expected = Array.from({ length: 100_000 }, (_, index) => `line-${index}`).join("\n");
		t.ok(lines === expected, `in the journal: ${lines.split("\n").length} lines`);
		const shown = result.stdout.split("\n").filter((line) => line.includes("line-"));
		t.equal(shown.length, 100_000, "on standard output");
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
