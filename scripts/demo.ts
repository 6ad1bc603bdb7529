/**
 * The announcement of rkt 0.8, carried out: a signed image of etcd is found by its name, fetched over HTTPS,
 * verified and run as a pod with a network of its own. It runs in a mount and a network namespace of its own
 * and with directories of its own, so the machine is afterwards as it was before.
 *
 * usage: node dist/scripts/demo.cjs
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";
import { messageOf } from "../lib/errors.ts";
import { distDirectory } from "../test/support/dist-directory.ts";
import { newTraces, readMachineTraces } from "../test/support/machine-traces.ts";
import { enterPrivateHost } from "../test/support/private-host.ts";
import { createSigningKey, type SigningKey } from "../test/support/signing-key.ts";
import { createTestHost, type TestHost } from "../test/support/test-host.ts";
import { getKey, putKey, waitForVersion } from "./demo/etcd-client.ts";
import { makeEtcdAci, unpackEtcdPackage } from "./demo/etcd-package.ts";
import { createNarrator } from "./demo/narrator.ts";
import { type Publication, publish } from "./demo/publish.ts";

const IMAGE = "coreos.com/etcd";
/** etcd 3.4 prints this; most other messages it sends to the journal itself, as under any systemd. */
const ELECTED = /elected leader/;
const SERVING = /serv(e|ing) (insecure )?client requests/;
const CLIENT_URL = "http://127.0.0.1:2379";

const tell = createNarrator();

interface Stage {
	readonly host: TestHost;
	readonly key: SigningKey;
	readonly published: Publication;
	readonly imageId: string;
	readonly version: string;
	/** The directory on the host that etcd keeps its data in. */
	readonly data: string;
}

async function main(): Promise<void> {
	const host = createTestHost("demo");
	const cleanUp: (() => Promise<void>)[] = [host.remove];
	const interrupted = new Promise<never>((_resolve, reject) => {
		for (const signal of ["SIGINT", "SIGTERM"])
			process.once(signal, () => reject(new Error(`${signal}, cleaning up`)));
	});
	try {
		await Promise.race([showEverything(host, cleanUp), interrupted]);
	} finally {
		for (const step of cleanUp.reverse()) await step();
	}
}

async function showEverything(host: TestHost, cleanUp: (() => Promise<void>)[]): Promise<void> {
	const stage = await prepareStage(host, cleanUp);
	await refuseWithoutKey(stage);
	await trustKey(stage);
	const before = readMachineTraces(host.dataDirectory, []);
	const first = await runEtcd(stage);
	await useEtcd(first);
	await lookAtPod(stage, first);
	await stopPod(stage, first);
	await runAgain(stage);
	await collect(stage, before);
	tell.summary();
}

async function prepareStage(host: TestHost, cleanUp: (() => Promise<void>)[]): Promise<Stage> {
	tell.step("An image of etcd, made from Debian's package etcd-server");
	const etcd = await unpackEtcdPackage(path.join(distDirectory(), "demo"), host.directory);
	const architecture = process.arch === "arm64" ? "aarch64" : "amd64";
	const file = path.join(host.directory, `etcd-${etcd.version}-linux-${architecture}.aci`);
	const imageId = await makeEtcdAci(file, IMAGE, etcd);
	tell.note(
		`${path.basename(file)}: ${(fs.statSync(file).size / 1e6).toFixed(1)} MB, ${imageId.slice(0, 19)}…`,
	);

	tell.step("Signed with an OpenPGP key made on the spot, and published over HTTPS");
	const key = await createSigningKey("Etcd Publisher (demo) <etcd@coreos.com>");
	cleanUp.push(key.remove);
	const image = { name: IMAGE, version: etcd.version, file, signature: await key.sign(file) };
	const published = await publish(host.directory, image, key);
	cleanUp.push(published.close);
	tell.note(`https://${IMAGE} answers on 127.0.0.1:443; key ${key.fingerprint}`);
	const data = path.join(host.directory, "etcd-data");
	fs.mkdirSync(data);
	return { host, key, published, imageId, version: etcd.version, data };
}

async function refuseWithoutKey(stage: Stage): Promise<void> {
	tell.step("Without a trusted key the image is refused");
	const result = await rkt(stage, ["fetch", `${IMAGE}:${stage.version}`]);
	tell.prove("an image signed by an unknown key is refused with exit status 254", result.status === 254);
}

async function trustKey(stage: Stage): Promise<void> {
	tell.step("The key is found by discovery and trusted for this name");
	const result = await rkt(stage, ["trust", "--prefix", IMAGE, "--skip-fingerprint-review"]);
	const shown = `${result.stdout}${result.stderr}`.replace(/\s/g, "").toLowerCase();
	tell.prove(
		"rkt trust found the key over HTTPS and showed its fingerprint",
		shown.includes(stage.key.fingerprint),
	);
	const stored = path.join(stage.host.configDirectory, "trustedkeys/prefix.d", IMAGE, stage.key.fingerprint);
	tell.prove("the key is stored for the prefix coreos.com/etcd only", fs.existsSync(stored), stored);
}

interface RunningPod {
	readonly uuid: string;
	/** Resolves with the exit status of `rkt run`. */
	readonly ended: Promise<number>;
	readonly output: () => string;
}

async function runEtcd(stage: Stage): Promise<RunningPod> {
	tell.step("rkt run");
	const args = [
		"run",
		"--net",
		"--port=client:2379",
		"--volume",
		`data-dir,kind=host,source=${stage.data}`,
		`${IMAGE}:${stage.version}`,
		"--",
		`--advertise-client-urls=${CLIENT_URL}`,
		"--listen-client-urls=http://0.0.0.0:2379",
	];
	tell.command(`rkt ${args.join(" ")}`);
	const started = performance.now();
	const child = stage.host.start(args, { ...environment(stage), timeoutMs: 600_000 });
	let output = "";
	for (const stream of [child.stdout, child.stderr]) {
		stream?.on("data", (chunk: Buffer) => {
			output += chunk;
		});
	}
	const ended = child.then((result) => result.exitCode ?? 255);
	const gone = ended.then((status) => {
		throw new Error(`rkt run ended with ${status}:\n${output}`);
	});
	gone.catch(() => undefined);
	const answer = await Promise.race([waitForVersion(CLIENT_URL, 60_000), gone]);
	const seconds = ((performance.now() - started) / 1000).toFixed(1);
	tell.output(JSON.stringify(answer));
	tell.prove(
		`${CLIENT_URL}/version answers ${answer.etcdserver}, ${seconds} s after the command was typed`,
		`v${answer.etcdserver}` === stage.version,
	);
	const uuid = await onlyRunningPod(stage);
	return { uuid, ended, output: () => output };
}

async function onlyRunningPod(stage: Stage): Promise<string> {
	const result = await stage.host.rkt(["list", "--full", "--no-legend"]);
	const running = result.stdout.split("\n").filter((line) => /\trunning\t| running /.test(line));
	const uuid = running[0]?.split(/\s/)[0];
	if (running.length !== 1 || uuid === undefined)
		throw new Error(`one running pod expected:\n${result.stdout}`);
	return uuid;
}

async function useEtcd(pod: RunningPod): Promise<void> {
	tell.step("A key is written to etcd and read back, through the forwarded port");
	await putKey(CLIENT_URL, "rkt", `pod ${pod.uuid}`);
	const value = await getKey(CLIENT_URL, "rkt");
	tell.prove(`etcd in the pod keeps what it is given: rkt = "${value}"`, value === `pod ${pod.uuid}`);
}

async function lookAtPod(stage: Stage, pod: RunningPod): Promise<void> {
	tell.step("The pod, as rkt and the journal show it");
	const list = await rkt(stage, ["list"]);
	tell.prove(
		"rkt list shows the pod, its image and its own address",
		/etcd.*coreos\.com\/etcd:v.*running.*default:ip4=172\.16\.28\.\d+/.test(list.stdout),
	);
	const status = await rkt(stage, ["status", pod.uuid]);
	tell.prove("rkt status says state=running", status.stdout.includes("state=running\n"));
	tell.output(pod.output().trimEnd().split(/\r?\n/).slice(-3).join("\n"));
	tell.prove("the app's output reaches the caller of rkt run", ELECTED.test(pod.output()), pod.output());
	const journal = await readJournal(pod.uuid);
	tell.output(journal.split("\n").slice(-4).join("\n"));
	tell.prove("the pod's journal is readable on the host", SERVING.test(journal) && ELECTED.test(journal));
}

/** The journal of a pod carries its UUID without dashes as machine id. */
async function readJournal(uuid: string): Promise<string> {
	const id = uuid.replaceAll("-", "");
	const directory = [`/var/log/journal/${id}`, `/run/log/journal/${id}`].find((name) => fs.existsSync(name));
	if (directory === undefined) throw new Error(`there is no journal of machine ${id}`);
	tell.command(`journalctl --directory=${directory} --output=cat`);
	const result = await execa("journalctl", [`--directory=${directory}`, "--output=cat", "--no-pager"]);
	return result.stdout;
}

async function stopPod(stage: Stage, pod: RunningPod): Promise<void> {
	tell.step("rkt stop");
	const stopped = await rkt(stage, ["stop", pod.uuid]);
	tell.prove("rkt stop reports the pod", stopped.status === 0 && stopped.stdout.includes(pod.uuid));
	await rkt(stage, ["status", "--wait", pod.uuid]);
	await pod.ended;
	const list = await stage.host.rkt(["list"]);
	tell.prove("the pod has exited", list.stdout.includes("exited"), list.stdout);
	const database = path.join(stage.data, "member/snap/db");
	tell.prove("etcd's data lies on the host, outside of the pod", fs.existsSync(database), database);
}

async function runAgain(stage: Stage): Promise<void> {
	tell.step("A second pod on the same data");
	const requests = stage.published.requests.length;
	const pod = await runEtcd(stage);
	const value = await getKey(CLIENT_URL, "rkt");
	tell.prove(
		`the second pod finds what the first one wrote: rkt = "${value}"`,
		value?.startsWith("pod ") === true,
	);
	const downloads = stage.published.requests.slice(requests).filter((line) => line.endsWith(".aci"));
	tell.prove(
		"the image came from the store, not from the network",
		downloads.length === 0,
		downloads.join("\n"),
	);
	await stopPod(stage, pod);
}

async function collect(stage: Stage, before: ReturnType<typeof readMachineTraces>): Promise<void> {
	tell.step("rkt gc");
	const pods = (await stage.host.rkt(["list", "--full", "--no-legend"])).stdout;
	const uuids = pods.match(/[0-9a-f]{8}-[0-9a-f-]{27}/g) ?? [];
	await rkt(stage, ["gc", "--grace-period=0s"]);
	const list = await rkt(stage, ["list", "--no-legend"]);
	tell.prove("no pod is left", list.stdout === "");
	const left = newTraces(before, readMachineTraces(stage.host.dataDirectory, uuids));
	tell.prove(
		"no mount, namespace, control group, iptables rule, address or journal is left",
		left.length === 0,
		left.join("\n"),
	);
}

/** Runs rkt, showing the command and what it printed. */
async function rkt(stage: Stage, args: readonly string[]): ReturnType<TestHost["rkt"]> {
	tell.command(`rkt ${args.join(" ")}`);
	const result = await stage.host.rkt(args, environment(stage));
	tell.output(`${result.stdout}${result.stderr}`);
	return result;
}

function environment(stage: Stage): { environment: Record<string, string> } {
	return { environment: { NODE_EXTRA_CA_CERTS: stage.published.authorityFile } };
}

enterPrivateHost();
main().catch((error) => {
	console.error(`\ndemo: ${messageOf(error)}`);
	process.exit(1);
});
