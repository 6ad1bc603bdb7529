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

/*
 * What pods.test.ts sees of pods under nspawn, of pods with a kernel of their own: under User-Mode Linux, whose pods start
 * in seconds, and once under QEMU, which emulates the processor here.
 */

const UML = ["--stage1-image=kvm-uml"];
const QEMU = ["--stage1-image=kvm"];
const layout = onSystemdHost(t, ["hybrid", "unified"], 200);
if (layout !== undefined) {
	t.before(fetchBusybox);
	units();
	if (layout === "hybrid") {
		machinectl();
		journals();
		kills();
	}
}

/** As a transient service; a machine may take a while to start. */
function startMachine(name: string, script: string, image: readonly string[]): void {
	startUnit(name, podCommand(name, script, { pod: image }), ["TimeoutStartSec=60"]);
}

/** Programs of the processes of a unit, in order, each once. */
function programs(unit: string): string[] {
	return [...new Set([...unitProcesses(unit).values()].filter((name) => name !== ""))].sort();
}

function units(): void {
	for (const [name, machine, image, below] of [
		["uml", "User-Mode Linux", UML, ["linux", "monitor"]],
		["qemu", "QEMU", QEMU, ["monitor", "qemu-system-x86_64", "virtiofsd"]],
	] as const) {
		t.test(
			`${machine}: a pod is a unit and a machine; below it is the machine and none of rkt`,
			async (t) => {
				startMachine(name, GRACEFUL, image);
				const uuid = await waitForOutput(name);
				t.equal(unitProperty(name, "ActiveState"), "active");
				t.same(programs(name), below);
				t.same(machines(), [uuid]);
				t.equal(machineProperty(uuid, "Unit"), `${name}.service`);
				t.equal(machineProperty(uuid, "Service"), "rkt");
				t.equal(machineProperty(uuid, "State"), "running");
				t.equal(machineProperty(uuid, "Leader"), unitProperty(name, "MainPID"));
				t.equal(podStatus(uuid).get("state"), "running");
				t.match(system("machinectl", "status", `rkt-${uuid}`), `${name}.service`);

				system("systemctl", "stop", name);
				t.equal(unitProperty(name, "ExecMainStatus"), "5", "the app's status is the unit's");
				t.same(machines(), []);
				t.equal(podStatus(uuid).get("state"), "exited");
				t.equal(podStatus(uuid).get("app-busybox"), "5");
			},
		);
	}

	t.test("the exit status of the pod is that of its unit", async (t) => {
		const command = podCommand("status", "exit 7", { pod: UML });
		const result = attempt("systemd-run", "--quiet", "--wait", "--collect", "--slice=machine", ...command);
		t.equal(result.status, 7, { stderr: result.stderr });
	});

	t.test("outside of a service the pod gets a scope from machined", async (t) => {
		const child = startInScope("login", podCommand("login", GRACEFUL, { pod: UML }));
		const uuid = await waitForOutput("login");
		const unit = machineProperty(uuid, "Unit");
		t.equal(unit, `machine-rkt\\x2d${uuid.replaceAll("-", "\\x2d")}.scope`);
		t.same(programs(unit), ["linux", "monitor"]);
		t.same(system(RKT, "stop", uuid), `"${uuid}"`);
		t.equal(await endOf(child), 5);
		await waitFor("machined", () => machines().length === 0);
		t.equal(podStatus(uuid).get("app-busybox"), "5");
	});
}

function machinectl(): void {
	for (const verb of ["poweroff", "reboot", "terminate"]) {
		t.test(`machinectl ${verb} ends the pod in order`, async (t) => {
			startMachine(verb, GRACEFUL, UML);
			const uuid = await waitForOutput(verb);
			system("machinectl", verb, `rkt-${uuid}`);
			await waitFor("the end", () => unitProperty(verb, "ActiveState") !== "active");
			await waitFor("machined", () => !machines().includes(uuid));
			t.equal(podStatus(uuid).get("state"), "exited");
			t.equal(podStatus(uuid).get("app-busybox"), "5");
		});
	}
}

function journals(): void {
	t.test("the journal of a pod: while it runs, after its end, until gc", async (t) => {
		startMachine("log", `echo one; echo two >&2; ${GRACEFUL}`, UML);
		const uuid = await waitForOutput("log");
		const messages = (...filter: string[]): (string | undefined)[] =>
			journal("-M", `rkt-${uuid}`, ...filter).map(({ MESSAGE }) => MESSAGE);
		await waitFor("all lines", () => messages("-t", "busybox").length >= 3);
		t.same(messages("-t", "busybox"), ["one", "two", "up"], "each line once");
		t.match(journal("-M", `rkt-${uuid}`, "-u", "busybox", "-t", "busybox")[0], {
			MESSAGE: "one",
			_SYSTEMD_UNIT: "busybox.service",
			_HOSTNAME: `rkt-${uuid}`,
			_MACHINE_ID: machineIdOf(uuid),
			RKT_POD_UUID: uuid,
		});
		t.match(system(RKT, "logs", uuid), /one[\s\S]*two[\s\S]*up/);

		system("systemctl", "stop", "log");
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

	t.test("an app that prints 8,000 lines and ends at once loses none", async (t) => {
		const script = "i=0; while [ $i -lt 8000 ]; do echo line-$i; i=$((i+1)); done";
		// Some hundreds of lines a second: on a slow day more than a command of attempt() may take.
		const child = startInScope("lines", podCommand("lines", script, { pod: UML }));
		child.stdout?.resume();
		child.stderr?.resume();
		t.equal(await endOf(child), 0);
		const directory = `/var/log/journal/${machineIdOf(podUuid("lines"))}`;
		const lines = system("journalctl", "-D", directory, "-t", "busybox", "-o", "cat");
		const expected = Array.from({ length: 8_000 }, (_, index) => `line-${index}`).join("\n");
		t.ok(lines === expected, `in the journal: ${lines.split("\n").length} lines`);
	});
}

function kills(): void {
	for (const [victim, image] of [
		["linux", UML],
		["monitor", UML],
		["virtiofsd", QEMU],
	] as const) {
		t.test(`when ${victim} is killed the pod is exited within two seconds, and collected`, async (t) => {
			startMachine(victim, "echo up; exec sleep 4711", image);
			const uuid = await waitForOutput(victim);
			const processes = unitProcesses(victim);
			const [pid] = [...processes].find(([, name]) => name === victim) ?? [];
			process.kill(pid as number, "SIGKILL");
			const killed = performance.now();
			await waitFor("the pod's end", () => podStatus(uuid).get("state") === "exited");
			t.ok(performance.now() - killed < 2000, `after ${Math.round(performance.now() - killed)} ms`);
			await waitFor("no process", () => [...processes.keys()].every((id) => !fs.existsSync(`/proc/${id}`)));
			await waitFor("machined", () => !machines().includes(uuid));
			attempt("systemctl", "reset-failed", victim);
			system(RKT, "gc", "--grace-period=0s");
			t.not(attempt(RKT, "status", uuid).status, 0, "the pod is collected");
		});
	}
}
