import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { umlArguments } from "../../stage1-kvm/hypervisors/uml.ts";
import { compileProgram } from "../../stage1-kvm/image/programs.ts";
import { setUpGuestNetwork } from "../../stage1-kvm/network/guest-network.ts";
import { networkFile } from "../../stage1-kvm/network/network-file.ts";
import { command, createNetworkHost, inside, type TestPod, traces } from "../stage1/network/network-host.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();

const UML = "/usr/bin/linux.uml";
/** Long enough for packets of every size, those that a card is to cut up among them. */
const PAGE = "hello ".repeat(100_000);

const host = createNetworkHost();
t.teardown(() => fs.rmSync(host.directory, { recursive: true, force: true }));
command("ip", "link", "add", "ext0", "type", "veth", "peer", "name", "far0");
for (const name of ["ext0", "far0"]) command("ip", "link", "set", name, "up");

/** A guest whose second program is a script: it says what it has and serves a page. */
const SCRIPT = `#!/bin/busybox sh
b=/bin/busybox
$b ip addr > /report.new
$b ip route >> /report.new
$b ip -6 route >> /report.new
$b hostname >> /report.new
$b mv /report.new /report
exec $b httpd -f -p 8080 -h /www
`;

t.test("the file for the guest", async (t) => {
	const link = { name: "eth0", mac: "02:00:00:00:00:01", mtu: 1400 };
	const routes = [
		{ destination: "0.0.0.0/0", gateway: "10.1.0.1", source: undefined, metric: 0, onLink: true },
		{ destination: "10.1.0.1/32", gateway: undefined, source: "10.1.0.2", metric: 7, onLink: false },
	];
	t.equal(
		networkFile("pod", [{ ...link, addresses: ["10.1.0.2/24", "fd00::2/64"], routes }]),
		[
			"hostname pod",
			"link 02:00:00:00:00:01 1400 eth0",
			"address eth0 10.1.0.2/24",
			"address eth0 fd00::2/64",
			"route 10.1.0.1/32 - 10.1.0.2 7 eth0",
			"onlink 0.0.0.0/0 10.1.0.1 - 0 eth0",
			"",
		].join("\n"),
	);
	t.equal(networkFile("pod", []), "hostname pod\n");
});

t.test("without a network the guest has no card", async (t) => {
	const before = traces();
	const pod = host.makePod();
	const { namespace } = pod.setUp("none");
	const guest = await inside(namespace, async () => setUpGuestNetwork("alone"));
	t.strictSame(guest, { nics: [], text: "hostname alone\n" });
	release(t, pod, before);
});

t.test("a guest on a bridge, on ptp and macvlan", { skip: !fs.existsSync(UML) }, async (t) => {
	const ranges = [[{ subnet: "10.77.6.0/24" }], [{ subnet: "fd77:6::/64" }]];
	const routes = [{ dst: "0.0.0.0/0" }, { dst: "::/0" }];
	host.configure("10-br.conf", {
		...{ cniVersion: "0.4.0", name: "br", type: "bridge", bridge: "rktbr", isGateway: true, mtu: 1400 },
		...{ ipMasq: true, ipam: { type: "host-local", ranges, routes } },
	});
	host.configure("20-pp.conf", {
		...{ cniVersion: "0.4.0", name: "pp", type: "ptp" },
		ipam: { type: "host-local", subnet: "10.77.7.0/24" },
	});
	// A host cannot reach its own macvlan through the device below: it is asked at the other end of that.
	const ipam = { type: "host-local", subnet: "10.77.8.0/24", rangeStart: "10.77.8.10" };
	host.configure("30-mv.conf", { cniVersion: "0.4.0", name: "mv", type: "macvlan", master: "ext0", ipam });
	command("ip", "addr", "add", "10.77.8.1/24", "dev", "far0");
	const before = traces();
	await boot("br,pp", async (ask, pod, report) => {
		t.match(report, /mtu 1400/);
		// Only left out, with a line on the console, when the kernel has none.
		if (moduleFiles().length > 0) {
			t.match(report, /inet6 fd77:6::2\/64/);
			t.match(report, /default via fd77:6::1 dev eth0/);
			t.match(report, /\nfd77:6::\/64 dev eth0 {2}metric 256 ?\n/);
			t.equal(await ask("[fd77:6::2]:8080"), PAGE);
		}
		t.match(report, /default via 10\.77\.6\.1 dev eth0/);
		// As ptp has it: others on that network are behind the host.
		t.match(report, /10\.77\.7\.0\/24 via 10\.77\.7\.1 dev eth1 {2}src 10\.77\.7\.2 ?\n/);
		t.match(report, /\nguest\n$/);
		t.equal(await ask("10.77.6.2:8080"), PAGE);
		t.equal(await ask("10.77.7.2:8080"), PAGE);
		t.equal(await ask("127.0.0.1:18080"), PAGE);
		const { namespace } = pod;
		t.equal(command("ip", "netns", "exec", path.basename(namespace), "ss", "-Hltn"), "");
	});
	// Plugins leave their bridges.
	command("ip", "link", "delete", "rktbr");
	t.strictSame(traces(), before);
	await boot("mv", async (ask, _pod, report) => {
		t.equal(await ask("10.77.8.10:8080"), PAGE);
		t.match(report, /198\.51\.100\.0\/24 via 192\.0\.2\.1 dev eth0 onlink/);
	});
	t.strictSame(traces(), before);
});

type Ask = (place: string) => Promise<string>;

async function boot(
	net: string,
	check: (ask: Ask, pod: { namespace: string }, report: string) => Promise<unknown>,
): Promise<void> {
	const pod = host.makePod();
	const ports = net.startsWith("br") ? ([{ protocol: "tcp", hostPort: 18080, podPort: 8080 }] as const) : [];
	const { namespace = "" } = pod.setUp(net, ports);
	const root = makeRoot(pod.podDirectory);
	const guest = await inside(namespace, async () => {
		if (net === "mv")
			command("ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.1", "dev", "eth0", "onlink");
		const { nics, text } = setUpGuestNetwork("guest");
		fs.writeFileSync(path.join(root, "rkt/vm/network"), text);
		return startGuest(pod.podDirectory, root, nics);
	});
	try {
		const report = path.join(root, "report");
		await waitFor("the report of the guest", () => {
			if (guest.exitCode !== null)
				throw new Error(fs.readFileSync(path.join(pod.podDirectory, "console"), "utf8"));
			return fs.existsSync(report);
		});
		await check(fetchPage, { namespace }, fs.readFileSync(report, "utf8"));
	} finally {
		if (guest.exitCode === null) {
			process.kill(-(guest.pid as number), "SIGKILL");
			await once(guest, "exit");
		}
		pod.unlock();
		pod.tearDown();
	}
}

/** The pod's directory is the working directory. Nothing is where it would be in the jail of the monitor. */
function startGuest(
	podDirectory: string,
	root: string,
	nics: ReturnType<typeof setUpGuestNetwork>["nics"],
): ChildProcess {
	const own = process.cwd();
	process.chdir(podDirectory);
	try {
		const machine = { uuid: "guest", root, programs: "/none", memoryMiB: 128, cpus: 1, nics, debug: true };
		const output = fs.openSync(path.join(podDirectory, "console"), "w");
		const nothing = fs.openSync("/dev/null", "r+");
		const words = umlArguments({ ...machine, disks: [], parameters: [], environment: {} }).map((word) =>
			word.replace("=/pod/stage1/rootfs", `=${root}`).replace("uml_dir=/pod", `uml_dir=${podDirectory}`),
		);
		return spawn(UML, words, {
			...{ stdio: ["ignore", output, output, nothing], detached: true },
			env: { TMPDIR: "/dev/shm" },
		});
	} finally {
		process.chdir(own);
	}
}

/** The real init and what it reads, with a script in the place of systemd. */
function makeRoot(directory: string): string {
	const root = path.join(directory, "root");
	const folders = "bin dev dev/pts dev/shm proc sys run tmp www rkt/vm usr/lib/systemd";
	for (const name of folders.split(" ")) fs.mkdirSync(path.join(root, name), { recursive: true });
	fs.copyFileSync("/usr/bin/busybox", path.join(root, "bin/busybox"));
	fs.writeFileSync(path.join(root, "www/index.html"), PAGE);
	fs.writeFileSync(path.join(root, "usr/lib/systemd/systemd"), SCRIPT, { mode: 0o755 });
	compileProgram("init", path.join(root, "rkt/vm"), process.cwd());
	fs.mkdirSync(path.join(root, "rkt/vm/modules"));
	for (const name of ["sysctl", "mounts"]) fs.writeFileSync(path.join(root, "rkt/vm", name), "");
	const image = path.join(distDirectory(), "stage1-kvm-uml.aci");
	command("tar", "-C", root, "--strip-components=1", "-xf", image, "rootfs/rkt/seccomp");
	for (const file of moduleFiles())
		fs.copyFileSync(file, path.join(root, "rkt/vm/modules", path.basename(file)));
	const order = moduleFiles().map((file) => `${path.basename(file)}\n`);
	fs.writeFileSync(path.join(root, "rkt/vm/modules/order"), order.join(""));
	return root;
}

/** IPv6 of Debian's kernel, with what it needs before it; none when it is not where it is expected. */
function moduleFiles(): string[] {
	const all = "/usr/lib/uml/modules";
	const [release = ""] = fs.existsSync(all) ? fs.readdirSync(all) : [];
	const files = ["lib/crc-ccitt.ko", "net/ipv6/ipv6.ko"].map((name) =>
		path.join(all, release, "kernel", name),
	);
	return files.every((file) => fs.existsSync(file)) ? files : [];
}

/**
 * The guest has said what it has a moment before it serves, and the host looks for duplicates of its own IPv6 address on
 * a new bridge for a second or two, in which a connection may begin with another one.
 */
async function fetchPage(place: string): Promise<string> {
	let answer = "";
	await waitFor(`an answer of ${place}`, async () => {
		answer = await fetchOnce(place);
		return !/ECONNREFUSED|TimeoutError/.test(answer);
	});
	return answer;
}

async function fetchOnce(place: string): Promise<string> {
	try {
		const answer = await fetch(`http://${place}/`, { signal: AbortSignal.timeout(2000) });
		return await answer.text();
	} catch (error) {
		return String((error as Error).cause ?? error);
	}
}

function release(t: Test, pod: TestPod, before: string[]): void {
	pod.unlock();
	pod.tearDown();
	t.strictSame(traces(), before);
}
