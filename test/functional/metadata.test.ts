import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { ResultPromise } from "execa";
import t from "tap";
import {
	BUSYBOX,
	type BusyboxHost,
	createBusyboxHost,
	firstUuid,
	outputLines,
} from "../support/busybox-host.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

enterPrivateHost();
const wasThere = fs.existsSync("/run/rkt");
fs.mkdirSync("/run/rkt", { recursive: true });
spawnSync("mount", ["-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run/rkt"]);
t.teardown(() => {
	spawnSync("umount", ["/run/rkt"]);
	if (!wasThere) fs.rmdirSync("/run/rkt");
});

const SOCKET = "/run/rkt/metadata-svc.sock";
const WGET = "/bin/busybox wget -q -O -";
const NOTHING = /could not reach the metadata service/;

interface Service {
	readonly child: ResultPromise;
	readonly log: () => string;
}

async function startService(host: BusyboxHost): Promise<Service> {
	const child = host.start(["metadata-service"]);
	let log = "";
	child.stderr?.on("data", (chunk) => {
		log += chunk;
	});
	await waitFor("the metadata service", () => /running on port 18112/.test(log));
	return { child, log: () => log };
}

/** Everything that the machine shows of tokens while the pod runs. */
function visibleCommandLines(): string {
	const pids = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
	return pids
		.map((pid) => {
			try {
				return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8");
			} catch {
				return "";
			}
		})
		.join("\n");
}

t.test("metadata of a pod", async (t) => {
	const host = await createBusyboxHost("metadata");
	t.teardown(() => host.remove());

	t.test("without a service nothing is fetched, made or changed", async (t) => {
		const words = host.shellWords("true", { pod: ["--net=host", "--mds-register"] });
		const result = await host.rkt(["run", ...words]);
		t.equal(result.status, 254);
		t.match(result.stderr, NOTHING);
		t.match(result.stderr, /hint: .*rkt-metadata\.socket/);
		t.equal((await host.rkt(["list", "--no-legend"])).stdout, "");
		const prepared = (await host.rkt(["prepare", "--quiet", BUSYBOX, "--exec=/bin/true"])).stdout.trim();
		const again = await host.rkt(["run-prepared", "--net=host", "--mds-register", prepared]);
		t.equal(again.status, 254);
		t.match(again.stderr, NOTHING);
		t.match((await host.rkt(["status", prepared])).stdout, /state=prepared/);
		t.notOk(fs.existsSync(path.join(host.dataDirectory, "pods/prepared", prepared, "mds-registered")));
		await host.rkt(["rm", prepared]);
	});

	t.test("an app reads and signs over the default network, and over the host's", async (t) => {
		const service = await startService(host);
		for (const [net, address] of [
			["--net=default", "172.16.28.1"],
			["--net=default-restricted", "172.31.0.1"],
			["--net=host", "127.0.0.1"],
		] as const) {
			const script = [
				'echo "url=$AC_METADATA_URL app=$AC_APP_NAME"',
				"B=$AC_METADATA_URL/acMetadata/v1",
				`${WGET} $B/pod/uuid; echo`,
				`${WGET} $B/apps/$AC_APP_NAME/image/id; echo`,
				`${WGET} $B/apps/$AC_APP_NAME/image/manifest | grep -o example.com/busybox`,
				`${WGET} $B/pod/manifest | grep -c PodManifest`,
				`S=$(${WGET} --post-data content=hello $B/pod/hmac/sign | sed 's/+/%2B/g')`,
				`U=$(${WGET} $B/pod/uuid)`,
				`${WGET} --post-data "content=hello&uuid=$U&signature=$S" $B/pod/hmac/verify && echo good`,
				`${WGET} --post-data "content=hell0&uuid=$U&signature=$S" $B/pod/hmac/verify || echo bad`,
			];
			const result = await host.shell(script.join("\n"), { pod: [net, "--mds-register"] });
			t.equal(result.status, 0, { stderr: result.stderr, stdout: result.stdout });
			const lines = outputLines(result);
			const uuid = firstUuid(lines[1] as string);
			t.match(lines[0], new RegExp(`^url=http://${address}:18112/[0-9a-f]{32} app=busybox$`), net);
			const rest = lines.slice(1).filter((line) => !/403 Forbidden/.test(line));
			t.same(
				rest,
				[uuid, `sha512-${host.imageId.replace(/^sha512-/, "")}`, BUSYBOX, "1", "good", "bad"],
				net,
			);
			t.ok(service.log().includes(`GET /${uuid}/acMetadata/v1/pod/uuid - 200`));
			const token = /18112\/([0-9a-f]{32})/.exec(lines[0] as string)?.[1] as string;
			t.notOk(service.log().includes(token), "no token in the log");
			const file = `/run/rkt/metadata/pods/${uuid}.json`;
			t.ok(fs.existsSync(file), "registered until it is collected");
			t.equal((await host.rkt(["rm", uuid])).status, 0);
			t.notOk(fs.existsSync(file));
			t.match(service.log(), new RegExp(`DELETE /pods/${uuid} - 200`));
		}
		service.child.kill("SIGTERM");
		t.equal((await service.child).exitCode, 0);
		t.notOk(fs.existsSync(SOCKET));
	});

	t.test("a prepared pod, a service that is restarted, and gc without a service", async (t) => {
		const first = await startService(host);
		const script = "echo $AC_METADATA_URL >/dev/console; exec sleep 100";
		const prepared = await host.rkt(["prepare", "--quiet", BUSYBOX, "--exec=/bin/sh", "--", "-c", script]);
		const uuid = firstUuid(prepared.stdout);
		const pod = host.start(["run-prepared", "--net=default", "--mds-register", uuid]);
		const directory = path.join(host.dataDirectory, "pods/run", uuid);
		await waitFor("the pod", async () => /pid=\d/.test((await host.rkt(["status", uuid])).stdout));
		const config = path.join(directory, "runtime-config");
		const token = JSON.parse(fs.readFileSync(config, "utf8")).MDSToken as string;
		t.match(token, /^[0-9a-f]{32}$/);
		t.equal(fs.statSync(config).mode & 0o777, 0o600);
		t.notOk(visibleCommandLines().includes(token), "no process shows it");
		const inPod = `${WGET} $AC_METADATA_URL/acMetadata/v1/pod/uuid`;
		const ask = (): Promise<string> =>
			host.rkt(["enter", uuid, "/bin/sh", "-c", inPod]).then((result) => result.stdout.trim());
		t.equal(await ask(), uuid, "a command of rkt enter too");
		first.child.kill("SIGKILL");
		await first.child;
		const second = await startService(host);
		t.equal(await ask(), uuid, "a killed service is replaced by one that knows the pod");
		second.child.kill("SIGINT");
		t.equal((await second.child).exitCode, 0);
		await host.rkt(["stop", "--force", uuid]);
		await pod;
		await host.rkt(["gc", "--grace-period=0s"]);
		const collected = await host.rkt(["gc", "--grace-period=0s"]);
		t.notMatch(collected.stderr, /unregister/);
		t.notOk(fs.existsSync(`/run/rkt/metadata/pods/${uuid}.json`), "the next service would not know it");
		t.notOk(fs.existsSync(directory));
	});

	t.test("killed after the registration, the pod is unregistered by gc", async (t) => {
		const service = await startService(host);
		const words = host.shellWords("true", { pod: ["--net=host", "--mds-register"] });
		const environment = { RKT_CRASH_AT: "run-begun" };
		const killed = await host.rkt(["run", ...words], { testBuild: true, environment });
		t.equal(killed.status, 137);
		t.equal(fs.readdirSync("/run/rkt/metadata/pods").length, 1);
		await host.rkt(["gc", "--grace-period=0s"]);
		await host.rkt(["gc", "--grace-period=0s"]);
		t.same(fs.readdirSync("/run/rkt/metadata/pods"), []);
		service.child.kill();
		await service.child;
	});
});
