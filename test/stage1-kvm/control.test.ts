import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import t, { type Test } from "tap";
import { collect, createFakeMachine, type Ending, type FakePod } from "../support/fake-machine.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-kvm-control-");
t.teardown(() => {
	spawnSync("umount", ["--recursive", "--lazy", path.join(directory, "root/dev")]);
	fs.rmSync(directory, { recursive: true, force: true });
});
const machine = createFakeMachine(directory);
const QEMU = "/usr/bin/qemu-system-x86_64";

/** Fails where something would wait for ever. */
async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<never>((_, reject) => {
		timer = setTimeout(() => reject(new Error(`${what} did not end within ${ms} ms`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function run(child: ChildProcess, input?: Buffer): Promise<Ending> {
	const ending = within(30_000, "the command", collect(child));
	child.stdin?.end(input);
	return ending;
}

/** Waits until the command has printed something. */
async function output(child: ChildProcess, event = "data"): Promise<void> {
	await within(10_000, "the output", new Promise((resolve) => child.stdout?.once(event, resolve)));
}

async function started(pod: FakePod): Promise<FakePod> {
	await waitFor("the control socket", () => fs.existsSync(path.join(pod.directory, "control")));
	return pod;
}

async function stopped(pod: FakePod, t: Test): Promise<Ending> {
	pod.monitor.kill("SIGTERM");
	const ending = await within(10_000, "the pod", pod.ended);
	t.equal(ending.status, 7, "the status that the guest left", ending);
	return ending;
}

t.test("commands end as they do in the guest", async (t) => {
	const pod = await started(machine.start(machine.guest));
	const said = await run(pod.enter("/bin/sh", "-c", "echo out; echo err >&2; exit 5"));
	t.match({ ...said, stdout: said.stdout.toString() }, { status: 5, stdout: "out\n", stderr: "err\n" });
	t.match(await run(pod.enter("/bin/sh", "-c", "kill -9 $$")), { signal: "SIGKILL" });
	t.match(await run(pod.enter("/no/such/program")), { status: 127 });
	const words = ["", "a b", "*", "$x", "\n"];
	const args = await run(pod.enter("/bin/sh", "-c", 'for a; do printf "[%s]" "$a"; done', "sh", ...words));
	t.equal(args.stdout.toString(), words.map((word) => `[${word}]`).join(""));
	t.equal((fs.statSync(path.join(pod.directory, "control")).mode & 0o777).toString(8), "600");
	await stopped(pod, t);
	t.notOk(fs.existsSync(path.join(pod.directory, "control")), "the socket is gone");
});

t.test("ten megabytes go in and come out", async (t) => {
	const pod = await started(machine.start(machine.guest));
	const bytes = crypto.randomBytes(10 * 1024 * 1024);
	const { status, stdout } = await run(pod.enter("/bin/cat"), bytes);
	t.equal(status, 0);
	t.ok(stdout.equals(bytes), `${stdout.length} bytes came back`);
	await stopped(pod, t);
});

t.test("sessions at once: each has its own bytes, and there is a limit", async (t) => {
	const pod = await started(machine.start(machine.guest));
	const inputs = Array.from({ length: 40 }, () => crypto.randomBytes(300_000));
	const results = await Promise.all(inputs.map((bytes) => run(pod.enter("/bin/cat"), bytes)));
	t.strictSame(
		results.map(({ status, stdout }, i) => [status, stdout.equals(inputs[i] as Buffer)]),
		inputs.map(() => [0, true]),
	);
	const held = Array.from({ length: 64 }, () => pod.enter("/bin/cat"));
	const heldEndings = held.map((child) => collect(child));
	for (const child of held) child.stdin?.write("x");
	await Promise.all(held.map((child) => output(child)));
	t.match(await run(pod.enter("/bin/true")), { status: 254, stderr: /too many commands/ });
	for (const child of held) child.stdin?.end();
	t.ok((await Promise.all(heldEndings)).every(({ status }) => status === 0));
	t.match(await run(pod.enter("/bin/true")), { status: 0 }, "numbers are free again");
	await stopped(pod, t);
});

t.test("a client that does not read holds up nobody else", async (t) => {
	const pod = await started(machine.start(machine.guest));
	const slow = pod.enter("/bin/yes");
	await output(slow, "readable");
	// Nothing is read from here on.
	for (let i = 0; i < 3; i++) t.match(await run(pod.enter("/bin/seq", "20000")), { status: 0 });
	t.ok(residentKilobytes(pod) < 16_000, `${residentKilobytes(pod)} kB`);
	slow.kill("SIGKILL");
	await stopped(pod, t);
});

t.test("a client that is killed while its command writes ends the command only", async (t) => {
	const pod = await started(machine.start(machine.guest));
	const client = pod.enter("/bin/sh", "-c", "echo first; sleep 0.3; echo second; sleep 60");
	await output(client);
	// The monitor finds the output and the end of who it is for at once.
	pod.monitor.kill("SIGSTOP");
	client.kill("SIGKILL");
	await new Promise((resolve) => setTimeout(resolve, 1000));
	pod.monitor.kill("SIGCONT");
	t.match(await run(pod.enter("/bin/true")), { status: 0 });
	await stopped(pod, t);
});

t.test("signals arrive in the command", async (t) => {
	const pod = await started(machine.start(machine.guest));
	for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const) {
		const name = signal.slice(3);
		const script = `trap 'echo got ${name}; exit 9' ${name}; echo set; while :; do sleep 0.05; done`;
		const client = pod.enter("/bin/sh", "-c", script);
		client.stdout?.once("data", () => client.kill(signal));
		const { status, stdout } = await run(client);
		t.match({ status, stdout: stdout.toString() }, { status: 9, stdout: /got/ }, signal);
	}
	await stopped(pod, t);
});

t.test("a terminal has its size, changes it, and is as before afterwards", async (t) => {
	const pod = await started(machine.start(machine.guest));
	const client = path.join(directory, "programs/client");
	const inner = "trap 'stty size; exit 3' WINCH; stty size; while :; do sleep 0.05; done";
	const outer = `stty rows 33 cols 99; before=$(stty -g)
(sleep 1; stty rows 44 cols 111 </dev/tty) &
${client} --app=app -- /bin/sh -c "${inner}"
echo "status $?"
[ "$before" = "$(stty rows 33 cols 99; stty -g)" ] && echo restored`;
	const child = spawn("script", ["-qec", outer, "/dev/null"], { cwd: pod.directory, stdio: "pipe" });
	const { stdout } = await within(20_000, "the terminal", collect(child));
	t.match(stdout.toString(), /33 99\r\n44 111\r\nstatus 3\r\nrestored/);
	await stopped(pod, t);
});

const RECEIVE = `socket(S, AF_UNIX, SOCK_DGRAM, 0); ($name = $ARGV[0]) =~ s/^@/\\0/;
bind(S, pack_sockaddr_un($name)) or die $!; $| = 1; print "bound\n";
print "$text\n" while defined recv(S, $text, 4096, 0)`;

t.test("readiness goes to the supervisor once, and not to the programs", async (t) => {
	const file = path.join(directory, "notify");
	const probe = [...machine.guest.slice(0, -1), `echo "[$NOTIFY_SOCKET]"; ${machine.guest.at(-1)}`];
	for (const socket of [file, `@rkt-control-test-${process.pid}`]) {
		const listener = spawn("perl", ["-MSocket", "-e", RECEIVE, socket], { stdio: "pipe" });
		let text = "";
		listener.stdout.on("data", (chunk) => {
			text += chunk;
		});
		await waitFor("the supervisor", () => text === "bound\n");
		const pod = await started(machine.start(probe, { environment: { NOTIFY_SOCKET: socket } }));
		await waitFor("readiness", () => text.includes("READY=1"));
		const { stdout } = await stopped(pod, t);
		await waitFor("the end", () => text.includes("STOPPING=1"));
		listener.kill();
		t.equal(text, "bound\nREADY=1\nSTOPPING=1\n");
		t.equal(stdout.toString(), "[]\n");
	}
	const alone = await started(machine.start(machine.guest, { environment: { NOTIFY_SOCKET: file } }));
	t.match(await run(alone.enter("/bin/true")), { status: 0 }, "a supervisor that has gone is no error");
	await stopped(alone, t);
});

t.test("a signal that comes before the agent is kept for it", async (t) => {
	const late = [
		...machine.guest.slice(0, -1),
		`trap 'echo 7 > /rkt/pod-status; exit 0' 37
sleep 1
${machine.guest.at(-1)}`,
	];
	const pod = await started(machine.start(late));
	await stopped(pod, t);
});

t.test("an agent that is started again does not leave the clients of the last one waiting", async (t) => {
	const pod = await started(machine.start(machine.guest));
	const client = pod.enter("/bin/sh", "-c", "echo here; sleep 60");
	const ending = collect(client);
	await output(client);
	process.kill(childOf(guestProcess(pod), "agent"), "SIGKILL");
	t.match(await within(5000, "the client", ending), { status: 254, stderr: /started again/ });
	t.match(await run(pod.enter("/bin/true")), { status: 0 });
	await stopped(pod, t);
});

t.test("what ends the machine or its helper ends the pod", async (t) => {
	for (const victim of ["hypervisor", "helper"]) {
		const helper = victim === "helper" ? { helper: ["/bin/sleep", "1000"] } : {};
		const pod = await started(machine.start(machine.guest, helper));
		const client = pod.enter("/bin/sh", "-c", "echo here; sleep 60");
		const clientEnding = collect(client);
		await output(client);
		process.kill(victim === "helper" ? childOf(pod.monitor.pid, "sleep") : guestProcess(pod), "SIGKILL");
		const ending = await within(2000, victim, pod.ended);
		t.equal(ending.status, 254, victim);
		t.match(ending.stderr, /^monitor: [^\n]+\n$/, "one line");
		t.match(ending.stderr, victim === "helper" ? /files has ended/ : /hypervisor was killed/, "says which");
		t.match(await within(2000, "the client", clientEnding), { status: 254 });
	}
});

t.test("what a helper said last says why a pod has ended", async (t) => {
	const script = "yes noise | head -100000; printf 'no such\\033 file\\n\\n' >&2; exit 1";
	const pod = machine.start(machine.guest, { helper: ["/bin/sh", "-c", script] });
	const { status, stderr } = await within(5000, "the pod", pod.ended);
	t.equal(status, 254);
	t.match(stderr, /^monitor: [^\n]+ files has ended: no such\? file\n$/);
});

t.test("a guest that does not come in time is ended", async (t) => {
	const silent = [process.execPath, "-e", "setInterval(() => {}, 1000)"];
	const pod = machine.start(silent, { flags: ["--boot=1"] });
	t.match(await within(4000, "the pod", pod.ended), { status: 254, stderr: /did not start in time/ });
	const there = await started(machine.start(machine.guest, { flags: ["--boot=1"] }));
	t.match(await run(there.enter("/bin/sleep", "2")), { status: 0 }, "one that has come stays");
	await stopped(there, t);
});

t.test("nobody waits for an agent that is silent", async (t) => {
	const pod = await started(machine.start(machine.hostileGuest("")));
	t.match(await run(pod.enter("/bin/true")), {
		status: 254,
		stderr: /^enter: [^\n]+ does not answer[^\n]+\n$/,
	});
	t.equal(pod.monitor.exitCode, null, "the pod goes on");
	pod.monitor.kill("SIGKILL");
	await pod.ended;
});

t.test("a guest that QEMU has stopped is ended", { skip: !fs.existsSync(QEMU) && "no QEMU" }, async (t) => {
	const socket = path.join(directory, "second-monitor");
	const events = ["-chardev", "socket,id=qmp,fd=4", "-mon", "chardev=qmp,mode=control"];
	const qemu = [
		QEMU,
		"-display",
		"none",
		"-nodefaults",
		...events,
		"-qmp",
		`unix:${socket},server=on,wait=off`,
	];
	const pod = machine.start(qemu, { flags: ["--qmp"] });
	await waitFor("QEMU", () => fs.existsSync(socket));
	const other = net.connect(socket);
	other.write('{"execute": "qmp_capabilities"}\n{"execute": "query-status"}\n');
	await within(5000, "an answer", new Promise((resolve) => other.once("data", resolve)));
	t.equal(pod.monitor.exitCode, null, "nothing is said of a guest that runs");
	other.on("error", () => undefined);
	other.write('{"execute": "stop"}\n');
	t.match(await within(5000, "the pod", pod.ended), { status: 254, stderr: /cannot go on with the guest/ });
	other.destroy();
});

t.test("a monitor that is killed takes all along", async (t) => {
	const pod = await started(machine.start(machine.guest, { helper: ["/bin/sleep", "1000"] }));
	t.match(await run(pod.enter("/bin/true")), { status: 0 });
	const pids = [guestProcess(pod), childOf(pod.monitor.pid, "sleep")];
	pod.monitor.kill("SIGKILL");
	await pod.ended;
	await waitFor("the end of both", () => pids.every((pid) => !fs.existsSync(`/proc/${pid}`)));
	t.pass("both are gone");
});

t.test("programs hold nothing of the monitor but their own descriptors", async (t) => {
	const show = ["/bin/sh", "-c", "ls /proc/self/fd | tr '\\n' ' '; grep SigIgn /proc/self/status"];
	const pod = machine.start(show);
	const { stdout, status } = await within(5000, "the pod", pod.ended);
	t.equal(status, 254);
	t.match(stdout.toString(), /^0 1 2 3 4 SigIgn:\t0{16}\n$/, "4 is what ls reads");
});

t.test("a second signal ends at once what has not ended after ten seconds", async (t) => {
	const pod = await started(machine.start(machine.hostileGuest("")));
	pod.monitor.kill("SIGTERM");
	await new Promise((resolve) => setTimeout(resolve, 1000));
	pod.monitor.kill("SIGTERM");
	await new Promise((resolve) => setTimeout(resolve, 9500));
	t.equal(pod.monitor.exitCode, null, "not by one that comes too soon");
	pod.monitor.kill("SIGINT");
	t.match(await within(2000, "the pod", pod.ended), { status: 254, stderr: /^monitor: [^\n]+\n$/ });
});

const LIES: Readonly<Record<string, string>> = {
	"bytes that are no frames": "send(Buffer.alloc(100000, 0xa5))",
	"a huge length": "send(frame(session, 16, Buffer.alloc(8), 0xffffffff))",
	"a length just over the limit": "send(frame(session, 16, Buffer.alloc(32769)))",
	"an unknown type": "send(frame(session, 99))",
	"a frame that only the host sends": "send(frame(session, 1))",
	"a session that nobody has": "send(frame(session + 1, 16, Buffer.from('x')))",
	"an answer to bytes that it was never sent": "send(frame(0, 23, number(100000)))",
	"a window without its size": "send(frame(0, 22))",
	"no session": "send(frame(0, 18, Buffer.from([0, 0])))",
	"a session out of range": "send(frame(65535, 16, Buffer.from('x')))",
};

t.test("a guest that does not keep to the protocol loses the channel", async (t) => {
	await Promise.all(
		Object.entries(LIES).map(async ([what, lie]) => {
			const pod = await started(machine.start(machine.hostileGuest(`onStart((session) => ${lie})`)));
			const client = await run(pod.enter("/bin/true"));
			t.match(client, { status: 254, stderr: /^enter: [^\n]+\n$/ }, what);
			t.match(await run(pod.enter("/bin/true")), { status: 254 }, "nor does a later client wait");
			t.equal(pod.monitor.exitCode, null, "the pod goes on");
			pod.monitor.kill("SIGTERM");
			const ending = await within(15_000, "the pod", pod.ended);
			t.equal(ending.status, 254);
			t.equal(ending.stderr.match(/^monitor: .*channel/gm)?.length, 1, "one line says why", ending);
		}),
	);
});

t.test("a guest gets no more than it takes", async (t) => {
	const script = `let got = 0, answered = false;
channel.on("data", (bytes) => {
	got += bytes.length;
	if (answered || got < 100) return;
	answered = true;
	setTimeout(() => { console.log(got); send(frame(0, 23, number(50))); }, 300);
	setTimeout(() => { console.log(got); process.exit(); }, 600);
})`;
	const pod = await started(machine.start(machine.hostileGuest(script, 100)));
	const clients = Array.from({ length: 3 }, () => run(pod.enter("/bin/echo", "x".repeat(200))));
	t.equal((await within(5000, "the pod", pod.ended)).stdout.toString(), "100\n150\n");
	for (const { status } of await Promise.all(clients)) t.equal(status, 254);
});

t.test("a guest that sends more than it may loses the session", async (t) => {
	const flood =
		"onStart((session) => { for (;;) { send(frame(session, 16, Buffer.alloc(32768))); if (channel.writableLength > 4e6) break; } })";
	const pod = await started(machine.start(machine.hostileGuest(flood)));
	const client = pod.enter("/bin/true");
	client.stdout?.pause();
	const code = new Promise((resolve) => client.once("exit", resolve));
	client.stderr?.resume();
	await new Promise((resolve) => setTimeout(resolve, 1000));
	t.ok(residentKilobytes(pod) < 16_000, `${residentKilobytes(pod)} kB`);
	client.stdout?.resume();
	t.equal(await within(5000, "the client", code), 254);
	pod.monitor.kill("SIGKILL");
	t.match((await pod.ended).stderr, /^monitor: [^\n]+\n$/);
});

t.test("what a guest says of an end cannot stop or steer a client", async (t) => {
	const endings: Readonly<Record<string, RegExp | number>> = {
		"18, Buffer.from([1, 19])": 128 + 19,
		"18, Buffer.from([1, 20])": 128 + 20,
		"18, Buffer.from([1, 0])": 254,
		"18, Buffer.from([1, 200])": 254,
		"18, Buffer.from([2, 1])": 254,
		"18, Buffer.alloc(32768)": 254,
		"20, Buffer.from('\\x1b[2J\\u009bx\\n')": 254,
	};
	for (const [payload, status] of Object.entries(endings)) {
		const pod = await started(
			machine.start(machine.hostileGuest(`onStart((s) => send(frame(s, ${payload})))`)),
		);
		const ending = await run(pod.enter("/bin/true"));
		t.equal(ending.status, status, payload);
		// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
		t.notMatch(ending.stderr.slice(0, -1), /[\x00-\x1f\x7f-\uffff]/);
		pod.monitor.kill("SIGKILL");
		await pod.ended;
	}
});

t.test("a guest that lies about the streams of its app ends the pod, and steers nothing", async (t) => {
	const lies: Readonly<Record<string, string>> = {
		"an end": "send(frame(s, 18, Buffer.from([0, 0])))",
		"a failure": "send(frame(s, 20, Buffer.from('\\x1b[2J')))",
		"more than it may": "for (let i = 0; i < 500; i++) send(frame(s, 16, Buffer.alloc(32768)))",
		"another agent": "send(frame(0, 22, number(0)))",
		"no frames": "send(Buffer.alloc(100000, 0xa5))",
	};
	for (const [what, lie] of Object.entries(lies)) {
		const pod = machine.start(machine.hostileGuest(`onStart((s) => { ${lie} })`), { attach: true });
		// Where all is taken as soon as it comes, no more is sent than may be.
		pod.monitor.stdout?.pause();
		pod.monitor.stderr?.once("data", () => pod.monitor.stdout?.resume());
		const { status, stderr } = await within(5000, what, pod.ended);
		t.equal(status, 254, what);
		t.match(stderr, /^monitor: the virtual machine ended before/m, what);
		t.notMatch(stderr, "\u001b", what);
	}
});

t.test("only a plain file with a number is a status", async (t) => {
	const status = path.join(directory, "root/rkt/pod-status");
	const secret = path.join(directory, "secret");
	fs.writeFileSync(secret, "0\n");
	const makers: Readonly<Record<string, string>> = {
		link: `ln -s ${secret} ${status}`,
		directory: `mkdir ${status}`,
		fifo: `mkfifo ${status}`,
		text: `echo 0x > ${status}`,
		negative: `echo -1 > ${status}`,
		large: `echo 256 > ${status}`,
		long: `yes 0 | head -c 100000 > ${status}`,
	};
	for (const [what, maker] of Object.entries(makers)) {
		const pod = machine.start(["/bin/sh", "-c", maker]);
		t.match(await within(5000, "the pod", pod.ended), { status: 254, stderr: /^monitor: [^\n]+\n$/ }, what);
		fs.rmSync(status, { recursive: true, force: true });
	}
	t.match(await machine.start(["/bin/sh", "-c", `echo 200 > ${status}`]).ended, { status: 200 });
});

t.test("a client that talks nonsense is dropped", async (t) => {
	const pod = await started(machine.start(machine.guest));
	for (const bytes of [Buffer.alloc(64, 0xff), Buffer.from([0, 0, 0, 0, 0, 0, 6, 0]), Buffer.from([1])]) {
		const socket = net.connect(path.join(pod.directory, "control"));
		socket.on("error", () => undefined).resume();
		socket.end(bytes);
		await within(5000, "the connection", new Promise((resolve) => socket.once("close", resolve)));
	}
	t.match(await run(pod.enter("/bin/true")), { status: 0 });
	await stopped(pod, t);
});

/** Never 0, which would mean this program's own group to kill(2). */
function childOf(parent: number | undefined, name: string): number {
	const found = spawnSync("pgrep", ["--parent", String(parent), name], { encoding: "utf8" });
	const pid = Number(found.stdout.trim().split("\n")[0]);
	if (!(pid > 1)) throw new Error(`process ${parent} has no child ${name}`);
	return pid;
}

/** chroot has become the shell. */
function guestProcess(pod: FakePod): number {
	return childOf(pod.monitor.pid, "^sh$");
}

function residentKilobytes(pod: FakePod): number {
	const status = fs.readFileSync(`/proc/${pod.monitor.pid}/status`, "utf8");
	return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
}
