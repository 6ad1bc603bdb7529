import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { text } from "node:stream/consumers";
import type { Test } from "tap";
import { readNetInfo } from "../../../stage1/pod-record.ts";
import type { MiniStage0 } from "../../support/mini-stage0.ts";
import { readFrom } from "../../support/read-from.ts";
import { waitFor } from "../../support/wait-for.ts";
import { type Fixtures, shellApp } from "./cases.ts";

const HOST_PORT = 18080;

/** The default network, a forwarded port, name servers that stage0 wrote, and the journal, in one life of a pod. */
export async function checkNetworkAndJournal(t: Test, stage0: MiniStage0, fixtures: Fixtures): Promise<void> {
	const ports = [{ name: "web", protocol: "tcp", port: 8080 }];
	const script = "nc -ll -p 8081 -e /bin/busybox md5sum & echo serving; exec nc -ll -p 8080 -e /bin/hostname";
	const app = shellApp(fixtures, script, { ports });
	const pod = stage0.prepare([app], { ports: [{ name: "web", hostPort: HOST_PORT }] });
	const etc = path.join(pod.directory, "overlay/tree/upper/etc");
	fs.mkdirSync(etc, { recursive: true });
	fs.writeFileSync(path.join(etc, "rkt-resolv.conf"), "nameserver 10.9.8.7\n");
	const ended = stage0.run(pod, ["--net=default", "--dns-conf-mode=resolv=stage0,hosts=default"]);
	await stage0.containerPid(pod);

	const answer = `rkt-${pod.uuid}\n`;
	t.equal(await readFrom("127.0.0.1", HOST_PORT), answer, "the forwarded port");
	const networks = readNetInfo(pod.directory);
	t.match(networks, [
		{ netName: "default", ifName: "eth0", ip: /^172\.16\.28\.\d+$/, mask: "255.255.255.0" },
	]);
	const address = networks[0]?.ip as string;
	t.equal(await readFrom(address, 8080), answer, "the address on record");
	// The host's kernel leaves it to the card to cut up what is long.
	const long = randomBytes(4 << 20);
	const sum = createHash("md5").update(long).digest("hex");
	t.equal(await send(address, 8081, long), `${sum}  -\n`, "long packets into the pod");
	const inPod = stage0.enter(pod, "app", [
		"/bin/sh",
		"-c",
		"cat /etc/resolv.conf; grep -c eth0 /proc/net/route",
	]);
	t.match(inPod.stdout, /^nameserver 10\.9\.8\.7\n[1-9]\d*\n$/, inPod.stderr);
	const journal = `/var/log/journal/${pod.uuid.replaceAll("-", "")}`;
	const read = ["-D", journal, "--output=cat", "--quiet", "_SYSTEMD_UNIT=app.service"];
	await waitFor("the journal on the host", () =>
		spawnSync("journalctl", read, { encoding: "utf8" }).stdout.includes("serving"),
	);

	stage0.call(pod, "stop", ["--force"]);
	await ended;
	stage0.remove(pod);
	t.notOk(fs.existsSync(journal), "gc takes the journal");
	t.strictSame(fs.readdirSync("/run/netns"), [], "and the network namespace");
	const rules = spawnSync("iptables-save", { encoding: "utf8" }).stdout;
	t.notMatch(rules, `${HOST_PORT}`, "and the rules of the port");
	const leases = fs.readdirSync("/var/lib/cni/networks/default").filter((name) => name.startsWith("172."));
	t.strictSame(leases, [], "and the address");
}

/** What a server answers to all of it. */
async function send(host: string, port: number, data: Buffer): Promise<string> {
	const socket = net.connect({ host, port, timeout: 20_000 });
	socket.on("timeout", () => socket.destroy(new Error("no answer for 20 s")));
	socket.end(data);
	return await text(socket);
}
