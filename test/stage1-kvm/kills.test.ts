import * as fs from "node:fs";
import t from "tap";
import { createBusyboxHost } from "../support/busybox-host.ts";
import { newTraces, readMachineTraces } from "../support/machine-traces.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

/*
 * SIGKILL of a process of a pod in a machine, whichever it is and whenever: while stage0 and stage1 work, while the guest
 * starts, runs and ends. More rounds than these few are for a night: RKT_KILL_ROUNDS=200.
 */
enterPrivateHost();

const ROUNDS = Number(process.env.RKT_KILL_ROUNDS ?? "4");
const SEED = Number(process.env.RKT_KILL_SEED ?? Date.now() % 100_000);
/** Milliseconds in which a pod under User-Mode Linux starts and ends, on a busy machine. */
const LIFE = 4000;

t.test(`SIGKILL of any process at any moment; seed ${SEED}`, async (t) => {
	const host = await createBusyboxHost("kills");
	t.teardown(() => host.remove());
	const words = host.shellWords("sleep 0.5", { pod: ["--stage1-image=kvm-uml", "--net=default"] });
	await host.rkt(["run", ...words]);
	await host.rkt(["gc", "--grace-period=0s"]);
	const before = readMachineTraces(host.dataDirectory, []);
	for (let round = 0; round < ROUNDS; round += 1) {
		const [when, which] = [random(2 * round), random(2 * round + 1)];
		const child = host.start(["run", ...words]);
		await new Promise((resolve) => setTimeout(resolve, when * LIFE));
		const all = [child.pid as number, ...processesBelow(child.pid as number)];
		const victim = all[Math.floor(which * all.length)] as number;
		const what = `round ${round}, after ${Math.round(when * LIFE)} ms: ${nameOf(victim)}`;
		kill(victim);
		await child;
		await waitFor(`the end of all processes: ${what}`, () => all.every((pid) => !isThere(pid)));
		const list = await host.rkt(["list", "--no-legend"]);
		t.notMatch(list.stdout, /\srunning\s/, what);
		const gc = await host.rkt(["gc", "--grace-period=0s", "--expire-prepared=0s"]);
		t.equal(gc.status, 0, what, { stderr: gc.stderr });
		t.strictSame(newTraces(before, readMachineTraces(host.dataDirectory, [])), [], what);
	}
});

/** The n-th number from 0 to 1 of this seed. */
function random(n: number): number {
	const value = Math.sin((SEED + n) * 12.9898) * 43758.5453;
	return value - Math.floor(value);
}

function processesBelow(pid: number): number[] {
	try {
		const threads = fs.readdirSync(`/proc/${pid}/task`);
		const texts = threads.map((id) => fs.readFileSync(`/proc/${pid}/task/${id}/children`, "utf8"));
		const children = texts.flatMap((text) => text.split(" ").filter(Boolean)).map(Number);
		return children.flatMap((child) => [child, ...processesBelow(child)]);
	} catch {
		return [];
	}
}

function nameOf(pid: number): string {
	try {
		return fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim();
	} catch {
		return "a process that has ended";
	}
}

function kill(pid: number): void {
	try {
		process.kill(pid, "SIGKILL");
	} catch {
		// It has ended meanwhile.
	}
}

/** A process that nobody has waited for yet does nothing any more. */
function isThere(pid: number): boolean {
	try {
		return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, "utf8"));
	} catch {
		return false;
	}
}
