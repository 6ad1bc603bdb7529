import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";
import t from "tap";
import { BUSYBOX, type BusyboxHost, createBusyboxHost, firstUuid } from "../support/busybox-host.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

t.test("the life of pods", async (t) => {
	const host = await createBusyboxHost("pods");
	t.teardown(() => host.remove());

	t.test("an empty list, and the forms of it", async (t) => {
		t.match(
			(await host.rkt(["list"])).stdout,
			/^UUID\s+APP\s+IMAGE NAME\s+STATE\s+CREATED\s+STARTED\s+NETWORKS\n$/,
		);
		t.equal((await host.rkt(["list", "--no-legend"])).stdout, "");
		t.match((await host.rkt(["list", "--full"])).stdout, /IMAGE ID/);
		t.equal((await host.rkt(["list", "--format=json"])).stdout.trim(), "null");
	});

	t.test("prepare, then run-prepared", async (t) => {
		const prepared = await host.rkt([
			"prepare",
			"--quiet",
			BUSYBOX,
			"--exec=/bin/sh",
			"--",
			"-c",
			"echo prepared one",
		]);
		t.equal(prepared.status, 0, { stderr: prepared.stderr });
		const uuid = firstUuid(prepared.stdout);
		t.equal(prepared.stdout, `${uuid}\n`, "nothing but the UUID");
		t.match((await host.rkt(["status", uuid])).stdout, /^state=prepared$/m);
		t.match(
			(await host.rkt(["list"])).stdout,
			new RegExp(`${uuid.slice(0, 8)}\\s+busybox\\s+example.com/busybox:1.0.0\\s+prepared`),
		);
		const result = await host.rkt(["run-prepared", "--net=none", uuid.slice(0, 13).toUpperCase()]);
		t.equal(result.status, 0, { stderr: result.stderr });
		t.match(result.stdout, /prepared one/);
		t.match((await host.rkt(["status", uuid])).stdout, /^state=exited$/m);
		const again = await host.rkt(["run-prepared", "--net=none", uuid]);
		t.equal(again.status, 254, "a pod runs once");
	});

	t.test("status, enter and stop of a running pod", async (t) => {
		const pod = await startSleeper(host);
		const status = await host.rkt(["status", pod.uuid]);
		t.match(
			status.stdout,
			/^state=running\ncreated=.*\nstarted=.*\n(networks=.*\n)?pid=\d+\nexited=false\n$/,
		);
		const pid = /pid=(\d+)/.exec(status.stdout)?.[1];
		t.match(fs.readFileSync(`/proc/${pid}/cmdline`, "utf8"), /nspawn/, "no Node process is left");

		const entered = await host.rkt([
			"enter",
			pod.uuid,
			"/bin/sh",
			"-c",
			"echo inside $AC_APP_NAME; ls /; exit 9",
		]);
		t.equal(entered.status, 9, { stderr: entered.stderr });
		t.match(entered.stdout, /inside busybox/);
		const confined = await host.rkt([
			"enter",
			pod.uuid,
			"/bin/grep",
			"-E",
			"CapBnd|Seccomp:|NoNewPrivs",
			"/proc/self/status",
		]);
		t.match(confined.stdout, /CapBnd:\s*00000000a80425fb/, "enter is as confined as the app");
		t.match(confined.stdout, /Seccomp:\s*2/);

		t.equal((await host.rkt(["rm", pod.uuid])).status, 254, "a running pod is not removed");
		const ready = await host.rkt(["status", "--wait-ready=20s", pod.uuid]);
		t.equal(ready.status, 0, { stderr: ready.stderr });
		const late = await host.rkt(["status", "--wait=300ms", pod.uuid]);
		t.equal(late.status, 254, "a wait that is over is an error");

		const stopped = await host.rkt(["stop", pod.uuid]);
		t.equal(stopped.status, 0, { stderr: stopped.stderr });
		t.equal(stopped.stdout, `"${pod.uuid}"\n`);
		const waited = await host.rkt(["status", "--wait=30s", pod.uuid]);
		t.match(waited.stdout, /^state=exited$/m);
		await pod.ended;
		t.match(
			(await host.rkt(["stop", pod.uuid])).stdout + (await host.rkt(["stop", pod.uuid])).stderr,
			/already stopped/,
		);
	});

	t.test("stop gives the app the chance to end by itself, --force does not", async (t) => {
		const file = path.join(host.directory, "stopped");
		fs.mkdirSync(file);
		const script = "trap 'echo graceful >/out/trap; exit 0' TERM; echo up; while :; do sleep 0.1; done";
		const flags = { pod: [`--volume=out,kind=host,source=${file}`], app: ["--mount=volume=out,target=/out"] };
		const gentle = await startPod(host, host.shellWords(script, flags), /up/);
		await host.rkt(["stop", gentle.uuid]);
		await gentle.ended;
		t.equal(fs.readFileSync(path.join(file, "trap"), "utf8"), "graceful\n");
		fs.rmSync(path.join(file, "trap"));
		const forced = await startPod(host, host.shellWords(script, flags), /up/);
		await host.rkt(["stop", "--force", forced.uuid]);
		await forced.ended;
		t.notOk(fs.existsSync(path.join(file, "trap")));
	});

	t.test("SIGTERM to rkt run ends the pod", async (t) => {
		const pod = await startSleeper(host);
		process.kill(pod.pid, "SIGTERM");
		await pod.ended;
		t.match((await host.rkt(["status", pod.uuid])).stdout, /^state=exited$/m);
	});

	for (const flags of [[], ["--private-users"]]) {
		t.test(`SIGKILL to rkt run leaves nothing running: ${flags.join() || "plain"}`, async (t) => {
			const pod = await startPod(
				host,
				host.shellWords("echo up; sleep 6543 & sleep 6544", { pod: flags }),
				/up/,
			);
			const left = async (): Promise<string> =>
				(await execa("pgrep", ["-f", "sleep 654[34]"], { reject: false })).stdout;
			t.not(await left(), "");
			process.kill(pod.pid, "SIGKILL");
			const killed = performance.now();
			await pod.ended;
			await waitFor("the end of the apps", async () => (await left()) === "");
			t.ok(performance.now() - killed < 1000, "at once");
			t.match((await host.rkt(["status", pod.uuid])).stdout, /^state=exited$/m);
			t.match((await host.rkt(["stop", pod.uuid])).stdout, /already stopped/);
			await host.rkt(["gc", "--grace-period=0s"]);
			t.strictSame(podsOnDisk(host), []);
		});
	}

	t.test("what goes on without a supervisor is ended by stop and by gc", async (t) => {
		const orphan = (uuid: string): Promise<unknown> => {
			const environment = { container_uuid: uuid, PATH: process.env.PATH as string };
			const words = ["--pid", "--fork", "--kill-child", "sleep", "4711"];
			return execa("unshare", words, { env: environment, extendEnv: false, reject: false });
		};
		const isThere = async (): Promise<boolean> =>
			(await execa("pgrep", ["-xf", "sleep 4711"], { reject: false })).exitCode === 0;
		for (const ending of [["stop", "--force"], ["rm"]]) {
			const file = path.join(host.directory, "orphaned");
			await host.shell("true", { pod: [`--uuid-file-save=${file}`] });
			const uuid = fs.readFileSync(file, "utf8");
			const ended = orphan(uuid);
			await waitFor("the orphan", isThere);
			t.equal((await host.rkt([...ending, uuid])).stdout, `"${uuid}"\n`, ending.join());
			await ended;
			t.notOk(await isThere());
		}
	});

	t.test("JSON forms of list and status", async (t) => {
		await host.shell("true");
		const list = JSON.parse((await host.rkt(["list", "--format=json"])).stdout);
		t.ok(Array.isArray(list) && list.length > 0);
		t.match(list[0], { name: /^[0-9a-f-]{36}$/, state: "exited", app_names: ["busybox"] });
		const one = JSON.parse((await host.rkt(["status", "--format=json-pretty", list[0].name])).stdout);
		t.equal(one.name, list[0].name);
		t.type(one.started_at, "number");
	});

	t.test("rm and gc", async (t) => {
		const result = await host.shell("true", { pod: [`--uuid-file-save=${host.directory}/rm`] });
		t.equal(result.status, 0);
		const removed = await host.rkt(["rm", `--uuid-file=${host.directory}/rm`]);
		t.equal(removed.stdout, `"${fs.readFileSync(`${host.directory}/rm`, "utf8")}"\n`);
		await host.shell("true");
		const marked = await host.rkt(["gc", "--mark-only"]);
		t.equal(marked.status, 0, { stderr: marked.stderr });
		t.notMatch((await host.rkt(["list"])).stdout, /\texited\t|\sexited\s+\d/);
		const young = await host.rkt(["gc"]);
		t.match(young.stderr, /still within grace period \(30m0s\)/);
		const collected = await host.rkt(["gc", "--grace-period=0s"]);
		t.match(collected.stdout, /Garbage collecting pod "/);
		t.equal((await host.rkt(["list", "--no-legend"])).stdout, "");
		t.strictSame(podsOnDisk(host), []);
	});

	t.test("an expired prepared pod is collected", async (t) => {
		await host.rkt(["prepare", "--quiet", BUSYBOX]);
		await host.rkt(["gc", "--expire-prepared=0s"]);
		await host.rkt(["gc", "--grace-period=0s", "--expire-prepared=0s"]);
		t.strictSame(podsOnDisk(host), []);
	});

	t.test("--pod-manifest runs what it says", async (t) => {
		const file = path.join(host.directory, "pod.json");
		const app = { exec: ["/bin/echo", "from a manifest"], user: "0", group: "0" };
		const pod = {
			acKind: "PodManifest",
			acVersion: "0.8.11",
			apps: [{ name: "said", image: { id: host.imageId }, app }],
		};
		fs.writeFileSync(file, JSON.stringify(pod));
		const result = await host.rkt(["run", "--net=none", `--pod-manifest=${file}`]);
		t.equal(result.status, 0, { stderr: result.stderr });
		t.match(result.stdout, /from a manifest/);
	});

	t.test("what does not exist is named", async (t) => {
		for (const command of ["status", "cat-manifest", "rm", "stop", "run-prepared"]) {
			const result = await host.rkt([command, "0badc0de"]);
			t.equal(result.status, 254, command);
			t.match(result.stderr, /0badc0de/, command);
		}
	});
});

interface StartedPod {
	readonly uuid: string;
	/** Process of `rkt run`. */
	readonly pid: number;
	readonly ended: Promise<unknown>;
}

function startSleeper(host: BusyboxHost, seconds = "600"): Promise<StartedPod> {
	return startPod(host, host.shellWords(`echo up; exec sleep ${seconds}`), /up/);
}

/** Starts `rkt run` and waits until the app has printed something. */
async function startPod(host: BusyboxHost, words: readonly string[], sign: RegExp): Promise<StartedPod> {
	const uuidFile = path.join(host.directory, `uuid-${Math.random()}`);
	const child = host.start(["run", `--uuid-file-save=${uuidFile}`, ...words]);
	let output = "";
	child.stdout?.on("data", (chunk) => {
		output += chunk;
	});
	await waitFor("the app's first line", () => sign.test(output));
	return { uuid: fs.readFileSync(uuidFile, "utf8"), pid: child.pid as number, ended: child };
}

function podsOnDisk(host: BusyboxHost): string[] {
	const pods = path.join(host.dataDirectory, "pods");
	return fs.readdirSync(pods).flatMap((state) => fs.readdirSync(path.join(pods, state)));
}
