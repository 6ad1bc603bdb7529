import * as fs from "node:fs";
import type { Test } from "tap";
import {
	attempt,
	endOf,
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

/* What systemd, machined and the journal see of pods of every kind. Names of units begin with that of the kind. */

export interface PodKind {
	readonly name: string;
	/** The flag that chooses the stage1. */
	readonly flags: readonly string[];
	/** Programs of the unit beside those of the app, in order. */
	readonly programs: readonly string[];
	/** Those of the main process and of machined's leader. */
	readonly main: string;
	readonly leader: string;
	/** How many lines an app prints in the time of a test. */
	readonly lines: number;
}

export const NSPAWN: PodKind = {
	name: "nspawn",
	flags: [],
	programs: ["systemd", "systemd-journald", "systemd-nspawn"],
	main: "systemd-nspawn",
	leader: "systemd",
	lines: 100_000,
};

export const UML: PodKind = {
	name: "uml",
	flags: ["--stage1-image=kvm-uml"],
	programs: ["linux", "monitor"],
	main: "monitor",
	leader: "monitor",
	lines: 8_000,
};

export const QEMU: PodKind = {
	...UML,
	name: "qemu",
	flags: ["--stage1-image=kvm"],
	programs: ["monitor", "qemu-system-x86_64", "virtiofsd"],
};

/** Starts a pod as a transient service, when it has printed something; gives its UUID. */
export function startPodUnit(kind: PodKind, unit: string, script: string): Promise<string> {
	startUnit(unit, podCommand(unit, script, { pod: kind.flags }), ["TimeoutStartSec=60"]);
	return waitForOutput(unit);
}

/** Programs of the processes of a unit beside the app's, in order, each once. A process may have ended meanwhile. */
function programs(unit: string): string[] {
	const names = [...unitProcesses(unit).values()].filter((name) => name !== "busybox" && name !== "");
	return [...new Set(names)].sort();
}

export function unitCase(t: Test, kind: PodKind): void {
	t.test(
		`${kind.name}: a pod is a unit and a machine; below it are its processes and none of rkt`,
		async (t) => {
			const unit = `${kind.name}-web`;
			const uuid = await startPodUnit(kind, unit, GRACEFUL);
			t.equal(unitProperty(unit, "ActiveState"), "active");
			t.same(programs(unit), kind.programs);
			const processes = unitProcesses(unit);
			const mainPid = unitProperty(unit, "MainPID");
			t.equal(processes.get(Number(mainPid)), kind.main);
			t.same(machines(), [uuid]);
			t.equal(machineProperty(uuid, "Unit"), `${unit}.service`);
			t.equal(machineProperty(uuid, "Service"), "rkt");
			t.equal(machineProperty(uuid, "State"), "running");
			t.equal(processes.get(Number(machineProperty(uuid, "Leader"))), kind.leader);
			t.equal(podStatus(uuid).get("state"), "running");
			t.equal(podStatus(uuid).get("pid"), mainPid);
			t.match(system("machinectl", "status", `rkt-${uuid}`), `${unit}.service`);

			const started = performance.now();
			attempt("systemctl", "stop", unit);
			if (kind === NSPAWN) t.ok(performance.now() - started < 2000, "stopping is quick");
			t.equal(unitProperty(unit, "ExecMainStatus"), "5", "the app's status is the unit's");
			t.same(machines(), []);
			t.equal(podStatus(uuid).get("state"), "exited");
			t.equal(podStatus(uuid).get("app-busybox"), "5");
			t.ok(
				journal("-u", unit).some(({ MESSAGE }) => MESSAGE?.includes("got TERM")),
				"the app ended in order",
			);
		},
	);
}

export function statusCase(t: Test, kind: PodKind, statuses: readonly number[]): void {
	t.test(`${kind.name}: the exit status of the pod is that of its unit`, async (t) => {
		for (const status of statuses) {
			const command = podCommand(`${kind.name}-status`, `exit ${status}`, { pod: kind.flags });
			const result = attempt("systemd-run", "--quiet", "--wait", "--collect", "--slice=machine", ...command);
			t.equal(result.status, status, { stderr: result.stderr });
		}
	});
}

export function scopeCase(t: Test, kind: PodKind): void {
	t.test(`${kind.name}: outside of a service the pod gets a scope from machined`, async (t) => {
		const name = `${kind.name}-login`;
		const child = startInScope(name, podCommand(name, GRACEFUL, { pod: kind.flags }));
		const uuid = await waitForOutput(name);
		const unit = machineProperty(uuid, "Unit");
		t.equal(unit, `machine-rkt\\x2d${uuid.replaceAll("-", "\\x2d")}.scope`);
		// nspawn stays where it was started.
		t.same(
			programs(unit),
			kind.programs.filter((program) => program !== "systemd-nspawn"),
		);
		t.same(system(RKT, "stop", uuid), `"${uuid}"`);
		t.equal(await endOf(child), 5);
		await waitFor("machined", () => machines().length === 0);
		t.equal(podStatus(uuid).get("app-busybox"), "5");
	});
}

export function machinectlCases(t: Test, kind: PodKind): void {
	// Starting again after a reboot is the unit's business.
	for (const verb of ["poweroff", "reboot", "terminate"]) {
		t.test(`${kind.name}: machinectl ${verb} ends the pod in order`, async (t) => {
			const unit = `${kind.name}-${verb}`;
			const uuid = await startPodUnit(kind, unit, GRACEFUL);
			system("machinectl", verb, `rkt-${uuid}`);
			await waitFor("the end", () => unitProperty(unit, "ActiveState") !== "active");
			await waitFor("machined", () => !machines().includes(uuid));
			t.equal(podStatus(uuid).get("state"), "exited");
			t.equal(podStatus(uuid).get("app-busybox"), "5");
			if (verb === "reboot") t.equal(unitProperty(unit, "ExecMainStatus"), "5");
			t.equal(unitProperty(unit, "ControlGroup") === "" ? 0 : unitProcesses(unit).size, 0, "nothing is left");
		});
	}
}

export function journalCases(t: Test, kind: PodKind): void {
	t.test(`${kind.name}: the journal of a pod: while it runs, after its end, until gc`, async (t) => {
		const unit = `${kind.name}-log`;
		const uuid = await startPodUnit(kind, unit, `echo one; echo two >&2; ${GRACEFUL}`);
		const machine = `rkt-${uuid}`;
		const messages = (...filter: string[]): (string | undefined)[] =>
			journal("-M", machine, ...filter).map(({ MESSAGE }) => MESSAGE);
		await waitFor("all lines", () => messages("-t", "busybox").length >= 3);
		t.same(
			messages("-u", "busybox").filter((text) => /^(one|two|up)$/.test(text ?? "")),
			["one", "two", "up"],
		);
		t.same(messages("-t", "busybox"), ["one", "two", "up"], "each line once");
		t.match(journal("-M", machine, "-u", "busybox", "-t", "busybox")[0], {
			MESSAGE: "one",
			SYSLOG_IDENTIFIER: "busybox",
			_SYSTEMD_UNIT: "busybox.service",
			_HOSTNAME: machine,
			_MACHINE_ID: machineIdOf(uuid),
			RKT_POD_UUID: uuid,
			PRIORITY: "6",
		});
		t.match(system(RKT, "logs", uuid), /one[\s\S]*two[\s\S]*up/);
		const follow = ["--signal=INT", "1", "journalctl", "-M", machine, "-f", "-o", "cat"];
		t.match(attempt("timeout", ...follow).stdout, /one\ntwo\nup\n/);

		attempt("systemctl", "stop", unit);
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

	t.test(`${kind.name}: an app that prints ${kind.lines} lines and ends at once loses none`, async (t) => {
		const name = `${kind.name}-lines`;
		const script = `i=0; while [ $i -lt ${kind.lines} ]; do echo line-$i; i=$((i+1)); done`;
		// Some hundreds of lines a second in a machine: on a slow day more than a command of attempt() may take.
		const child = startInScope(name, podCommand(name, script, { pod: kind.flags }));
		let shown = "";
		child.stdout?.on("data", (chunk) => {
			shown += chunk;
		});
		child.stderr?.resume();
		t.equal(await endOf(child), 0);
		const directory = `/var/log/journal/${machineIdOf(podUuid(name))}`;
		const lines = system("journalctl", "-D", directory, "-t", "busybox", "-o", "cat");
		const expected = Array.from({ length: kind.lines }, (_, index) => `line-${index}`).join("\n");
		t.ok(lines === expected, `in the journal: ${lines.split("\n").length} lines`);
		t.equal(shown.match(/line-/g)?.length, kind.lines, "on standard output");
	});
}
