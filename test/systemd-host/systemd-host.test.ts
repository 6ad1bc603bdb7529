import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { runCommand } from "../../lib/process.ts";
import {
	runInSystemdHost,
	type SystemdHostOptions,
	type SystemdHostResult,
	startSystemdHost,
} from "../support/systemd-host.ts";

const sh = (script: string): string[] => ["/bin/sh", "-c", script];

/** Tells the hosts of this program from those of others that run at the same time. */
const name = `test-${process.pid}`;
const run = (argv: readonly string[], options: SystemdHostOptions = {}): Promise<SystemdHostResult> =>
	runInSystemdHost(argv, { name, ...options });

/** What hosts that are over must not have left: work directories, cgroups, mounts and processes. */
function leftovers(): string[] {
	const mark = `systemd-host.${name}.`;
	const cgroups = runCommand("find", ["/sys/fs/cgroup", "-type", "d", "-name", `${mark}*`]).stdout.split(
		"\n",
	);
	const mounts = fs.readFileSync("/proc/self/mountinfo", "utf8").split("\n");
	return [
		...fs.readdirSync("/var/tmp").filter((entry) => entry.includes(mark)),
		...cgroups.filter((line) => line !== ""),
		...mounts.filter((line) => line.includes(mark)),
		...processesWith(mark),
	];
}

/** Command lines that contain `text`. */
function processesWith(text: string): string[] {
	const pids = fs.readdirSync("/proc").filter((entry) => /^\d+$/.test(entry));
	const lines = pids.map((pid) => {
		try {
			return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
		} catch {
			return ""; // ended meanwhile
		}
	});
	return lines.filter((line) => line.includes(text));
}

/** Waits until nothing is left, at most five seconds; what is left then. */
async function settledLeftovers(): Promise<string[]> {
	for (let attempt = 0; attempt < 50 && leftovers().length > 0; attempt += 1) await sleep(100);
	return leftovers();
}

t.test("the command's streams, arguments, environment, directory and status pass through", async (t) => {
	const script = `printf '%s|' "$@"; echo "$GREETING"; pwd; cat; echo oops >&2; exit 42`;
	const result = await run([...sh(script), "sh", "a b", "$HOME", "", "*", "new\nline"], {
		input: "line 1\nline 2",
		environment: { ...process.env, GREETING: "good  $day", NOTIFY_SOCKET: "/nowhere", LISTEN_FDS: "2" },
	});
	t.equal(result.status, 42);
	t.equal(result.stdout, `a b|$HOME||*|new\nline|good  $day\n${process.cwd()}\nline 1\nline 2`);
	t.equal(result.stderr, "oops\n");
	t.same(leftovers(), [], "nothing is left");
});

t.test("the host is a systemd host with machined, D-Bus and a persistent journal", async (t) => {
	const script = [
		"systemctl is-system-running",
		"ps -o comm= -p 1",
		"echo LISTEN=$LISTEN_FDS NOTIFY=$NOTIFY_SOCKET",
		"machinectl show .host -p Class",
		"logger -t greeting hello; journalctl --sync; journalctl -t greeting -o cat",
		"ls -d /var/log/journal/$(cat /etc/machine-id)/system.journal | wc -l",
		"ip -o link | wc -l",
		"stat -f -c %T /sys/fs/cgroup /var/lib/rkt",
	];
	const result = await run(sh(script.join("\n")));
	t.equal(result.stderr, "");
	t.same(result.stdout.trimEnd().split("\n"), [
		"running",
		"systemd",
		"LISTEN= NOTIFY=",
		"Class=host",
		"hello",
		"1",
		"1",
		"tmpfs",
		"tmpfs",
	]);
});

t.test("limits of units are enforced with the version 1 hierarchies", async (t) => {
	const memory =
		"systemd-run --quiet --wait -p MemoryMax=24M sh -c 'head -c 90000000 /dev/zero | tail >/dev/null'";
	const tasks =
		"systemd-run --quiet --wait --pipe -p TasksMax=3 sh -c 'for i in 1 2 3 4; do sleep 9 & done' 2>&1";
	const own = "sed -n 's/:.*systemd-host-command.service$//p; s/^0::.*/unified/p' /proc/self/cgroup | wc -l";
	const result = await run(sh(`${memory} || echo memory; ${tasks}; ${own}`));
	t.match(result.stdout, /^memory\n/, "the memory limit ends the unit");
	t.match(result.stdout, /[Cc]annot fork/);
	t.match(result.stdout, /\n6\n$/, "cpu, devices, memory, pids, name=systemd and version 2");
});

t.test("with version 2 only the host sees one hierarchy", async (t) => {
	const script =
		"stat -f -c %T /sys/fs/cgroup; test -e /sys/fs/cgroup/memory || echo no controllers of version 1; systemctl is-system-running";
	const result = await run(sh(script), { cgroup: "unified" });
	t.equal(result.stdout, "cgroup2fs\nno controllers of version 1\nrunning\n");
	t.equal(result.status, 0);
});

t.test("files: binds are the machine's, everything else is thrown away", async (t) => {
	const directory = fs.realpathSync(t.testdir({ "in.txt": "from outside" }));
	const private_ = fs.mkdtempSync("/var/tmp/host-test-");
	t.teardown(() => fs.rmSync(private_, { recursive: true, force: true }));
	const script = `cat ${directory}/in.txt; echo inside >${directory}/out.txt; echo x >/etc/host-test; ls ${private_}`;
	const result = await run(sh(script), { binds: [directory] });
	t.equal(result.stdout, "from outside");
	t.not(result.status, 0, "what is not bound below /var/tmp is not seen");
	t.equal(fs.readFileSync(path.join(directory, "out.txt"), "utf8"), "inside\n");
	t.notOk(fs.existsSync("/etc/host-test"));
});

t.test("ends: signal of the command, time-out, command that does not exist", async (t) => {
	const signal = await run(sh("kill -KILL $$"));
	t.equal(signal.status, 137);
	const late = await run(sh("sleep 60"), { timeoutSeconds: 1 });
	t.equal(late.status, 124);
	t.equal(late.stderr, "systemd-host: ended after 1 s\n");
	const missing = await run(["/no/such/program"]);
	t.equal(missing.status, 127);
	t.match(missing.stderr, "/no/such/program");
	t.same(leftovers(), []);
});

t.test("wrong arguments are told before anything is made", (t) => {
	const script = "test/systemd-host/systemd-host.sh";
	for (const [argument, message] of [
		["--cgroup=none", "unknown option --cgroup=none"],
		["--timeout=soon", "--timeout wants a number of seconds, not 'soon'"],
		["--bind=/no/such/path", "cannot bind /no/such/path"],
	] as const) {
		const result = runCommand("bash", [script, argument, "true"]);
		t.equal(result.status, 125);
		t.match(result.stderr, message);
	}
	t.match(runCommand("bash", [script, "--help"]).stdout, /^usage: systemd-host\.sh/);
	t.end();
});

for (const [signal, moment] of [
	["SIGTERM", "running"],
	["SIGKILL", "running"],
	["SIGINT", "booting"],
	["SIGKILL", "booting"],
] as const) {
	t.test(`${signal} while ${moment} leaves nothing behind`, async (t) => {
		// A process in a session of its own dies all the same.
		const sleeper = `sleep 30.${process.pid}`;
		const host = startSystemdHost(sh(`setsid ${sleeper} & echo up; sleep 60`), { name });
		const ended = new Promise((resolve) => host.on("exit", (code, by) => resolve(by ?? code)));
		if (moment === "running") await new Promise((resolve) => host.stdout?.once("data", resolve));
		else await sleep(150);
		host.kill(signal);
		t.equal(await ended, { SIGTERM: 143, SIGINT: 130, SIGKILL: "SIGKILL" }[signal]);
		t.same(await settledLeftovers(), []);
		t.same(processesWith(sleeper), []);
	});
}

t.test("a shell with a terminal", async (t) => {
	const command = `stty rows 33 cols 77; bash test/systemd-host/systemd-host.sh --name=${name} --timeout=20`;
	const child = spawn("script", ["-qec", command, "/dev/null"], {
		stdio: "pipe",
		env: { ...process.env, PS1: "> " },
	});
	let output = "";
	child.stdout.on("data", (chunk: Buffer) => {
		// What is typed before the shell has set its terminal up would be lost.
		if (output === "") child.stdin.write("tty; systemctl is-system-running; stty size; exit 7\n");
		output += chunk.toString();
	});
	t.equal(await new Promise((resolve) => child.on("close", resolve)), 7);
	t.match(output, /\/dev\/pts\/\d+\r\n/);
	t.match(output, "running\r\n");
	t.match(output, "33 77");
	t.same(leftovers(), []);
});
