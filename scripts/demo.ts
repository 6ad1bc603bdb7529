/**
 * The announcement of rkt 0.8, carried out: a signed image of etcd is found by its name, fetched over HTTPS,
 * verified and run as a pod with a network of its own. It runs in a mount and a network namespace of its own
 * and with directories of its own, so the machine is afterwards as it was before.
 *
 * usage: node dist/scripts/demo.cjs
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { messageOf } from "../lib/errors.ts";
import { newTraces, readMachineTraces } from "../test/support/machine-traces.ts";
import { enterPrivateHost } from "../test/support/private-host.ts";
import { createTestHost, type TestHost } from "../test/support/test-host.ts";
import { getKey, putKey } from "./demo/etcd-client.ts";
import { CLIENT_URL, type RunningPod, readJournal, runEtcd } from "./demo/etcd-pod.ts";
import { createNarrator } from "./demo/narrator.ts";
import { IMAGE, prepareStage, rkt, type Stage } from "./demo/stage.ts";

/** etcd 3.4 prints this; most other messages it sends to the journal itself, as under any systemd. */
const ELECTED = /elected leader/;
const SERVING = /serv(e|ing) (insecure )?client requests/;

const tell = createNarrator();

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
	const stage = await prepareStage(tell, host, cleanUp);
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
	const journal = await readJournal(stage, pod.uuid);
	tell.output(journal.split("\n").slice(-4).join("\n"));
	tell.prove("the pod's journal is readable on the host", SERVING.test(journal) && ELECTED.test(journal));
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

enterPrivateHost();
// A reader that goes away, such as head(1), must not keep the demo from cleaning up.
process.stdout.on("error", () => undefined);
main().catch((error) => {
	console.error(`\ndemo: ${messageOf(error)}`);
	process.exit(1);
});
