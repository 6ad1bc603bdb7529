import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { MNT_DETACH } from "../../../lib/syscall/syscall.ts";
import { readNetInfo } from "../../../stage1/pod-record.ts";
import { enterPrivateHost } from "../../support/private-host.ts";
import { waitFor } from "../../support/wait-for.ts";
import {
	ask,
	command,
	createNetworkHost,
	inside,
	logged,
	serve,
	syscall,
	type TestPod,
	traces,
} from "./network-host.ts";

enterPrivateHost();
t.setTimeout(180_000);

const host = createNetworkHost();
t.teardown(() => fs.rmSync(host.directory, { recursive: true, force: true }));

/** A neighbour of the machine on a network of its own, and the machine's address there. */
const NEIGHBOUR = "/run/netns/neighbour";
const HOST_ADDRESS = "10.9.9.1";
command("ip", "netns", "add", "neighbour");
command("ip", "link", "add", "ext0", "type", "veth", "peer", "name", "far0", "netns", "neighbour");
command("ip", "addr", "add", `${HOST_ADDRESS}/24`, "dev", "ext0");
command("ip", "link", "set", "ext0", "up");
command("ip", "-n", "neighbour", "addr", "add", "10.9.9.2/24", "dev", "far0");
command("ip", "-n", "neighbour", "link", "set", "far0", "up");
command("ip", "-n", "neighbour", "link", "set", "lo", "up");
command("ip", "-n", "neighbour", "route", "add", "default", "via", HOST_ADDRESS);

const IPAM = { type: "host-local", subnet: "10.77.5.0/24" };

const tcp = (hostPort: number, podPort: number, hostIP?: string) =>
	({ protocol: "tcp", hostPort, podPort, ...(hostIP ? { hostIP } : {}) }) as const;

/** Ends the pod and checks that the machine is as before. */
function release(t: Test, pod: TestPod, before: string[]): void {
	pod.unlock();
	pod.moveToGarbage();
	pod.tearDown();
	t.strictSame(traces(), before);
	pod.tearDown();
}

t.test("no network and the host's network", async (t) => {
	const before = traces();
	const pod = host.makePod();
	const hostNetwork = pod.setUp("host", [tcp(1, 1)]);
	t.strictSame(hostNetwork, {
		...{ namespace: undefined, networks: [], dns: undefined },
		hostIP: "127.0.0.1",
	});
	t.strictSame(traces(), before);
	const { namespace, networks } = pod.setUp("none", [tcp(1, 1)], { unprivilegedPorts: true });
	t.strictSame(networks, []);
	t.equal(namespace, `/var/run/netns/cni-${pod.uuid}`);
	t.equal(fs.readFileSync(path.join(pod.podDirectory, "netns"), "utf8"), namespace);
	t.match(logged, ["networking namespace with loopback only"]);
	await inside(namespace, async () => {
		t.match(
			command("ip", "-o", "addr"),
			/^1: lo +inet 127\.0\.0\.1\/8 [^\n]*\n1: lo +inet6 ::1\/128 [^\n]*\n$/,
		);
		t.equal(command("sysctl", "-n", "net.ipv4.ip_unprivileged_port_start").trim(), "0");
	});
	release(t, pod, before);
});

t.test("the default network: addresses, masquerading, records", async (t) => {
	const before = traces();
	const [one, two] = [host.makePod(), host.makePod()];
	const first = one.setUp("default");
	const second = two.setUp("default,default-restricted");
	const [info] = first.networks;
	t.match(info, {
		netName: "default",
		ifName: "eth0",
		ip: /^172\.16\.28\.\d+$/,
		mask: "255.255.255.0",
		args: "",
	});
	t.match(info?.pluginPath, /\/ptp$/);
	t.strictSame(readNetInfo(one.podDirectory), first.networks);
	t.ok(fs.existsSync(path.join(one.podDirectory, "net/99-default.conf")));
	t.match(second.networks[0], { netName: "default-restricted", ifName: "eth0", mask: "255.255.0.0" });
	t.match(second.networks[1], { netName: "default", ifName: "eth1" });
	t.not(second.networks[1]?.ip, info?.ip);
	const link = / dev (\S+)/.exec(command("ip", "-o", "route", "get", info?.ip ?? ""))?.[1];
	const acceptRa = fs.readFileSync(`/proc/sys/net/ipv6/conf/${link}/accept_ra`, "utf8").trim();
	t.equal(acceptRa, "0", "no pod can become the host's IPv6 router (CVE-2020-10749)");
	const server = await serve(first.namespace, "tcp", 80, "one");
	t.equal(await ask(second.namespace, "tcp", info?.ip ?? "", 80), `one ${second.networks[1]?.ip}`);
	t.equal(await ask(undefined, "tcp", info?.ip ?? "", 80), "one 172.16.28.1");
	const outside = await serve(NEIGHBOUR, "tcp", 80, "neighbour");
	t.equal(await ask(first.namespace, "tcp", "10.9.9.2", 80), `neighbour ${HOST_ADDRESS}`, "masqueraded");
	await server.close();
	await outside.close();
	two.tearDown();
	t.notOk(fs.existsSync(path.join(two.podDirectory, "net")));
	release(t, one, before);
});

t.test("forwarded ports answer everywhere, and 127.0.0.1 stays the host's own", async (t) => {
	const before = traces();
	const pod = host.makePod();
	const other = host.makePod();
	const ports = [
		tcp(8080, 80),
		{ protocol: "udp", hostPort: 5353, podPort: 53 } as const,
		tcp(8081, 80, "127.0.0.1"),
	];
	const { namespace, networks } = pod.setUp("default", ports);
	const neighbourPod = other.setUp("default");
	const servers = [await serve(namespace, "tcp", 80, "web"), await serve(namespace, "udp", 53, "dns")];
	const places = {
		host: undefined,
		pod: namespace,
		"another pod": neighbourPod.namespace,
		neighbour: NEIGHBOUR,
	};
	for (const [name, place] of Object.entries(places)) {
		t.match(await ask(place, "tcp", HOST_ADDRESS, 8080), /^web /, `tcp from ${name}`);
		t.match(await ask(place, "udp", HOST_ADDRESS, 5353), /^dns /, `udp from ${name}`);
		if (place !== undefined)
			t.equal(await ask(place, "tcp", HOST_ADDRESS, 8081), "ECONNREFUSED", `8081 from ${name}`);
	}
	t.match(await ask(undefined, "tcp", "127.0.0.1", 8080), /^web /);
	t.match(await ask(undefined, "udp", "127.0.0.1", 5353), /^dns /);
	t.match(await ask(undefined, "tcp", "127.0.0.1", 8081), /^web /);
	t.match(
		await ask(undefined, "tcp", "172.16.28.1", 8080),
		/^web /,
		"the gateway is an address of the host too",
	);

	const secret = await serve(undefined, "tcp", 9000, "secret", "127.0.0.1");
	const attack = { pod: namespace ?? "", neighbour: NEIGHBOUR };
	for (const [name, place] of Object.entries(attack))
		sendLoopbackTo(place, name === "pod" ? "172.16.28.1" : HOST_ADDRESS);
	t.equal(await ask(namespace, "tcp", "127.0.0.1", 9000), "timeout", "a service on the host's loopback");
	t.equal(await ask(NEIGHBOUR, "tcp", "127.0.0.1", 8081), "timeout", "a port forwarded on loopback only");
	const guards = command("iptables-save", "-t", "raw")
		.split("\n")
		.filter((line) => line.startsWith("-A"));
	t.equal(guards.length, 2);
	command("iptables", "-t", "raw", "-F", "PREROUTING");
	t.match(
		await ask(namespace, "tcp", "127.0.0.1", 9000),
		/^secret /,
		"without the guard it could be reached",
	);
	t.match(await ask(NEIGHBOUR, "tcp", "127.0.0.1", 8081), /^web /, "without the guard it could be reached");
	restoreLoopback(NEIGHBOUR);

	for (const server of [...servers, secret]) await server.close();
	t.match(networks[0]?.ip, /^172/);
	other.tearDown();
	release(t, pod, before);
});

/** Makes a namespace route 127.0.0.0/8 out of itself, as a hostile machine or root in a pod can. */
function sendLoopbackTo(namespace: string, gateway: string): void {
	const at = (...args: string[]) => command("nsenter", `--net=${namespace}`, ...args);
	at("ip", "addr", "del", "127.0.0.1/8", "dev", "lo");
	at("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet");
	at("ip", "route", "add", "127.0.0.0/8", "via", gateway);
}

function restoreLoopback(namespace: string): void {
	const at = (...args: string[]) => command("nsenter", `--net=${namespace}`, ...args);
	at("ip", "route", "del", "127.0.0.0/8");
	at("sh", "-c", "echo 0 > /proc/sys/net/ipv4/conf/all/route_localnet");
	at("ip", "addr", "add", "127.0.0.1/8", "dev", "lo");
}

t.test("a port that is taken is refused, and nothing is left of the attempt", async (t) => {
	const before = traces();
	const holder = host.makePod();
	const wanting = host.makePod();
	holder.setUp("default", [tcp(8080, 80)]);
	const held = traces();
	t.throws(() => wanting.setUp("default", [tcp(8080, 81)]), {
		code: "port-in-use",
		message: new RegExp(`8080/tcp is in use by pod ${holder.uuid}`),
	});
	t.strictSame(traces(), held);
	t.notOk(fs.existsSync(path.join(wanting.podDirectory, "net-info.json")));
	wanting.setUp("default", [{ protocol: "udp", hostPort: 8080, podPort: 80 }]);
	wanting.tearDown();
	const server = await serve(undefined, "tcp", 9001, "host", "127.0.0.1");
	t.throws(() => wanting.setUp("default", [tcp(9001, 81)]), {
		code: "port-in-use",
		message: /by a process of the host/,
	});
	t.doesNotThrow(() => wanting.setUp("default", [tcp(9001, 81, HOST_ADDRESS)]), "another address");
	wanting.tearDown();
	await server.close();
	t.strictSame(traces(), held);

	const stranger = createNetworkHost();
	t.teardown(() => fs.rmSync(stranger.directory, { recursive: true, force: true }));
	const strange = stranger.makePod();
	t.throws(() => strange.setUp("default", [tcp(8080, 80)]), {
		code: "port-in-use",
		message: new RegExp(`by container ${holder.uuid}`),
	});
	strange.setUp("default", [tcp(8082, 80)]);
	release(
		t,
		holder,
		traces().filter((line) => !line.includes(holder.uuid) && !isOf(holder, line)),
	);
	strange.tearDown();
	t.strictSame(traces(), before, "the last of two data directories clears the shared chains");
});

/** Lines of a pod that do not name it: its namespace, lease, interface and chains. */
function isOf(pod: TestPod, line: string): boolean {
	const [info] = readNetInfo(pod.podDirectory);
	const route = command("ip", "-o", "route", "get", info?.ip ?? "");
	const link = / dev (\S+)/.exec(route)?.[1] ?? "";
	const chains = [
		...command("iptables-save").matchAll(new RegExp(`${pod.uuid}.* -j (CNI-[0-9a-zDN-]+)$`, "gm")),
	];
	const names = [info?.ip ?? "", link, ...chains.map((match) => match[1] as string)];
	return names.some((name) => new RegExp(`(^|[ /:])${name.replaceAll(".", "\\.")}([ /@]|$)`).test(line));
}

t.test("the ports of an ended pod are taken over before gc", async (t) => {
	const before = traces();
	const [ended, collected, next] = [host.makePod(), host.makePod(), host.makePod()];
	ended.setUp("default", [tcp(8080, 80)]);
	collected.setUp("default", [tcp(8081, 80)]);
	ended.unlock();
	collected.unlock();
	collected.moveToGarbage();
	const { namespace } = next.setUp("default", [tcp(8080, 80), tcp(8081, 80)]);
	const server = await serve(namespace, "tcp", 80, "next");
	t.match(await ask(undefined, "tcp", "127.0.0.1", 8080), /^next /);
	t.match(await ask(undefined, "tcp", "127.0.0.1", 8081), /^next /);
	ended.tearDown();
	collected.tearDown();
	t.match(await ask(undefined, "tcp", "127.0.0.1", 8080), /^next /, "gc of the old ones does no harm");
	await server.close();
	release(t, next, before);
});

t.test("networks of net.d", async (t) => {
	const before = traces();
	const ipam = (subnet: string) => ({ type: "host-local", subnet, routes: [{ dst: "0.0.0.0/0" }] });
	host.configure("10-bridge.conf", {
		name: "blue",
		type: "bridge",
		isGateway: true,
		ipMasq: true,
		ipam: ipam("10.77.1.0/24"),
		dns: { nameservers: ["10.77.1.1"], search: ["blue.test"] },
	});
	host.configure("20-macvlan.conf", {
		cniVersion: "0.3.1",
		name: "lan",
		type: "macvlan",
		master: "ext0",
		ipam: { ...ipam("10.9.9.0/24"), rangeStart: "10.9.9.50" },
	});
	host.configure("30-chain.conflist", {
		cniVersion: "1.0.0",
		name: "chain",
		plugins: [
			{ type: "ptp", ipMasq: true, ipam: ipam("10.77.2.0/24") },
			{ type: "tuning", sysctl: { "net.core.somaxconn": "77" } },
			{ type: "firewall" },
		],
	});
	t.teardown(() => {
		for (const name of fs.readdirSync(host.netDirectory)) fs.rmSync(path.join(host.netDirectory, name));
	});

	await t.test("by name, with arguments", async (t) => {
		const pod = host.makePod();
		const result = pod.setUp("lan,blue:IP=10.77.1.99", [tcp(8080, 80)]);
		t.match(result.networks, [
			{ netName: "blue", ifName: "eth0", ip: "10.77.1.99", args: "IP=10.77.1.99", mask: "255.255.255.0" },
			{ netName: "lan", ifName: "eth1", ip: /^10\.9\.9\./, args: "" },
		]);
		t.match(result.dns, { networkName: "blue", nameservers: ["10.77.1.1"], search: ["blue.test"] });
		const server = await serve(result.namespace, "tcp", 80, "blue");
		t.match(await ask(undefined, "tcp", "127.0.0.1", 8080), /^blue /);
		t.match(await ask(result.namespace, "tcp", HOST_ADDRESS, 8080), /^blue |timeout/);
		t.match(
			await ask(NEIGHBOUR, "tcp", result.networks[1]?.ip ?? "", 80),
			/^blue 10\.9\.9\.2/,
			"over macvlan",
		);
		t.equal(fs.readFileSync("/proc/sys/net/ipv4/conf/cni0/route_localnet", "utf8").trim(), "1");
		await server.close();
		pod.tearDown();
		t.equal(fs.readFileSync("/proc/sys/net/ipv4/conf/cni0/route_localnet", "utf8").trim(), "0", "put back");
	});

	await t.test("a chained list", async (t) => {
		const pod = host.makePod();
		const { namespace, networks } = pod.setUp("chain", [tcp(8080, 80)]);
		t.match(networks, [{ netName: "chain", ip: /^10\.77\.2\./ }]);
		await inside(namespace, async () => t.equal(command("sysctl", "-n", "net.core.somaxconn").trim(), "77"));
		t.match(command("iptables-save"), /CNI-FORWARD/);
		const server = await serve(namespace, "tcp", 80, "chain");
		t.match(await ask(undefined, "tcp", "127.0.0.1", 8080), /^chain /);
		await server.close();
		pod.tearDown();
		t.notMatch(command("iptables-save"), networks[0]?.ip ?? "");
	});

	await t.test("all of them", async (t) => {
		const pod = host.makePod();
		const { networks } = pod.setUp("all");
		t.strictSame(
			networks.map(({ netName, ifName }) => `${ifName} ${netName}`),
			["eth0 blue", "eth1 lan", "eth2 chain", "eth3 default-restricted", "eth4 default"],
		);
		pod.tearDown();
	});

	await t.test("a name of a built-in network takes its place", async (t) => {
		host.configure("05-own.conf", { name: "default", type: "ptp", ipam: ipam("10.77.3.0/24") });
		const pod = host.makePod();
		t.match(pod.setUp("default").networks, [
			{ netName: "default", ip: /^10\.77\.3\./, netConf: /05-own\.conf$/ },
		]);
		pod.tearDown();
	});

	await t.test("what is not configured is named", async (t) => {
		const pod = host.makePod();
		t.throws(() => pod.setUp("red,blue,green"), {
			code: "network-not-found",
			message: /networks not found: green, red/,
		});
	});
	// The plugin bridge never removes a bridge, nor the plugin firewall its shared chains.
	command("ip", "link", "del", "cni0");
	for (const line of ["-F FORWARD", "-F CNI-FORWARD", "-F CNI-ADMIN", "-X CNI-FORWARD", "-X CNI-ADMIN"]) {
		command("iptables", ...line.split(" "));
	}
	t.strictSame(traces(), before);
});

t.test("hostile and broken plugins and configurations", async (t) => {
	const before = traces();
	const refuse = async (
		name: string,
		conf: unknown,
		expected: { code: string; message?: RegExp; hint?: RegExp },
		mode = 0o644,
	): Promise<void> => {
		host.configure("10-bad.conf", conf, mode);
		const pod = host.makePod();
		const started = Date.now();
		t.throws(() => pod.setUp("bad", [], { pluginTimeoutMs: 700 }), expected, name);
		t.ok(Date.now() - started < 5000, `${name}: in time`);
		t.strictSame(traces(), before, `${name}: nothing is left`);
		t.notOk(fs.existsSync(path.join(pod.podDirectory, "netns")));
		fs.rmSync(path.join(host.netDirectory, "10-bad.conf"));
	};
	const plugin = async (name: string, script: string, message: RegExp): Promise<void> => {
		host.configure("evil", `#!/bin/sh\n[ "$CNI_COMMAND" = DEL ] && exit 0\n${script}\n`, 0o755);
		await refuse(name, { name: "bad", type: "evil" }, { code: "network-plugin-failed", message });
	};
	await plugin("nothing", "exit 0", /network "bad": plugin evil ADD: printed no result/);
	await plugin("no JSON", "echo '{\"ip4\":'", /plugin evil ADD: result/);
	await plugin("a result of the wrong shape", `echo '{"ips":[{"address":"10.0.0.1; rm -rf /"}]}'`, /ips/);
	await plugin(
		"DNS that would add lines",
		`printf %s '{"dns":{"search":["a\\nnameserver 6.6.6.6"]}}'`,
		/dns/,
	);
	await plugin("endless output", "cat /dev/zero", /printed more than/);
	await plugin(
		"no end, deaf to SIGTERM",
		"trap '' TERM; while :; do sleep 1; done",
		/did not end within 700 ms/,
	);
	await plugin(
		"its own error",
		`printf %s '{"code":11,"msg":"no\\u001b[2J more","details":"today"}'; exit 1`,
		/no \[2J more; today \(code 11\)/,
	);
	await plugin("a bare failure", "exit 3", /exit status 3/);
	fs.chmodSync(path.join(host.netDirectory, "evil"), 0o757);
	await refuse(
		"a plugin that others can change",
		{ name: "bad", type: "evil" },
		{ code: "network-plugin-untrusted" },
	);
	fs.rmSync(path.join(host.netDirectory, "evil"));

	for (const type of ["../evil", "/bin/sh", "..", "a/b", ""]) {
		await refuse(`type ${type}`, { name: "bad", type }, { code: "network-config-invalid", message: /type/ });
	}
	const ipam = { type: "../../bin/sh" };
	await refuse("ipam as a path", { name: "bad", type: "ptp", ipam }, { code: "network-config-invalid" });
	await refuse("a name as a path", { name: "../bad", type: "ptp" }, { code: "network-config-invalid" });
	await refuse("no JSON at all", "{", { code: "json-invalid", message: /10-bad\.conf/ });
	await refuse(
		"writable by others",
		{ name: "bad", type: "ptp" },
		{ code: "network-config-untrusted" },
		0o666,
	);
	await refuse(
		"an unknown plugin",
		{ name: "bad", type: "warp" },
		{
			code: "network-plugin-missing",
			message: /net\.d, .*\/usr\/lib\/cni/,
			hint: /containernetworking-plugins/,
		},
	);
	host.configure("notes.txt", "not a network");
	fs.mkdirSync(path.join(host.netDirectory, "dir.conf"));
	const pod = host.makePod();
	t.equal(pod.setUp("default").networks.length, 1, "other names and directories are nobody's business");
	pod.tearDown();
	fs.rmdirSync(path.join(host.netDirectory, "dir.conf"));
	t.strictSame(traces(), before);
});

t.test("the second network fails: the first is left again", async (t) => {
	const before = traces();
	host.configure("zz-fails.conf", {
		name: "fails",
		type: "macvlan",
		master: "nosuch0",
		ipam: IPAM,
	});
	const pod = host.makePod();
	t.throws(() => pod.setUp("default,fails", [tcp(8080, 80)]), {
		code: "network-plugin-failed",
		message: /fails.*macvlan/,
	});
	t.strictSame(traces(), before);
	fs.rmSync(path.join(host.netDirectory, "zz-fails.conf"));
});

t.test("what could not be released is tried again", async (t) => {
	const before = traces();
	const plugin = `#!/bin/sh\n[ -e ${host.directory}/broken ] && exit 1\nexec /usr/lib/cni/ptp\n`;
	host.configure("fragile", plugin, 0o755);
	host.configure("fragile.conf", { name: "fragile", type: "fragile", ipMasq: true, ipam: IPAM });
	const pod = host.makePod();
	pod.setUp("fragile,default", [tcp(8080, 80)]);
	fs.writeFileSync(path.join(host.directory, "broken"), "");
	t.throws(() => pod.tearDown(), {
		code: "network-teardown-failed",
		message: /plugin fragile DEL: exit status 1/,
	});
	const newTraces = () => traces().filter((line) => !before.includes(line));
	await waitFor("the kernel to remove the interfaces of the dead namespace", () => newTraces().length <= 1);
	const left = newTraces();
	t.match(left, [/^networks\/fragile\/10\.77\.5\./], "only the lease is left");
	t.equal(left.length, 1);
	fs.rmSync(path.join(host.directory, "broken"));
	release(t, pod, before);
	for (const name of ["fragile", "fragile.conf"]) fs.rmSync(path.join(host.netDirectory, name));
});

/** The kernel removes the interfaces of a dead namespace in its own time. */
async function destroyNamespace(namespace: string): Promise<void> {
	syscall.umount(namespace, MNT_DETACH);
	fs.rmSync(namespace);
	await waitFor("the interfaces to go", () => !command("ip", "-o", "link").includes(": veth"));
}

t.test("after a reboot only leases are left, and they are released", async (t) => {
	const before = traces();
	const pod = host.makePod();
	const { namespace } = pod.setUp("default", [tcp(8080, 80)]);
	pod.unlock();
	await destroyNamespace(namespace ?? "");
	for (const line of ["-t nat -F", "-t nat -X", "-t raw -F"]) command("iptables", ...line.split(" "));
	t.not(traces().length, before.length);
	release(t, pod, before);
});

t.test("a namespace that somebody removed does not keep its rules", async (t) => {
	const before = traces();
	const pod = host.makePod();
	const { namespace } = pod.setUp("default", [tcp(8080, 80)]);
	await destroyNamespace(namespace ?? "");
	release(t, pod, before);
});

t.test("30 pods at once get 30 addresses", async (t) => {
	const before = traces();
	const pods = Array.from({ length: 30 }, () => host.makePod());
	const results = await Promise.all(pods.map((pod) => host.runChild(pod.job("set-up", "default"))));
	t.strictSame(
		results.map(({ status, errors }) => `${status}${errors}`),
		pods.map(() => "0"),
	);
	const addresses = results.map(({ output }) => JSON.parse(output).networks[0].ip);
	t.equal(new Set(addresses).size, 30);
	const ended = await Promise.all(pods.map((pod) => host.runChild(pod.job("tear-down", "default"))));
	t.strictSame(
		ended.map(({ status, errors }) => `${status}${errors}`),
		pods.map(() => "0"),
	);
	t.strictSame(traces(), before);
});

t.test("gc waits for the plugin of a run that was killed", async (t) => {
	const before = traces();
	const started = path.join(host.directory, "started");
	const script = `#!/bin/sh\n[ $CNI_COMMAND = ADD ] && touch ${started} && sleep 0.5\nexec /usr/lib/cni/ptp\n`;
	host.configure("slow", script, 0o755);
	host.configure("slow.conf", { name: "slow", type: "slow", ipMasq: true, ipam: IPAM });
	const pod = host.makePod();
	pod.unlock();
	const { status } = await host.runChild(pod.job("set-up", "slow"), started);
	t.equal(status, null);
	t.equal(
		fs.readdirSync("/var/lib/cni/networks").includes("slow"),
		false,
		"the plugin has not begun its work",
	);
	release(t, pod, before);
	t.equal(fs.readdirSync("/var/lib/cni/networks").includes("slow"), true, "it came to its end");
	for (const name of ["slow", "slow.conf"]) fs.rmSync(path.join(host.netDirectory, name));
});

t.test("SIGKILL before each step of set-up and of tear-down, then gc", { timeout: 120_000 }, async (t) => {
	const before = traces();
	for (const action of ["set-up", "tear-down"] as const) {
		let killed = 0;
		for (let ended = false; !ended; ) {
			const numbers = Array.from({ length: 8 }, (_, index) => killed + index + 1);
			const pods = numbers.map((killAt) => ({
				pod: host.makePod(),
				killAt,
				ports: [tcp(8000 + killAt, 80)],
			}));
			for (const { pod, ports } of pods) {
				if (action === "tear-down") pod.setUp("default", ports);
				pod.unlock();
			}
			const children = pods.map(({ pod, killAt, ports }) =>
				host.runChild(pod.job(action, "default", ports, killAt)),
			);
			for (const { status, errors } of await Promise.all(children)) {
				t.ok(status === 0 || status === null, errors);
				if (status === null) killed += 1;
				else ended = true;
			}
			for (const { pod } of pods) {
				pod.moveToGarbage();
				pod.tearDown();
			}
			t.strictSame(traces(), before, `${action} killed before the steps ${numbers}`);
		}
		t.ok(killed >= 15, `${action} has ${killed} steps`);
	}
});
