import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";
import t from "tap";
import {
	BUSYBOX,
	type BusyboxHost,
	createBusyboxHost,
	firstUuid,
	outputLines,
} from "../support/busybox-host.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { imageManifest, makeAci } from "../support/make-aci.ts";
import { enterPrivateHost } from "../support/private-host.ts";

enterPrivateHost();

/** Writes down everything that stage0 hands over, and does the least that the interface asks for. */
const RECORDER = `#!/bin/sh
exec >"$RECORD/run"
echo "argv0=$0"
for word in "$@"; do echo "arg=$word"; done
echo "cwd=$(pwd)"
echo "lock=$(readlink /proc/self/fd/$RKT_LOCK_FD)"
flock --shared --nonblock --command true "$(pwd)" 2>/dev/null && echo "not locked"
ls /proc/self/fd | sed 's/^/fd=/'
env | grep -E '^(RKT_|FROM_CALLER)' | sed 's/^/env=/'
echo "parent=$PPID"
sed -n 's/^flags:\\s*/stderr=/p' /proc/self/fdinfo/2
echo $$ >ppid
for app in stage1/rootfs/opt/stage2/*; do echo 6 >"stage1/rootfs/rkt/status/\${app##*/}"; done
ln -s ready stage1/rootfs/rkt/supervisor-status
exit 6
`;

const GC_RECORDER = `#!/bin/sh
{ for word in "$@"; do echo "arg=$word"; done; echo "cwd=$(pwd)"; } >"$RECORD/gc"
`;

t.test("the stage1 interface", async (t) => {
	const host = await createBusyboxHost("stage1");
	t.teardown(() => host.remove());
	const record = path.join(host.directory, "record");
	fs.mkdirSync(record);
	const environment = { RECORD: record, FROM_CALLER: "yes" };
	const recorded = (name: string): string[] =>
		fs.readFileSync(path.join(record, name), "utf8").trim().split("\n");

	t.test("run and gc of a foreign stage1 get what the interface promises", async (t) => {
		const image = await makeRecorder(host, "6");
		const flags = ["--net=none", "--hostname=box", "--dns=10.0.0.1", `--stage1-path=${image}`];
		const result = await host.rkt(["--insecure-options=image,seccomp", "run", ...flags, BUSYBOX], {
			environment,
		});
		t.equal(result.status, 6, { stderr: result.stderr });
		const lines = recorded("run");
		const uuid = firstUuid(lines.join("\n"));
		const pod = path.join(fs.realpathSync(host.dataDirectory), "pods/run", uuid);
		t.strictSame(
			lines.filter((line) => line.startsWith("arg=")),
			[
				"arg=--net=none",
				`arg=--local-config=${host.configDirectory}`,
				"arg=--hostname=box",
				"arg=--dns-conf-mode=resolv=stage0,hosts=default",
				"arg=--disable-seccomp",
				`arg=${uuid}`,
			],
		);
		t.ok(lines.includes(`cwd=${pod}`), lines.join("\n"));
		t.ok(lines.includes(`lock=${pod}`), "the lock is on the pod directory");
		t.notOk(lines.includes("not locked"));
		t.ok(lines.includes("env=FROM_CALLER=yes"));
		const stderrFlags = Number.parseInt(lines.find((line) => line.startsWith("stderr="))?.slice(7) ?? "", 8);
		t.equal(stderrFlags & fs.constants.O_NONBLOCK, 0, "standard error is left as it was");
		t.ok(lines.includes("env=RKT_SELINUX_CONTEXT="));
		t.match((await host.rkt(["status", uuid])).stdout, /state=exited[\s\S]*app-busybox=6/);

		const collected = await host.rkt(["gc", "--grace-period=0s"], { environment });
		t.equal(collected.status, 0, { stderr: collected.stderr, stdout: collected.stdout });
		t.strictSame(recorded("gc"), [
			"arg=--local-config",
			`arg=${host.configDirectory}`,
			`arg=${uuid}`,
			`cwd=${pod.replace("/run/", "/exited-garbage/")}`,
		]);
	});

	t.test("an old stage1 does not get what it would not understand", async (t) => {
		const image = await makeRecorder(host, "1");
		const flags = ["--net=none", "--hostname=box", "--ipc=private", `--stage1-path=${image}`];
		const result = await host.rkt(["--insecure-options=image", "run", ...flags, BUSYBOX], { environment });
		t.equal(result.status, 6, { stderr: result.stderr });
		t.notMatch(recorded("run").join("\n"), /hostname|ipc/);
		t.match(result.stderr, /hostname/, "the user is told");
	});

	t.test("--private-users is not needed where pods have users of their own", async (t) => {
		const pod = ["--private-users", "--stage1-image=kvm-uml"];
		const result = await host.shell("cat /proc/self/uid_map; stat -c %u /bin/sh", { pod });
		t.equal(result.status, 0, result.stderr);
		t.match(
			result.stderr,
			/^run: --private-users has no effect: pods of \S+kvm-uml have users of their own/m,
		);
		t.equal(result.stderr.match(/private-users/g)?.length, 1, "one line");
		t.match(outputLines(result), [/^\s+0\s+0\s+4294967295$/, "0"]);
	});

	t.test("a stage1 without entry points is refused, and what it lacks is named", async (t) => {
		const file = path.join(host.directory, "empty-stage1.aci");
		await makeAci(file, { manifest: imageManifest("example.com/empty-stage1", { app: null }), files: {} });
		const result = await host.rkt(["--insecure-options=image", "run", `--stage1-path=${file}`, BUSYBOX]);
		t.equal(result.status, 254);
		t.match(result.stderr, /coreos\.com\/rkt\/stage1\/run/);
	});

	t.test("the module and the executables of our stage1 do the same", async (t) => {
		const image = await withoutModule(host);
		const script = "echo to stdout; env | sort; id; exit 13";
		const byModule = await host.shell(script);
		const flags = { pod: [`--stage1-path=${image}`, "--insecure-options=image"] };
		const byExecutable = await host.shell(script, flags);
		t.equal(byModule.status, 13, byModule.stderr);
		t.equal(byExecutable.status, 13, byExecutable.stderr);
		t.strictSame(outputLines(byExecutable), outputLines(byModule));
		const collected = await host.rkt(["gc", "--grace-period=0s"]);
		t.equal(collected.status, 0, { stderr: collected.stderr });
		t.equal((await host.rkt(["list", "--no-legend"])).stdout, "");
	});
});

function makeRecorder(host: BusyboxHost, version: string): Promise<string> {
	const file = path.join(host.directory, `recorder-${version}.aci`);
	const annotations = [
		{ name: "coreos.com/rkt/stage1/run", value: "/run" },
		{ name: "coreos.com/rkt/stage1/gc", value: "/gc" },
		{ name: "coreos.com/rkt/stage1/interface-version", value: version },
	];
	const manifest = { ...imageManifest(`example.com/recorder-${version}`, { app: null }), annotations };
	const files = { run: { text: RECORDER, mode: 0o755 }, gc: { text: GC_RECORDER, mode: 0o755 } };
	return makeAci(file, { manifest, files }).then(() => file);
}

/** Our stage1 image as another stage0 sees it. */
async function withoutModule(host: BusyboxHost): Promise<string> {
	const directory = path.join(host.directory, "stage1-image");
	fs.mkdirSync(directory);
	await execa("tar", ["-xpf", path.join(distDirectory(), "stage1-nspawn.aci"), "-C", directory]);
	const file = path.join(directory, "manifest");
	const manifest = JSON.parse(fs.readFileSync(file, "utf8"));
	manifest.annotations = manifest.annotations.filter(
		(one: { name: string }) => one.name !== "rkt.io/stage1/module",
	);
	fs.writeFileSync(file, JSON.stringify(manifest));
	await execa("tar", ["-cf", `${directory}.aci`, "-C", directory, "manifest", "rootfs"]);
	return `${directory}.aci`;
}
