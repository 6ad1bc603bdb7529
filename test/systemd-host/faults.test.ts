import * as fs from "node:fs";
import t, { type Test } from "tap";
import { BUSYBOX } from "../support/busybox-host.ts";
import { onSystemdHost } from "../support/on-systemd-host.ts";
import {
	attempt,
	fetchBusybox,
	machineIdOf,
	machines,
	podCommand,
	podStatus,
	podUuid,
	RKT,
	startUnit,
	system,
	unitProperty,
	waitForOutput,
} from "../support/systemd-pods.ts";
import { waitFor } from "../support/wait-for.ts";

const GRACEFUL = "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done";

/** Runs a pod that must end with status 7, in a scope when `words` say so. What it wrote on standard error. */
function runOnce(t: Test, name: string, ...words: string[]): string {
	const [program, ...args] = [...words, ...podCommand(name, "echo hello; exit 7")];
	const result = attempt(program as string, ...args);
	t.equal(result.status, 7, { stderr: result.stderr });
	t.match(result.stdout, "hello");
	t.equal(podStatus(podUuid(name)).get("app-busybox"), "7");
	return result.stderr;
}

/** Where busctl finds machined. */
const MACHINED = [
	"org.freedesktop.machine1",
	"/org/freedesktop/machine1",
	"org.freedesktop.machine1.Manager",
];

/** What `machinectl show` says, by key. */
function machineShown(uuid: string): Record<string, string> {
	const lines = system("machinectl", "show", `rkt-${uuid}`).split("\n");
	return Object.fromEntries(lines.map((line) => [line.replace(/=.*/, ""), line.replace(/^[^=]*=/, "")]));
}

/** What a unit has printed, in the journal of the host. */
function consoleOf(unit: string): string {
	return system("journalctl", "--quiet", "--output=cat", "-u", unit);
}

if (onSystemdHost(t, ["hybrid"], 120) !== undefined) {
	t.before(fetchBusybox);

	t.test("a service without Delegate=, and a NOTIFY_SOCKET that nobody reads", (t) => {
		runOnce(t, "plain", "systemd-run", "--quiet", "--wait", "--pipe");
		runOnce(t, "stale", "env", "NOTIFY_SOCKET=/run/nobody");
		runOnce(t, "stale", "env", "NOTIFY_SOCKET=@nobody");
		// Bound once, but its owner has ended.
		const bind = 'require("net").createServer().listen("/run/left", () => process.kill(process.pid, 9))';
		attempt(process.execPath, "-e", bind);
		t.ok(fs.statSync("/run/left").isSocket());
		runOnce(t, "stale", "env", "NOTIFY_SOCKET=/run/left");
		t.end();
	});

	t.test(
		"machined, restarted or dead, and journald, restarted: status, output, stop and gc go on",
		async (t) => {
			const script =
				"trap 'echo last; exit 5' TERM; echo up; until [ -e /go ]; do sleep 0.1; done; echo again; while :; do sleep 0.1; done";
			startUnit("steady", podCommand("steady", script));
			const uuid = await waitForOutput("steady");
			const logs = (): string => system(RKT, "logs", "--output=cat", uuid);
			system("systemctl", "restart", "systemd-journald", "systemd-machined");
			t.same(machines(), [uuid]);
			t.match(machineShown(uuid), {
				Name: `rkt-${uuid}`,
				Class: "container",
				Service: "rkt",
				State: "running",
			});
			t.match(system("machinectl", "status", "--no-pager", `rkt-${uuid}`), /Unit: steady\.service/);
			system(RKT, "enter", uuid, "/bin/busybox", "touch", "/go");
			await waitFor("the journal of the pod", () => logs().includes("again"));
			await waitFor("the console", () => consoleOf("steady").includes("again"));
			// It does not start again by itself: rkt must do without an answer.
			system("systemctl", "kill", "--signal=KILL", "systemd-machined");
			t.equal(podStatus(uuid).get("state"), "running");
			t.equal(attempt(RKT, "stop", uuid).status, 0);
			await waitFor("the end", () => unitProperty("steady", "ActiveState") !== "active");
			t.equal(podStatus(uuid).get("app-busybox"), "5");
			t.match(logs(), /up\nagain\n(Terminated\n)?last/);
			system("systemctl", "kill", "--signal=KILL", "systemd-machined");
			t.equal(attempt(RKT, "gc", "--grace-period=0s").status, 0);
			t.equal(attempt(RKT, "status", uuid).status, 254);
			// D-Bus may still wait for the one that was killed.
			system("systemctl", "reset-failed", "systemd-machined");
			system("systemctl", "restart", "systemd-machined");
			t.same(machines(), []);
		},
	);

	t.test("journald, machined and D-Bus are killed while a pod runs", async (t) => {
		startUnit("tough", podCommand("tough", GRACEFUL));
		const uuid = await waitForOutput("tough");
		system("systemctl", "kill", "--signal=KILL", "systemd-journald");
		system("systemctl", "kill", "--signal=KILL", "systemd-machined");
		t.same(machines(), [uuid], "machined remembers the pod");
		attempt("systemctl", "kill", "--signal=KILL", "dbus");
		t.equal(podStatus(uuid).get("state"), "running");
		system("systemctl", "start", "dbus");
		attempt("systemctl", "stop", "tough");
		t.equal(unitProperty("tough", "ExecMainStatus"), "5");
		t.equal(podStatus(uuid).get("app-busybox"), "5");
		t.end();
	});

	t.test("a machine name that is taken is said, and the other machine stays", (t) => {
		startUnit("other", ["sleep", "600"], ["Type=exec"]);
		for (const words of [
			["--wait", "--pipe", "--unit=taken"],
			["--scope", "--unit=scoped"],
		]) {
			const uuid = system(RKT, "prepare", "--quiet", BUSYBOX);
			const register = ["RegisterMachine", "sayssus", `rkt-${uuid}`, "0", "other", "container"];
			system("busctl", "call", ...MACHINED, ...register, unitProperty("other", "MainPID"), "");
			const result = attempt("systemd-run", "--quiet", ...words, RKT, "run-prepared", "--net=none", uuid);
			t.equal(result.status, 1);
			t.match(result.stderr, `Machine 'rkt-${uuid}' already exists`);
			t.equal(podStatus(uuid).get("state"), "exited");
			system(RKT, "gc", "--grace-period=0s");
			t.same(machines(), [uuid], "it is not the pod's");
			system("busctl", "call", ...MACHINED, "UnregisterMachine", "s", `rkt-${uuid}`);
		}
		attempt("systemctl", "stop", "other");
		t.end();
	});

	t.test("without machined a pod runs, and it is said that machinectl does not know it", (t) => {
		system("systemctl", "mask", "--quiet", "--runtime", "--now", "systemd-machined");
		t.match(runOnce(t, "masked"), "machined is masked: the pod is not registered");
		t.match(runOnce(t, "masked", "systemd-run", "--scope", "--quiet"), "machined is masked");
		system("systemctl", "unmask", "--quiet", "--runtime", "systemd-machined");
		system("systemctl", "stop", "dbus.socket", "dbus");
		t.match(runOnce(t, "mute"), "D-Bus is not running: the pod is not registered");
		system("systemctl", "start", "dbus.socket", "dbus");
		t.end();
	});

	t.test("/var/log/journal is missing or cannot be written: the journal is in /run until gc", (t) => {
		fs.mkdirSync("/var/tmp/log");
		system("mount", "--bind", "/var/tmp/log", "/var/log");
		runOnce(t, "volatile");
		fs.mkdirSync("/var/log/journal");
		system("mount", "-o", "remount,bind,ro", "/var/log");
		runOnce(t, "read-only");
		for (const name of ["volatile", "read-only"]) {
			const directory = `/run/log/journal/${machineIdOf(podUuid(name))}`;
			t.equal(system("journalctl", "-D", directory, "-t", "busybox", "-o", "cat"), "hello", name);
		}
		system(RKT, "gc", "--grace-period=0s");
		t.same(fs.readdirSync("/run/log/journal"), []);
		system("umount", "/var/log");
		t.end();
	});
}
