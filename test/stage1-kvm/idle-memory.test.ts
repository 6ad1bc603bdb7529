import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { kindsOfTree } from "../../scripts/bench/idle-memory.ts";
import { createBusyboxHost } from "../support/busybox-host.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

/** A pod whose app waits. Gives how many MiB of the host's its guest has, and a way to run something in the app. */
async function startIdlePod(t: Test, flavor: string) {
	const host = await createBusyboxHost(`idle-memory-${flavor}`);
	t.teardown(() => host.remove());
	const file = path.join(host.directory, "uuid");
	const flags = [`--stage1-image=${flavor}`, `--uuid-file-save=${file}`];
	const pod = host.start(["run", ...host.shellWords("sleep 1000", { pod: flags })]);
	await waitFor("the UUID", () => fs.existsSync(file) && fs.statSync(file).size >= 36);
	const uuid = fs.readFileSync(file, "utf8").trim();
	t.equal((await host.rkt(["status", "--wait-ready=60s", uuid])).status, 0);
	const guestMiB = (): number => (kindsOfTree(pod.pid as number).get("guest") ?? 0) / 1024;
	const enter = (script: string) => host.rkt(["enter", uuid, "/bin/sh", "-c", script]);
	return { guestMiB, enter };
}

t.test("kvm-uml: a guest that has started gives memory back, and can use it again", async (t) => {
	const { guestMiB, enter } = await startIdlePod(t, "kvm-uml");
	const started = guestMiB();
	await waitFor("less memory", () => guestMiB() < started - 3);
	t.ok(guestMiB() < 62, `${guestMiB()} of ${started} MiB`);
	const large = await enter("dd if=/dev/zero of=/dev/null bs=450M count=1");
	t.equal(large.status, 0, "what was taken for a moment is the guest's again");
});

t.test("kvm: a guest gives back what it does not need any more", async (t) => {
	const { guestMiB, enter } = await startIdlePod(t, "kvm");
	const started = guestMiB();
	await waitFor("less memory", () => guestMiB() < started - 3);
	t.ok(guestMiB() < 100, `${guestMiB()} of ${started} MiB`);
	const large = enter("dd if=/dev/zero bs=100M count=1 | (sleep 4; wc -c)");
	await waitFor("more memory", () => guestMiB() > started + 60);
	t.equal((await large).stdout.trim(), `${100 << 20}`);
	await waitFor("less memory again", () => guestMiB() < started + 20);
});
