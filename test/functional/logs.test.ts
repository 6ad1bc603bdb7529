import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";
import t from "tap";
import { BUSYBOX, type BusyboxHost, createBusyboxHost } from "../support/busybox-host.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

t.test("rkt logs", async (t) => {
	const host = await createBusyboxHost("logs");
	t.teardown(() => host.remove());
	const run = async (script: string, ...flags: string[]): Promise<string> => {
		const pod = [...flags, `--uuid-file-save=${path.join(host.directory, "uuid")}`];
		await host.shell(script, { pod });
		return fs.readFileSync(path.join(host.directory, "uuid"), "utf8");
	};
	const logs = async (...words: string[]): Promise<string> => {
		const result = await host.rkt(["logs", ...words]);
		if (result.status !== 0) throw new Error(result.stderr);
		return result.stdout;
	};

	t.test("what apps printed, without what journald says of itself", async (t) => {
		const uuid = await run("echo one; echo two >&2; printf '<3>three\\n'");
		t.equal(await logs("--output=cat", uuid), "one\ntwo\nthree\n");
		t.match(await logs(uuid), /^\w+ \d+ [\d:]+ rkt-\S+ busybox\[\d+\]: one\n/);
		t.equal(await logs("--output=cat", "--lines=1", uuid.slice(0, 13)), "three\n");
		t.equal(
			await logs("--output=cat", `--uuid-file=${path.join(host.directory, "uuid")}`),
			"one\ntwo\nthree\n",
		);
		const [first, , third] = (await logs("--output=json", uuid))
			.trim()
			.split("\n")
			.map((line) => JSON.parse(line));
		t.match(first, {
			MESSAGE: "one",
			PRIORITY: "6",
			SYSLOG_IDENTIFIER: "busybox",
			_SYSTEMD_UNIT: "busybox.service",
			_HOSTNAME: `rkt-${uuid}`,
			RKT_POD_UUID: uuid,
			RKT_IMAGE_NAME: BUSYBOX,
			RKT_IMAGE_ID: host.imageId,
		});
		t.equal(third.PRIORITY, "3", "an app can say how bad it is");
	});

	t.test("times and numbers of lines together", async (t) => {
		const uuid = await run("echo one; echo two; echo three");
		t.equal(await logs("--output=cat", "--since=1h", "--lines=2", uuid), "two\nthree\n");
		t.equal(await logs("--output=cat", "--since=1h", "--lines=2", "--follow", uuid), "two\nthree\n");
		t.equal(await logs("-o", "cat", "-n2", "-f", uuid), "two\nthree\n", "the short forms");
		t.equal(await logs("--output=cat", "--since=2001-02-03", uuid), "one\ntwo\nthree\n");
		t.equal(await logs("--output=cat", "--until=1h", uuid), "");
		t.equal(await logs("--output=cat", "--since=2150-01-01T00:00:00Z", uuid), "");
		t.equal(await logs("--output=cat", "--lines=0", uuid), "");
	});

	t.test("one of several apps", async (t) => {
		const app = (name: string): string[] => [
			BUSYBOX,
			`--name=${name}`,
			"--exec=/bin/echo",
			"--",
			`from ${name}`,
		];
		const uuidFile = path.join(host.directory, "several");
		await host.rkt(["run", "--net=none", `--uuid-file-save=${uuidFile}`, ...app("a"), "---", ...app("b")]);
		const uuid = fs.readFileSync(uuidFile, "utf8");
		t.equal(await logs("--output=cat", "--app=b", uuid), "from b\n");
		t.same((await logs("--output=cat", uuid)).trim().split("\n").sort(), ["from a", "from b"]);
		const unknown = await host.rkt(["logs", "--app=c", uuid]);
		t.equal(unknown.status, 254);
		t.match(unknown.stderr, /has no app "c"\nhint: its apps are: a, b/);
	});

	t.test("--follow shows everything and ends with the pod", async (t) => {
		const script = "i=0; while [ $i -lt 30 ]; do echo line-$i; i=$((i+1)); sleep 0.05; done; echo last";
		const uuid = await startPod(host, script);
		const followed = await logs("--output=cat", "--follow", uuid);
		t.equal(followed, `${Array.from({ length: 30 }, (_, index) => `line-${index}\n`).join("")}last\n`);
		t.match((await host.rkt(["status", uuid])).stdout, /^state=exited$/m);
		const head = await execa("sh", [
			"-c",
			`"$@" | head -n 1`,
			"sh",
			...command(host, "logs", "--follow", uuid),
		]);
		t.match(head.stdout, /line-0$/, "a reader that goes away is no error");
		t.equal(head.stderr, "");
		t.same(
			fs.readdirSync("/tmp").filter((name) => name.startsWith("rkt-logs-")),
			[],
		);
	});

	t.test("100,000 lines at once: each of them, in order, once", async (t) => {
		const uuid = await run("i=0; while [ $i -lt 100000 ]; do echo line-$i; i=$((i+1)); done");
		const lines = await logs("--output=cat", uuid);
		t.ok(
			lines === Array.from({ length: 100_000 }, (_, index) => `line-${index}\n`).join(""),
			`${lines.length} bytes`,
		);
	});

	t.test("the journal keeps to its size: flag and configuration", async (t) => {
		const script = "i=0; while [ $i -lt 60000 ]; do echo line-$i; i=$((i+1)); done";
		const check = async (uuid: string): Promise<void> => {
			const { stdout } = await execa("du", ["-sb", `/var/log/journal/${uuid.replaceAll("-", "")}`]);
			t.ok(Number.parseInt(stdout, 10) < 10 * 1024 * 1024, stdout);
			t.equal(await logs("--output=cat", "--lines=1", uuid), "line-59999\n", "what came last is there");
		};
		await check(await run(script, "--journal-size=8Mi"));
		const directory = path.join(host.configDirectory, "journal.d");
		fs.mkdirSync(directory, { recursive: true });
		const write = (maxSize: string): void => {
			const config = { rktKind: "journal", rktVersion: "v1", maxSize };
			fs.writeFileSync(path.join(directory, "size.json"), JSON.stringify(config));
		};
		write("8Mi");
		t.match((await host.rkt(["config"])).stdout, /"rktKind": "journal",\n\s+"maxSize": "8Mi"/);
		await check(await run(script));
		for (const bad of ["1Mi", "8 MB"]) {
			write(bad);
			const refused = await host.shell("true");
			t.equal(refused.status, 254);
			t.match(refused.stderr, /size\.json: "maxSize"/);
		}
		fs.rmSync(directory, { recursive: true });
		t.match(
			(await host.shell("true", { pod: ["--journal-size=1"] })).stderr,
			/--journal-size: less than 4194304/,
		);
	});

	t.test("what cannot be shown is explained", async (t) => {
		const uuid = await run("echo one");
		for (const flag of ["--since=yesterday-ish", "--output=xml", "--lines=-1", "--lines=x"]) {
			const result = await host.rkt(["logs", flag, uuid]);
			t.equal(result.status, 254, flag);
			t.match(result.stderr, /invalid argument/, flag);
		}
		fs.rmSync(`/var/log/journal/${uuid.replaceAll("-", "")}`, { recursive: true });
		t.match((await host.rkt(["logs", uuid])).stderr, /has no journal/);
		t.match((await host.rkt(["logs", "--follow", uuid])).stderr, /has no journal/);
		const prepared = (await host.rkt(["prepare", "--quiet", BUSYBOX])).stdout.trim();
		t.match((await host.rkt(["logs", prepared])).stderr, /has no logs, it is prepared\nhint: .*run-prepared/);
		t.equal((await host.rkt(["logs"])).status, 254);
	});

	t.test("a link that a pod left in its journal is not followed", async (t) => {
		const [theirs, ours] = [await run("echo secret"), await run("echo mine")].map(
			(uuid) => `/var/log/journal/${uuid.replaceAll("-", "")}`,
		);
		fs.symlinkSync(`${theirs}/system.journal`, `${ours}/system@stolen.journal`);
		const uuid = fs.readFileSync(path.join(host.directory, "uuid"), "utf8");
		t.equal(await logs("--output=cat", uuid), "mine\n");
	});
});

/** The command line of rkt for a shell. */
function command(host: BusyboxHost, ...words: string[]): string[] {
	return [path.resolve("dist/rkt"), `--dir=${host.dataDirectory}`, ...words];
}

/** Starts a pod and gives its UUID once it is running. */
async function startPod(host: BusyboxHost, script: string): Promise<string> {
	const file = path.join(host.directory, "started");
	fs.rmSync(file, { force: true });
	void host.shell(script, { pod: [`--uuid-file-save=${file}`] });
	await waitFor("the UUID", () => fs.existsSync(file) && fs.readFileSync(file, "utf8") !== "");
	const uuid = fs.readFileSync(file, "utf8");
	await waitFor("the pod", async () => (await host.rkt(["status", uuid])).stdout.startsWith("state=running"));
	return uuid;
}
