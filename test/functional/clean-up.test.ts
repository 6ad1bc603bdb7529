import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { BUSYBOX, createBusyboxHost, firstUuid } from "../support/busybox-host.ts";
import { newTraces, readMachineTraces } from "../support/machine-traces.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

t.test("after many pods nothing of them is left", async (t) => {
	const host = await createBusyboxHost("clean");
	t.teardown(() => host.remove());
	// The first pod brings what stays on purpose: the store, the tree of stage1.
	await host.shell("true");
	await host.rkt(["gc", "--grace-period=0s"]);
	const before = readMachineTraces(host.dataDirectory, []);
	const files = countFiles(host.dataDirectory);
	const uuids: string[] = [];

	t.test("a hundred rounds of run and gc, with networks, ports, volumes, failures and kills", async (t) => {
		const rounds = 100;
		for (let round = 0; round < rounds; round += 1) {
			const uuidFile = path.join(host.directory, "uuid");
			const save = `--uuid-file-save=${uuidFile}`;
			if (round % 10 === 3) await host.shell("true", { pod: ["--net", save] });
			else if (round % 10 === 6) await host.shell("exit 3", { pod: [save] });
			else if (round % 10 === 8)
				await host.shell("touch /mnt/x", {
					pod: [save, "--volume=v,kind=empty"],
					app: ["--mount=volume=v,target=/mnt"],
				});
			else await host.shell("true", { pod: [save] });
			uuids.push(firstUuid(fs.readFileSync(uuidFile, "utf8")));
			const gc = await host.rkt(["gc", "--grace-period=0s"]);
			if (gc.status !== 0 || !gc.stdout.includes(uuids.at(-1) as string))
				t.fail(`round ${round}: ${gc.stderr}`);
		}
		t.equal(new Set(uuids).size, rounds);
	});

	t.test("pods that were killed, stopped and never run", async (t) => {
		const child = host.start([
			"run",
			`--uuid-file-save=${host.directory}/killed`,
			...host.shellWords("sleep 600", { pod: ["--net"] }),
		]);
		const file = `${host.directory}/killed`;
		while (!fs.existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 5));
		child.kill("SIGKILL");
		await child;
		const uuid = firstUuid(fs.readFileSync(file, "utf8"));
		uuids.push(uuid);
		const prepared = await host.rkt(["prepare", "--quiet", BUSYBOX]);
		uuids.push(firstUuid(prepared.stdout));
		await host.rkt(["stop", "--force", uuid]);
		const gc = await host.rkt(["gc", "--grace-period=0s", "--expire-prepared=0s"]);
		t.equal(gc.status, 0, { stderr: gc.stderr });
		await host.rkt(["gc", "--grace-period=0s"]);
	});

	t.test("the machine is as it was", async (t) => {
		t.strictSame(newTraces(before, readMachineTraces(host.dataDirectory, uuids)), []);
		t.equal(countFiles(host.dataDirectory), files, "no file more in the data directory");
	});
});

function countFiles(directory: string): number {
	return fs.readdirSync(directory, { recursive: true }).length;
}
