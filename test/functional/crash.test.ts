import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { BUSYBOX, type BusyboxHost, createBusyboxHost } from "../support/busybox-host.ts";
import { createCertificates } from "../support/certificates.ts";
import { fileRoute, startImageServer } from "../support/image-server.ts";
import { newTraces, readMachineTraces } from "../support/machine-traces.ts";
import { makeOciImage } from "../support/oci-image.ts";
import { fileEntry, makeLayer } from "../support/oci-layer.ts";
import { writeOciLayout } from "../support/oci-layout.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { readSourceFiles } from "../support/source-files.ts";

enterPrivateHost();

/** Passed only by users who cannot unpack layers: test/stage0/store/layers.test.ts. */
const NOT_AS_ROOT = ["layer-archive-read", "layer-archive-kept"];

/** Every place where stage0 changes state; see lib/crash-point.ts. */
const CRASH_POINTS = [...new Set(readSourceFiles().flatMap(crashPointsOf))].filter(
	(point) => !NOT_AS_ROOT.includes(point),
);

function crashPointsOf({ name, text }: { readonly name: string; readonly text: string }): string[] {
	if (!/^(lib|appc|stage0)\//.test(name)) return [];
	return [...text.matchAll(/\bcrashPoint\("([^"]+)"\)/g)].map((match) => match[1] as string);
}

const COLLECT = ["gc", "--grace-period=0s", "--expire-prepared=0s"];

t.test("SIGKILL at every step that changes state", async (t) => {
	const host = await createBusyboxHost("crash");
	t.teardown(() => host.remove());
	const server = await serveImage(host);
	t.teardown(() => server.close());
	const layer = makeLayer([fileEntry("file", "content")]);
	writeOciLayout(path.join(host.directory, "layout"), [
		{ tag: "app", images: [makeOciImage({ layers: [layer] })] },
	]);
	await host.shell("true");
	await host.rkt(COLLECT);
	const before = readMachineTraces(host.dataDirectory, []);
	t.ok(CRASH_POINTS.length > 10, "the crash points are found");

	for (const point of CRASH_POINTS) {
		t.test(point, async (t) => {
			const killed = await crashEverything(host, server, point);
			t.not(killed.length, 0, "some command passes this point", { killed });
			await understandsAndClears(t, host, point);
			t.strictSame(newTraces(before, readMachineTraces(host.dataDirectory, [])), []);
		});
	}
});

t.test("SIGKILL at any moment of rkt run, stage1 included", async (t) => {
	const host = await createBusyboxHost("moment");
	t.teardown(() => host.remove());
	await host.shell("true", { pod: ["--net"] });
	await host.rkt(COLLECT);
	const before = readMachineTraces(host.dataDirectory, []);
	for (let delay = 5; delay <= 405; delay += 20) {
		const child = host.start(["run", ...host.shellWords("sleep 600", { pod: ["--net"] })]);
		await new Promise((resolve) => setTimeout(resolve, delay));
		child.kill("SIGKILL");
		await child;
		await stopRunning(host);
		await understandsAndClears(t, host, `after ${delay} ms`);
	}
	t.strictSame(newTraces(before, readMachineTraces(host.dataDirectory, [])), []);
});

interface Served {
	readonly url: string;
	readonly authorityFile: string;
	close(): Promise<void>;
}

/** The image over HTTPS, since downloading has crash points of its own. */
async function serveImage(host: BusyboxHost): Promise<Served> {
	const certificates = await createCertificates(path.join(host.directory, "tls"), ["127.0.0.1"]);
	const server = await startImageServer(certificates);
	server.route("/busybox.aci", fileRoute(path.join(host.directory, "example.com-busybox.aci")));
	const url = `https://127.0.0.1:${server.port}/busybox.aci`;
	return { url, authorityFile: certificates.authorityFile, close: server.close };
}

/** Runs each kind of command so that it dies at the point; gives those that did. */
async function crashEverything(host: BusyboxHost, server: Served, point: string): Promise<string[]> {
	const environment = { RKT_CRASH_AT: point, NODE_EXTRA_CA_CERTS: server.authorityFile };
	const killed: string[] = [];
	const crash = async (...words: string[]): Promise<void> => {
		const result = await host.rkt(words, { testBuild: true, environment });
		if (result.status === 137) killed.push(words.join(" "));
	};
	const image = path.join(host.directory, "example.com-busybox.aci");
	const prepared = (await host.rkt(["prepare", "--quiet", BUSYBOX])).stdout.trim();
	const ended = (await host.rkt(["prepare", "--quiet", BUSYBOX])).stdout.trim();
	await host.rkt(["run-prepared", "--net=none", ended]);

	await crash("--insecure-options=image", "fetch", image);
	await crash("--insecure-options=image", "fetch", server.url);
	await crash("--insecure-options=image", "fetch", `oci:${host.directory}/layout:app`);
	await crash("prepare", "--quiet", "--private-users", BUSYBOX);
	await crash("run", "--net=none", BUSYBOX);
	await crash("run-prepared", "--net=none", prepared);
	await crash("rm", ended);
	await crash(...COLLECT);
	await crash("image", "gc", "--grace-period=0s");
	await crash("image", "rm", host.imageId);
	await crash("image", "rm", "localhost/layout");
	await crash("image", "gc");
	// Without the rendered tree, which goes when neither pod nor image needs it, it is rendered again.
	for (const words of [
		COLLECT,
		COLLECT,
		["image", "rm", host.imageId],
		["image", "rm", "localhost/layout"],
		["image", "gc"],
	])
		await host.rkt(words);
	await crash("--insecure-options=image", "fetch", image);
	// A fetch unpacks while it imports; an image whose tree was collected is rendered when it is used.
	await host.rkt(["image", "gc"]);
	await crash("prepare", "--quiet", BUSYBOX);
	return killed;
}

/** The next commands find their way: they look, they collect, and an image can be fetched and run. */
async function understandsAndClears(t: Test, host: BusyboxHost, what: string): Promise<void> {
	await succeed(t, host, what, [["list"], ["image", "list"]]);
	await collectsEverything(t, host, what);
	const image = path.join(host.directory, "example.com-busybox.aci");
	await succeed(t, host, what, [["--insecure-options=image", "fetch", image]]);
	const run = await host.shell("exit 5");
	t.equal(run.status, 5, `${what}: the image runs`, { stderr: run.stderr });
	await collectsEverything(t, host, what);
	const rest = fs.readdirSync(path.join(host.dataDirectory, "cas/tmp"), { recursive: true });
	t.strictSame(rest, [], `${what}: nothing half-written is left`);
}

async function succeed(t: Test, host: BusyboxHost, what: string, commands: string[][]): Promise<string> {
	let told = "";
	for (const words of commands) {
		const result = await host.rkt(words);
		t.equal(result.status, 0, `${what}: then ${words.join(" ")}`, { stderr: result.stderr });
		told += result.stdout + result.stderr;
	}
	return told;
}

async function collectsEverything(t: Test, host: BusyboxHost, what: string): Promise<void> {
	const told = await succeed(t, host, what, [COLLECT, COLLECT]);
	const pods = path.join(host.dataDirectory, "pods");
	const left = fs.readdirSync(pods).flatMap((state) => fs.readdirSync(path.join(pods, state)));
	t.strictSame(left, [], `${what}: no pod is left`, { told });
}

async function stopRunning(host: BusyboxHost): Promise<void> {
	const list = (await host.rkt(["list", "--full", "--no-legend"])).stdout.split("\n");
	const running = list
		.filter((line) => /\srunning\s/.test(line))
		.map((line) => line.split(/\s/)[0] as string);
	if (running.length > 0) await host.rkt(["stop", "--force", ...running]);
	for (const uuid of running) await host.rkt(["status", "--wait=20s", uuid]);
}
