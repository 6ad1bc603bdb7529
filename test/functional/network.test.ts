import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { type BusyboxHost, createBusyboxHost, outputLines } from "../support/busybox-host.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { readFrom } from "../support/read-from.ts";

enterPrivateHost();

t.test("networks of a pod", async (t) => {
	const host = await createBusyboxHost("network");
	t.teardown(() => host.remove());

	t.test("--net=none leaves the loopback interface only", async (t) => {
		const result = await host.shell("ip -o link | wc -l; ip -o addr show lo");
		t.match(result.stdout, /127\.0\.0\.1/);
		t.match(outputLines(result)[0], /1$/);
	});

	t.test("--net=host is the caller's network", async (t) => {
		const inside = await host.shell("readlink /proc/self/ns/net", { pod: ["--net=host"] });
		t.ok(inside.stdout.includes(fs.readlinkSync("/proc/self/ns/net")), inside.stdout);
	});

	t.test(
		"the default network gives an address, a route and a name server of the caller's choice",
		async (t) => {
			const flags = ["--net", "--dns=10.9.8.7", "--dns-search=example.test", "--hosts-entry=10.1.2.3=friend"];
			const result = await host.shell("ip -o -4 addr show eth0; ip route; cat /etc/resolv.conf /etc/hosts", {
				pod: flags,
			});
			t.equal(result.status, 0, { stderr: result.stderr });
			t.match(result.stdout, /172\.16\.28\.\d+/);
			t.match(result.stdout, /default via 172\.16\.28\.1/);
			t.match(result.stdout, /nameserver 10\.9\.8\.7/);
			t.match(result.stdout, /search example\.test/);
			t.match(result.stdout, /10\.1\.2\.3\s+friend/);
		},
	);

	t.test("a network of net.d is chosen by its name", async (t) => {
		const directory = path.join(host.configDirectory, "net.d");
		fs.mkdirSync(directory, { recursive: true });
		const ipam = { type: "host-local", subnet: "10.77.1.0/24", routes: [{ dst: "0.0.0.0/0" }] };
		const conf = {
			cniVersion: "0.4.0",
			name: "blue",
			type: "bridge",
			bridge: "rktblue",
			isGateway: true,
			ipMasq: true,
			ipam,
		};
		fs.writeFileSync(path.join(directory, "10-blue.conf"), JSON.stringify(conf));
		const result = await host.shell("ip -o -4 addr", { pod: ["--net=blue"] });
		t.match(result.stdout, /10\.77\.1\.\d+/, result.stderr);
		const unknown = await host.shell("true", { pod: ["--net=green"] });
		t.equal(unknown.status, 254);
		t.match(unknown.stderr, /green/);
	});

	t.test("a forwarded port answers on 127.0.0.1 and on another address of the machine", async (t) => {
		await host.addImage("example.com/server", {
			app: {
				exec: ["/bin/nc", "-ll", "-p", "8080", "-e", "/bin/echo", "hello from the pod"],
				ports: [{ name: "web", protocol: "tcp", port: 8080 }],
			},
		});
		const pod = host.start(["run", "--net", "--port=web:18080", "example.com/server"]);
		t.match(await readFrom("127.0.0.1", 18080), /hello from the pod/);
		t.match(await readFrom("172.16.28.1", 18080), /hello from the pod/, "the machine's side of the link");
		const taken = await host.rkt(["run", "--net", "--port=web:18080", "example.com/server"]);
		t.equal(taken.status, 254, "the same port a second time");
		t.match(taken.stderr, /18080/);
		await stopAll(host);
		await pod;
	});

	t.test("two pods at once have different addresses and reach each other", async (t) => {
		const words = ["run", "--net", "example.com/server", "--exec=/bin/sh", "--", "-c"];
		const script = "ip -o -4 addr show eth0; exec nc -ll -p 8080 -e /bin/hostname";
		const pods = [host.start([...words, script]), host.start([...words, script])];
		const addresses = await waitForAddresses(host, 2);
		t.equal(new Set(addresses).size, 2, addresses.join(", "));
		for (const address of addresses) t.match(await readFrom(address, 8080), /rkt-/);
		const third = await host.shell(`nc ${addresses[0]} 8080 </dev/null`, { pod: ["--net"] });
		t.match(third.stdout, /rkt-/);
		await stopAll(host);
		await Promise.all(pods);
	});

	t.test("ports need a network, and a name that an app has", async (t) => {
		for (const [flags, word] of [
			[["--net=none", "--port=web:1"], /net/],
			[["--net=host", "--port=web:1"], /net/],
			[["--net", "--port=nothing:18081"], /nothing/],
		] as const) {
			const result = await host.rkt(["run", ...flags, "example.com/server"]);
			t.equal(result.status, 254, flags.join(" "));
			t.match(result.stderr, word);
		}
	});

	t.test("what a network brought is gone after gc", async (t) => {
		await host.shell("true", { pod: ["--net"] });
		await host.rkt(["gc", "--grace-period=0s"]);
		const list = await host.rkt(["list", "--no-legend"]);
		t.equal(list.stdout, "");
	});
});

async function waitForAddresses(host: BusyboxHost, count: number): Promise<string[]> {
	const deadline = Date.now() + 20_000;
	for (;;) {
		const list = (await host.rkt(["list", "--full", "--no-legend"])).stdout.split("\n");
		const running = list.filter((line) => line.includes("running"));
		const addresses = running.flatMap((line) => /ip4=([0-9.]+)/.exec(line)?.[1] ?? []);
		if (addresses.length >= count || Date.now() > deadline) return addresses;
		await new Promise((resolve) => setTimeout(resolve, 100));
	}
}

async function stopAll(host: BusyboxHost): Promise<void> {
	const list = (await host.rkt(["list", "--full", "--no-legend"])).stdout.split("\n");
	const running = list
		.filter((line) => line.includes("running"))
		.map((line) => line.split(/\s/)[0] as string);
	await host.rkt(["stop", "--force", ...running]);
	for (const uuid of running) await host.rkt(["status", "--wait=20s", uuid]);
}
