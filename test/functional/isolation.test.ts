import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import * as z from "zod/mini";
import { BUSYBOX, type BusyboxHost, createBusyboxHost } from "../support/busybox-host.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

const Findings = z.array(z.object({ check: z.string(), closed: z.boolean(), seen: z.string() }));

async function startSleeper(
	host: BusyboxHost,
	globals: readonly string[],
	name: string,
	more: readonly string[] = [],
): Promise<string> {
	const file = path.join(host.directory, name);
	const app = [BUSYBOX, "--exec=/bin/sleep", "--", "100", ...more];
	host.start([...globals, "run", "--net=none", `--uuid-file-save=${file}`, ...app]);
	await waitFor("the UUID", () => fs.existsSync(file));
	const { stdout } = await host.rkt(["status", "--wait-ready", `--uuid-file=${file}`]);
	t.match(stdout, /^state=running$/m);
	return `--uuid-file=${file}`;
}

t.test("what an app is kept from, and what it is not", async (t) => {
	const host = await createBusyboxHost("isolation");
	t.teardown(() => host.remove());
	const uuidOf = async (file: string): Promise<string> => {
		const status = await host.rkt(["status", "--format=json", file]);
		return z.object({ name: z.string() }).parse(JSON.parse(status.stdout)).name;
	};
	const openIn = async (uuid: string): Promise<string[]> => {
		const result = await host.rkt(["test-isolation", "--format=json", uuid]);
		t.equal(result.status, 1, { stderr: result.stderr });
		const open = Findings.parse(JSON.parse(result.stdout)).filter(({ closed }) => !closed);
		return open.map(({ check }) => check);
	};
	const plain = await startSleeper(host, [], "plain");
	t.strictSame(await openIn(await uuidOf(plain)), ["namespace-user", "socket-raw"]);
	t.notMatch((await host.rkt(["status", plain])).stdout, /insecure/);
	const text = await host.rkt(["test-isolation", await uuidOf(plain)]);
	t.match(text.stdout, /^call-bpf +closed EPERM\n/m);
	t.match(text.stdout, /^namespace-user +open +of the host\n/m);

	for (const [word, opens, keeps] of [
		[
			"capabilities",
			"capabilities-effective",
			["call-mount", "hidden /proc/keys", "call-bpf", "read-only /sys"],
		],
		["paths", "hidden /proc/keys", ["call-mount", "capabilities-effective", "device-node memory"]],
		["seccomp", "call-unshare-user", ["capabilities-effective", "hidden /proc/keys", "call-bpf"]],
	] as const) {
		const file = await startSleeper(host, [`--insecure-options=image,${word}`], word);
		const open = await openIn(await uuidOf(file));
		t.ok(open.includes(opens), `${word}: ${opens}`, { open });
		for (const check of keeps) t.notOk(open.includes(check), `${word} keeps ${check}`, { open });
		t.match((await host.rkt(["status", file])).stdout, new RegExp(`^insecure-options=${word}$`, "m"));
	}
	t.equal((await host.rkt(["test-isolation", "--app=none", await uuidOf(plain)])).status, 254);
	const second = ["---", BUSYBOX, "--name=second", "--exec=/bin/sleep", "--", "100"];
	const two = await uuidOf(await startSleeper(host, [], "two", second));
	for (const command of ["test-isolation", "enter"]) {
		const { status, stderr } = await host.rkt([command, two]);
		t.equal(status, 254);
		t.match(stderr, `specify app using "rkt ${command} --app= ..."`);
	}
});
