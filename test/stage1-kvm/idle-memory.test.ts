import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { kindsOfTree } from "../../scripts/bench/idle-memory.ts";
import { createBusyboxHost } from "../support/busybox-host.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

/** A pod whose app reads 20 MB of the host's and waits. Gives how many MiB its guest has, and a way to run something in the app. */
async function startIdlePod(t: Test, flavor: string) {
	const host = await createBusyboxHost(`idle-memory-${flavor}`);
	t.teardown(() => host.remove());
	const file = path.join(host.directory, "uuid");
	const shared = path.join(host.directory, "shared");
	fs.mkdirSync(shared);
	fs.writeFileSync(path.join(shared, "file"), Buffer.alloc(20_000_000, "x"));
	const words = host.shellWords("cat /mnt/file >/dev/null; sleep 1000", {
		pod: [`--stage1-image=${flavor}`, `--uuid-file-save=${file}`, `--volume=v,kind=host,source=${shared}`],
		app: ["--mount=volume=v,target=/mnt"],
	});
	const pod = host.start(["run", ...words]);
	await waitFor("the UUID", () => fs.existsSync(file) && fs.statSync(file).size >= 36);
	const uuid = fs.readFileSync(file, "utf8").trim();
	t.equal((await host.rkt(["status", "--wait-ready=60s", uuid])).status, 0);
	const guestMiB = (): number => (kindsOfTree(pod.pid as number).get("guest") ?? 0) / 1024;
	const enter = (script: string) => host.rkt(["enter", uuid, "/bin/sh", "-c", script]);
	return { guestMiB, enter };
}

t.test("kvm-uml: a guest that has started gives memory back, and can use it again", async (t) => {
	const { guestMiB, enter } = await startIdlePod(t, "kvm-uml");
	await waitFor("less memory", () => guestMiB() < 66);
	const large = await enter("dd if=/dev/zero of=/dev/null bs=450M count=1");
	t.equal(large.status, 0, "what was taken for a moment is the guest's again");
});

t.test("kvm: a guest gives back what it does not need any more", async (t) => {
	const { guestMiB, enter } = await startIdlePod(t, "kvm");
	// The archive that its programs came in would be 22 more.
	await waitFor("less memory", () => guestMiB() < 108);
	const large = enter("dd if=/dev/zero bs=100M count=1 | (sleep 4; wc -c)");
	await waitFor("more memory", () => guestMiB() > 160);
	t.equal((await large).stdout.trim(), `${100 << 20}`);
	await waitFor("less memory again", () => guestMiB() < 125);
});
