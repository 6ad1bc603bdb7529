import * as fs from "node:fs";
import { connect } from "node:net";
import t from "tap";
import { busyboxFiles, imageManifest, makeAci } from "../support/make-aci.ts";
import { onSystemdHost } from "../support/on-systemd-host.ts";
import {
	attempt,
	endOf,
	journal,
	machineIdOf,
	podStatus,
	podUuid,
	RKT,
	startInScope,
	startUnit,
	system,
	unitProperty,
} from "../support/systemd-pods.ts";
import { waitFor } from "../support/wait-for.ts";

const PROGRAM = "/var/tmp/socket-app";
const NOTIFY = [{ name: "appc.io/executor/supports-systemd-notify", value: "true" }];

const layout = onSystemdHost(t, ["hybrid", "unified"], 120);
if (layout !== undefined) {
	t.before(addImages);
	sockets();
	refusedSockets();
	readiness();
}

async function addImages(): Promise<void> {
	system("gcc", "-O1", "-static", "-w", "-o", PROGRAM, "test/systemd-host/socket-app.c");
	const web = port("web", "tcp", 80);
	await addImage("web", { ports: [web, port("control", "unix", 1)] });
	await addImage("dns", { ports: [port("dns", "udp", 53), port("log", "unix", 2)] });
	await addImage("udp", { ports: [port("dns", "udp", 53)] });
	await addImage("plain", {});
	await addImage("brief", { exec: shell("sleep 0.3; echo ended"), ports: [web] });
	await addImage("last", { exec: shell("sleep 1.5; echo last") });
	await addImage("soon", { exec: ["/bin/socket-app", "300"] }, NOTIFY);
	await addImage("late", { exec: ["/bin/socket-app", "900"] }, NOTIFY);
	await addImage(
		"never",
		{ exec: shell("trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done") },
		NOTIFY,
	);
	await addImage("failing", { exec: shell("echo up; exit 3") }, NOTIFY);
	await addImage("silent", { exec: shell("echo up; exit 0") }, NOTIFY);
}

function shell(script: string): string[] {
	return ["/bin/sh", "-c", script];
}

function port(name: string, protocol: string, number: number): Record<string, unknown> {
	return { name, protocol, port: number, socketActivated: true };
}

async function addImage(
	name: string,
	app: Record<string, unknown>,
	annotations: unknown[] = [],
): Promise<void> {
	const manifest = imageManifest(`example.com/${name}`, { app: { exec: ["/bin/socket-app"], ...app } });
	const file = `/var/tmp/${name}.aci`;
	const files = { ...busyboxFiles(), "bin/socket-app": { copyOf: PROGRAM } };
	await makeAci(file, { manifest: { ...manifest, annotations }, files });
	system(RKT, "--insecure-options=image", "fetch", file);
}

/** The command line of a pod; its UUID goes where `podUuid` finds it. */
function runCommand(name: string, ...words: readonly string[]): string[] {
	return [RKT, "run", `--uuid-file-save=/run/${name}.uuid`, ...words];
}

/** A service that starts a pod, and its socket units: `[Socket]` sections by name. */
function writeUnits(name: string, words: readonly string[], socketUnits: Record<string, string[]>): void {
	const command = runCommand(name, ...words).join(" ");
	const settings = ["Type=notify", "KillMode=mixed", "Delegate=yes", `ExecStart=${command}`];
	writeUnit(`${name}.service`, "Service", settings);
	for (const [socket, lines] of Object.entries(socketUnits)) {
		writeUnit(`${socket}.socket`, "Socket", [`Service=${name}.service`, ...lines]);
	}
	system("systemctl", "daemon-reload");
	system("systemctl", "start", ...Object.keys(socketUnits).map((socket) => `${socket}.socket`));
}

function writeUnit(name: string, section: string, settings: readonly string[]): void {
	fs.writeFileSync(`/run/systemd/system/${name}`, `[${section}]\n${settings.join("\n")}\n`);
}

/** Connects, or sends a datagram, and gives the answer. An address is a path, or a host and a port. */
function ask(type: "stream" | "datagram" | "seqpacket", ...address: readonly string[]): string {
	const number = { stream: "1", datagram: "2", seqpacket: "5" }[type];
	return system(PROGRAM, "ask", number, ...address);
}

/** What an app of the latest pod of a unit printed. */
function output(name: string, app: string): string[] {
	const directory = `/var/log/journal/${machineIdOf(podUuid(name))}`;
	if (!fs.existsSync(directory)) return [];
	return journal("-D", directory, "-t", app).map(({ MESSAGE }) => MESSAGE as string);
}

async function outputOnceUp(name: string, app: string): Promise<string[]> {
	await waitFor(`output of ${app}`, () => output(name, app).includes("up"));
	return output(name, app);
}

function sockets(): void {
	t.test("each app gets the sockets of its ports, and nothing else", async (t) => {
		const words = ["--net=none", "--port=web:9111", "--port=dns:9112"];
		writeUnits("web", [...words, "example.com/web", "example.com/dns", "example.com/plain"], {
			web: ["ListenStream=127.0.0.1:9111", "ListenStream=[::1]:9111"],
			control: ["FileDescriptorName=control", "ListenSequentialPacket=/run/control"],
			dns: ["ListenDatagram=9112"],
			log: ["FileDescriptorName=log", "ListenDatagram=@log"],
		});
		t.equal(unitProperty("web", "ActiveState"), "inactive");
		t.equal(ask("stream", "127.0.0.1", "9111"), "from web", "the first connection starts the pod");
		t.equal(ask("stream", "::1", "9111"), "from web");
		t.equal(ask("seqpacket", "/run/control"), "from control");
		t.equal(ask("datagram", "127.0.0.1", "9112"), "from dns");
		t.equal(ask("datagram", "::1", "9112"), "from dns");
		t.equal(ask("datagram", "@log"), "from log");
		t.strictSame(await outputOnceUp("web", "web"), [
			"fds=3 pid=mine names=web:web:control",
			"open 0 1 2 3 4 5",
			"up",
		]);
		t.strictSame(await outputOnceUp("web", "dns"), ["fds=2 pid=mine names=dns:log", "open 0 1 2 3 4", "up"]);
		t.strictSame(await outputOnceUp("web", "plain"), ["fds=- pid=- names=-", "open 0 1 2", "up"]);
		const entered = system(RKT, "enter", "--app=web", podUuid("web"), "/bin/socket-app", "describe");
		t.match(entered, /^fds=- pid=- names=-\n/, "a command that is run with enter gets none");

		const first = podUuid("web");
		attempt("systemctl", "stop", "web.service");
		t.equal(unitProperty("web", "ExecMainStatus"), "5");
		t.equal(ask("stream", "127.0.0.1", "9111"), "from web", "the next connection starts the next pod");
		t.not(podUuid("web"), first);
		system("systemctl", "stop", "web.socket", "control.socket", "dns.socket", "log.socket");
		attempt("systemctl", "stop", "web.service");
	});

	t.test("with a network of the pod the port of a passed socket is not forwarded", async (t) => {
		writeUnits("net", ["--port=web:9121", "example.com/web"], { net: ["ListenStream=9121"] });
		t.equal(ask("stream", "127.0.0.1", "9121"), "from web");
		t.strictSame(await outputOnceUp("net", "web"), ["fds=1 pid=mine names=web", "open 0 1 2 3", "up"]);
		const said = journal("-u", "net").map(({ MESSAGE }) => MESSAGE);
		t.ok(said.includes('run: warning: app web gets no socket for its port "control"'), { said });
		system("systemctl", "stop", "net.socket");
		attempt("systemctl", "stop", "net.service");
	});

	t.test("a pod that nobody passed sockets listens itself", async (t) => {
		startUnit("own", runCommand("own", "--port=dns:9131", "example.com/udp"));
		t.strictSame(await outputOnceUp("own", "udp"), ["fds=1 pid=mine names=dns", "open 0 1 2 3", "up"]);
		const [address = ""] = /\d+\.\d+\.\d+\.\d+/.exec(podStatus(podUuid("own")).get("networks") ?? "") ?? [];
		t.equal(ask("datagram", address, "53"), "from dns");
		attempt("systemctl", "stop", "own");
	});

	t.test("a connection does not start an app again that has ended", async (t) => {
		const words = ["--net=none", "--port=web:9141", "example.com/brief", "example.com/last"];
		writeUnits("once", words, { once: ["ListenStream=9141"] });
		const connection = connect(9141, "127.0.0.1");
		await waitFor(
			"the end",
			() => fs.existsSync("/run/once.uuid") && output("once", "last").includes("last"),
		);
		t.strictSame(output("once", "brief"), ["ended"]);
		connection.destroy();
		system("systemctl", "stop", "once.socket");
	});
}

/** Starts a service whose sockets no pod can take; what rkt said. */
function refusal(name: string, socketUnits: Record<string, string[]>, image = "web"): string {
	writeUnits(name, ["--net=none", `example.com/${image}`], socketUnits);
	const result = attempt("systemctl", "start", `${name}.service`);
	if (result.status === 0) throw new Error(`${name} was not refused`);
	const text = journal("-u", name).map(({ MESSAGE }) => MESSAGE);
	const status = unitProperty(name, "ExecMainStatus");
	system("systemctl", "stop", ...Object.keys(socketUnits).map((socket) => `${socket}.socket`));
	return [status, ...text].join("\n");
}

function refusedSockets(): void {
	t.test("sockets that are for no app end the start with the name of the socket", (t) => {
		const stray = refusal("stray", { stray: ["ListenStream=127.0.0.1:9151"] });
		t.match(
			stray,
			/^254\n(.*\n)*run: no port of the pod is for the socket 127\.0\.0\.1:9151 that systemd passed/,
		);
		t.match(
			stray,
			"hint: map it with --port=NAME:NUMBER, or set FileDescriptorName=NAME in the .socket unit",
		);
		t.match(
			refusal("none", { none: ["ListenDatagram=/run/none"] }, "plain"),
			"no port of this pod has socketActivated",
		);
		t.match(
			refusal("fifo", { fifo: ["ListenFIFO=/run/fifo"] }),
			"descriptor 3 that systemd passed is no socket",
		);
		t.end();
	});

	t.test("connections of a unit with Accept=yes are refused", async (t) => {
		const command = runCommand("each", "--net=none", "example.com/web").join(" ");
		writeUnit("each@.service", "Service", [`ExecStart=${command}`]);
		writeUnit("each.socket", "Socket", ["ListenStream=9161", "Accept=yes"]);
		system("systemctl", "daemon-reload");
		system("systemctl", "start", "each.socket");
		connect(9161, "127.0.0.1").on("error", () => undefined);
		const said = (): string =>
			journal("-t", "rkt")
				.map(({ MESSAGE }) => MESSAGE)
				.join("\n");
		await waitFor("the refusal", () => said().includes("descriptor 3 that systemd passed is a connection"));
		t.match(said(), "hint: leave Accept= out of the .socket unit");
		system("systemctl", "stop", "each.socket");
	});

	t.test("systemd-socket-activate, without a unit", async (t) => {
		const rkt = runCommand("direct", "--net=none", "--port=web:9171", "example.com/web");
		const child = startInScope("direct", ["systemd-socket-activate", "-l", "127.0.0.1:9171", ...rkt]);
		await waitFor("the socket", () => system("ss", "-lnt").includes(":9171"));
		t.equal(ask("stream", "127.0.0.1", "9171"), "from web");
		child.kill("SIGTERM");
		t.equal(await endOf(child), 5);
	});
}

function readiness(): void {
	t.test("a unit is started when every app has said that it is ready", async (t) => {
		const images = ["example.com/soon", "example.com/late", "example.com/plain"];
		const words = runCommand("ready", "--net=none", ...images);
		writeUnit("ready.service", "Service", ["Type=notify", "KillMode=mixed", `ExecStart=${words.join(" ")}`]);
		system("systemctl", "daemon-reload");
		system("systemctl", "start", "--no-block", "ready");
		await waitFor("an app", () => fs.existsSync("/run/ready.uuid") && output("ready", "soon").includes("up"));
		t.equal(unitProperty("ready", "ActiveState"), "activating", "one is ready, one is not");
		t.notOk(output("ready", "late").includes("up"));
		t.equal(podStatus(podUuid("ready")).get("state"), "running");
		system(RKT, "status", "--wait-ready=20s", podUuid("ready"));
		t.ok(output("ready", "late").includes("up"), "rkt status --wait-ready waits for the last one too");
		await waitFor("the unit", () => unitProperty("ready", "ActiveState") === "active");
		t.equal(unitProperty("ready", "NotifyAccess"), "main", "which is enough");
		t.match(unitProperty("ready", "StatusText"), "Container running");
		attempt("systemctl", "stop", "ready");
		t.equal(unitProperty("ready", "ExecMainStatus"), "5");
	});

	t.test("readiness reaches the unit from a virtual machine, and only then", (t) => {
		const words = ["--net=none", "--stage1-image=kvm-uml"];
		startUnit("guest", runCommand("guest", ...words, "example.com/late"), ["TimeoutStartSec=60"]);
		attempt("systemctl", "stop", "guest");
		t.equal(unitProperty("guest", "ExecMainStatus"), "5", "it ran");
		const limit = ["TimeoutStartSec=12"];
		t.throws(() => startUnit("mute", runCommand("mute", ...words, "example.com/never"), limit));
		t.equal(unitProperty("mute", "Result"), "timeout");
		t.equal(podStatus(podUuid("mute")).get("app-never"), "5", "the pod was ended in order");
		t.end();
	});

	t.test("apps that never become ready", (t) => {
		const limit = ["TimeoutStartSec=1500ms"];
		t.throws(() => startUnit("never", runCommand("never", "--net=none", "example.com/never"), limit));
		t.equal(unitProperty("never", "Result"), "timeout");
		t.equal(podStatus(podUuid("never")).get("app-never"), "5", "the pod was ended in order");
		for (const [name, status] of [
			["failing", "3"],
			["silent", "0"],
		] as const) {
			t.throws(() => startUnit(name, runCommand(name, "--net=none", `example.com/${name}`)), name);
			t.equal(unitProperty(name, "ExecMainStatus"), status);
			t.equal(podStatus(podUuid(name)).get(`app-${name}`), status);
		}
		t.end();
	});
}
