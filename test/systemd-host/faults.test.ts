import * as fs from "node:fs";
import t, { type Test } from "tap";
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

if (onSystemdHost(t, ["hybrid"], 120) !== undefined) {
	t.before(fetchBusybox);

	t.test("a service without Delegate=, and a NOTIFY_SOCKET that nobody reads", (t) => {
		runOnce(t, "plain", "systemd-run", "--quiet", "--wait", "--pipe");
		runOnce(t, "stale", "env", "NOTIFY_SOCKET=/run/nobody");
		runOnce(t, "stale", "env", "NOTIFY_SOCKET=@nobody");
		t.end();
	});

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
