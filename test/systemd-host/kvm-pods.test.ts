import * as fs from "node:fs";
import t from "tap";
import { onSystemdHost } from "../support/on-systemd-host.ts";
import {
	attempt,
	fetchBusybox,
	machines,
	podStatus,
	RKT,
	system,
	unitProcesses,
} from "../support/systemd-pods.ts";
import { waitFor } from "../support/wait-for.ts";
import {
	journalCases,
	machinectlCases,
	QEMU,
	scopeCase,
	startPodUnit,
	statusCase,
	UML,
	unitCase,
} from "./pod-cases.ts";

/*
 * What pods.test.ts sees of pods under nspawn, of pods with a kernel of their own: under User-Mode Linux, whose pods start
 * in seconds, and once under QEMU, which emulates the processor here.
 */

const layout = onSystemdHost(t, ["hybrid", "unified"], 200);
if (layout !== undefined) {
	t.before(fetchBusybox);
	unitCase(t, UML);
	unitCase(t, QEMU);
	statusCase(t, UML, [7]);
	scopeCase(t, UML);
	if (layout === "hybrid") {
		machinectlCases(t, UML);
		journalCases(t, UML);
		kills();
	}
}

function kills(): void {
	for (const [victim, kind] of [
		["linux", UML],
		["monitor", UML],
		["virtiofsd", QEMU],
	] as const) {
		t.test(`when ${victim} is killed the pod is exited within two seconds, and collected`, async (t) => {
			const uuid = await startPodUnit(kind, victim, "echo up; exec sleep 4711");
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
