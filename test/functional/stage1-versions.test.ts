import { spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";
import t, { type Test } from "tap";
import { BUSYBOX, type BusyboxHost, createBusyboxHost } from "../support/busybox-host.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { collect } from "../support/fake-machine.ts";
import { imageManifest, makeAci } from "../support/make-aci.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

/*
 * stage1 images as they were made for rkt 1.x under our stage0, and ours under a stage0 that is not ours: what both sides
 * hand over is what docs/stage1.md says for each version of the interface.
 */

enterPrivateHost();
const runRkt = "/run/rkt";
const wasThere = fs.existsSync(runRkt);
fs.mkdirSync(runRkt, { recursive: true });
spawnSync("mount", ["-t", "tmpfs", "-o", "mode=755", "tmpfs", runRkt]);
t.teardown(() => {
	spawnSync("umount", [runRkt]);
	if (!wasThere) fs.rmdirSync(runRkt);
});

/** Patterns of the shell for the flags of `run`, by the version that brought them. */
const RUN_FLAGS: readonly (readonly [since: number, pattern: string])[] = [
	[1, "--debug|--net=*|--interactive|--private-users=*|--mds-token=*|--local-config=*"],
	[2, "--hostname=*"],
	[3, "--disable-capabilities-restriction|--disable-paths|--disable-seccomp"],
	[4, "--dns-conf-mode=*"],
	[5, "--mutable"],
	[6, "--ipc=*"],
];

/** Writes down what it was given. */
const RECORD = `record() {
	name=$1; shift
	{
		echo "argv0=$0"
		for word in "$@"; do echo "arg=$word"; done
		echo "cwd=$(pwd)"
		readlink /proc/self/fd/* | sed 's/^/fd=/'
		env | grep -E '^(RKT_|FROM_CALLER|LISTEN_)' | sort | sed 's/^/env=/'
		flock --nonblock . true && echo "not locked"
		sed -n 's/^flags:\\s*/stderr=/p' /proc/self/fdinfo/2
	} >"$RECORD/$name.new"
	mv "$RECORD/$name.new" "$RECORD/$name"
}
`;

/** As strict as Go's flag package, which rkt's own stage1 images use. */
const runScript = (version: number): string => `#!/bin/bash
${RECORD}
record run "$@"
for word; do
	case $word in
		${RUN_FLAGS.filter(([since]) => since <= version)
			.map(([, pattern]) => pattern)
			.join("|")}) ;;
		-*) echo "flag provided but not defined: $word" >&2; exit 2 ;;
	esac
done
sleep 600 {RKT_LOCK_FD}>&- &
trap 'kill $!; echo 6 >stage1/rootfs/rkt/status/busybox; exit 6' TERM
ln -s ready stage1/rootfs/rkt/supervisor-status
echo $$ >pid
wait
`;
const ENTER = `#!/bin/sh\n${RECORD}record enter "$@"; cat; exit 7\n`;
const STOP = `#!/bin/sh
${RECORD}record "stop$#" "$@"
echo "stop says"
[ $# = 1 ] && exit 3
kill $(cat pid)
`;
const GC = `#!/bin/sh\n${RECORD}record gc "$@"; echo gc says; echo gc complains >&2\n`;

interface Recorder {
	/** As in the annotation; undefined without one, which means 1. */
	readonly annotation: string | undefined;
	readonly version: number;
	readonly image: string;
	/** Where it writes. */
	readonly directory: string;
}

async function makeRecorder(host: BusyboxHost, annotation: string | undefined): Promise<Recorder> {
	const name = `recorder-${annotation ?? "none"}`;
	const directory = path.join(host.directory, name);
	fs.mkdirSync(directory);
	const version = Number(annotation ?? 1);
	const scripts = { run: runScript(version), enter: ENTER, stop: STOP, gc: GC };
	const prefix = "coreos.com/rkt/stage1";
	const annotations = [
		...Object.keys(scripts).map((one) => ({ name: `${prefix}/${one}`, value: `/bin/${one}` })),
		...(annotation === undefined ? [] : [{ name: `${prefix}/interface-version`, value: annotation }]),
	];
	const files = Object.entries(scripts).map(([one, text]) => [`bin/${one}`, { text, mode: 0o755 }]);
	const manifest = { ...imageManifest(`example.com/${name}`, { app: null }), annotations };
	await makeAci(`${directory}.aci`, { manifest, files: Object.fromEntries(files) });
	return { annotation, version, image: `${directory}.aci`, directory };
}

/** What an entry point was given, by kind. */
interface Handed {
	readonly argv0: string;
	readonly args: readonly string[];
	readonly cwd: string;
	readonly fds: readonly string[];
	readonly environment: readonly string[];
	readonly locked: boolean;
	/** Status flags of standard error. */
	readonly stderr: number;
}

function readHanded({ directory }: Recorder, name: string): Handed {
	const lines = fs.readFileSync(path.join(directory, name), "utf8").trim().split("\n");
	const all = (key: string): string[] =>
		lines.filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1));
	return {
		argv0: all("argv0")[0] ?? "",
		args: all("arg"),
		cwd: all("cwd")[0] ?? "",
		// Pipes are those of this test.
		fds: all("fd").filter((target) => !/^(pipe|socket|anon_inode|\/dev\/null|\/proc\/)/.test(target)),
		environment: all("env"),
		locked: !lines.includes("not locked"),
		stderr: Number.parseInt(all("stderr")[0] ?? "", 8),
	};
}

t.test("images for rkt 1.x under our stage0", async (t) => {
	const host = await createBusyboxHost("versions");
	t.teardown(() => host.remove());
	const service = host.start(["metadata-service"]);
	let log = "";
	service.stderr?.on("data", (chunk) => {
		log += chunk;
	});
	await waitFor("the metadata service", () => /running on port 18112/.test(log));
	t.teardown(async () => {
		service.kill();
		await service;
	});
	const recorders = await Promise.all(
		[undefined, "1", "2", "3", "4", "5", "6"].map((annotation) => makeRecorder(host, annotation)),
	);
	const pods = new Map<Recorder, string>();
	for (const recorder of recorders) {
		await t.test(`interface version ${recorder.annotation ?? "1, unsaid"}`, async (t) => {
			pods.set(recorder, await checkLife(t, host, recorder));
		});
	}

	t.test("gc", async (t) => {
		for (const [recorder, uuid] of pods) {
			const environment = { FROM_CALLER: "yes", RECORD: recorder.directory };
			const result = await host.rkt(["--debug", "rm", uuid], { environment });
			t.equal(result.status, 0, result.stderr);
			t.equal(result.stdout, `"${uuid}"\n`, "what gc prints is not rkt's output");
			t.match(result.stderr, /^gc complains$/m);
			const handed = readHanded(recorder, "gc");
			const directory = path.join(fs.realpathSync(host.dataDirectory), "pods/exited-garbage", uuid);
			const local = recorder.version >= 5 ? ["--local-config", host.configDirectory] : [];
			t.strictSame(handed.args, ["--debug", ...local, uuid]);
			t.match(handed, { cwd: directory, locked: true });
			t.strictSame(handed.environment, ["FROM_CALLER=yes"]);
			t.strictSame(handed.fds, []);
			t.match(handed.argv0, inTree(host, "gc"));
		}
		t.equal((await host.rkt(["list", "--no-legend"])).stdout, "");
	});

	t.test("a version that is no integer is refused", async (t) => {
		const recorder = await makeRecorder(host, "6.1");
		const words = ["--insecure-options=image", "run", `--stage1-path=${recorder.image}`, BUSYBOX];
		const result = await host.rkt(words);
		t.equal(result.status, 254);
		t.match(result.stderr, /interface-version is no integer: 6\.1/);
	});
});

/** `run`, `enter` and `stop` with everything that a version knows and does not know; gives the UUID of the pod. */
async function checkLife(t: Test, host: BusyboxHost, recorder: Recorder): Promise<string> {
	const { version, image, directory } = recorder;
	const environment = { RECORD: directory, FROM_CALLER: "yes" };
	const uuidFile = path.join(directory, "uuid");
	const pod = host.start(
		[
			...["--debug", "--insecure-options=image,capabilities,paths,seccomp", "run", `--stage1-path=${image}`],
			...["--net=host", "--interactive", "--private-users", "--mds-register", "--hostname=box"],
			...["--dns=10.0.0.1", "--hosts-entry=host", "--ipc=parent", `--uuid-file-save=${uuidFile}`, BUSYBOX],
		],
		{ environment },
	);
	await Promise.race([pod, waitFor("run", () => fs.existsSync(path.join(directory, "run")))]);
	const uuid = fs.readFileSync(uuidFile, "utf8");
	const inRun = path.join(fs.realpathSync(host.dataDirectory), "pods/run", uuid);
	const lines = (await host.rkt(["status", "--wait-ready=20s", uuid])).stdout;
	t.match(lines, new RegExp(`^state=running\n[\\s\\S]*^pid=${pod.pid}$`, "m"), "stage1 is rkt's process");

	const run = readHanded(recorder, "run");
	const args = run.args.map((word) =>
		word.replace(/^--private-users=\d+:65536$/, "--private-users=RANGE").replace(/=[0-9a-f]{32}$/, "=TOKEN"),
	);
	const since = (first: number, ...words: string[]): string[] => (version >= first ? words : []);
	t.strictSame(args, [
		...["--debug", "--net=host", "--interactive", "--private-users=RANGE", "--mds-token=TOKEN"],
		`--local-config=${host.configDirectory}`,
		...since(2, "--hostname=box"),
		...since(4, "--dns-conf-mode=resolv=stage0,hosts=host"),
		...since(3, "--disable-capabilities-restriction", "--disable-paths", "--disable-seccomp"),
		...since(6, "--ipc=parent"),
		uuid,
	]);
	t.equal(run.argv0, path.join(inRun, "stage1/rootfs/bin/run"));
	t.equal(run.cwd, inRun);
	t.ok(run.locked);
	t.strictSame(run.fds, [inRun], "the lock and nothing else");
	t.equal(run.stderr & fs.constants.O_NONBLOCK, 0, "standard error is left as it was");
	const [caller, lock, ...labels] = run.environment;
	t.equal(caller, "FROM_CALLER=yes");
	t.match(lock, /^RKT_LOCK_FD=\d+$/);
	t.strictSame(labels, ["RKT_SELINUX_CONTEXT=", "RKT_SELINUX_MOUNT_CONTEXT="]);

	const words = ["enter", uuid, "/bin/echo", "two words", "--x"];
	const entered = await host.rkt(words, { environment, input: "typed" });
	t.match(entered, { status: 7, stdout: "typed" }, entered.stderr);
	const enter = readHanded(recorder, "enter");
	t.strictSame(enter.args, [`--pid=${pod.pid}`, "--appname=busybox", "--", "/bin/echo", "two words", "--x"]);
	t.match(enter.argv0, inTree(host, "enter"), "what the pod could have changed is not started");
	t.match(enter, { cwd: inRun, locked: true });
	t.strictSame(enter.environment, ["FROM_CALLER=yes"]);
	t.strictSame(enter.fds, []);

	const refused = await host.rkt(["stop", uuid], { environment });
	t.equal(refused.status, 254);
	t.match(refused.stderr, /ended with 3/);
	const stopped = await host.rkt(["stop", "--force", uuid], { environment });
	t.match(stopped, { status: 0, stdout: `stop says\n"${uuid}"\n` }, stopped.stderr);
	t.strictSame(readHanded(recorder, "stop1").args, [uuid]);
	const stop = readHanded(recorder, "stop2");
	t.strictSame(stop.args, ["--force", uuid]);
	t.match(stop.argv0, inTree(host, "stop"));
	t.equal(stop.cwd, inRun);
	t.strictSame(stop.environment, ["FROM_CALLER=yes"]);
	t.strictSame(stop.fds, []);

	const ended = await pod;
	t.equal(ended.exitCode, 6, "the status of the pod is that of stage1");
	const known = RUN_FLAGS.filter(([first]) => first <= version).map(([, pattern]) => pattern);
	for (const flag of ["--hostname=box", "--dns-conf-mode=resolv=stage0,hosts=host", "--ipc=parent"]) {
		const isKnown = known.join("|").includes(flag.replace(/=.*/, "="));
		t.equal(String(ended.stderr).includes(`warning: ${flag} is ignored`), !isKnown, flag);
	}
	t.match((await host.rkt(["status", uuid])).stdout, /^state=exited\n[\s\S]*^app-busybox=6$/m);
	return uuid;
}

function inTree(host: BusyboxHost, name: string): RegExp {
	return new RegExp(`^${host.dataDirectory}/cas/tree/deps-sha512-[0-9a-f]+/rootfs/bin/${name}$`);
}

const OTHER_STAGE0 = path.resolve("test/support/other-stage0.sh");

t.test("our images under another stage0", async (t) => {
	const directory = fs.mkdtempSync("/var/tmp/rkt-test-other-");
	t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
	const root = path.join(directory, "busybox");
	fs.mkdirSync(path.join(root, "bin"), { recursive: true });
	fs.copyFileSync("/usr/bin/busybox", path.join(root, "bin/busybox"));
	for (const name of ["sh", "cat", "sleep", "id"]) fs.symlinkSync("busybox", path.join(root, "bin", name));
	for (const flavor of ["nspawn", "kvm-uml"]) {
		await t.test(flavor, (t) => checkUnderOther(t, path.join(directory, flavor), flavor, root));
	}
});

async function checkUnderOther(t: Test, pod: string, flavor: string, root: string): Promise<void> {
	const uuid = randomUUID();
	const script = "trap 'echo told; exit 4' TERM; echo up; while :; do sleep 0.1; done";
	const stage0 = async (verb: string, ...words: string[]) =>
		collect(spawn(OTHER_STAGE0, [verb, pod, uuid, ...words], { stdio: ["ignore", "pipe", "pipe"] }));
	const image = path.join(distDirectory(), `stage1-${flavor}.aci`);
	const prepared = await stage0("prepare", image, root, script);
	t.equal(prepared.status, 0, prepared.stderr);
	const running = spawn(OTHER_STAGE0, ["run", pod, uuid, "--net=none", "--hostname=box"], {
		stdio: ["ignore", "pipe", "pipe"],
	});
	const ended = collect(running);
	t.teardown(() => stage0("gc"));
	const ready = path.join(pod, "stage1/rootfs/rkt/supervisor-status");
	await waitFor(
		"the pod",
		() => running.exitCode !== null || fs.lstatSync(ready, { throwIfNoEntry: false }) !== undefined,
	);

	const entered = await stage0("enter", "/bin/sh", "-c", "id -u; cat /etc/hostname; exit 5");
	t.equal(entered.status, 5, entered.stderr);
	t.equal(entered.stdout.toString(), "0\nbox\n");
	const stopped = await stage0("stop");
	t.equal(stopped.status, 0, stopped.stderr);
	const result = await ended;
	t.equal(result.status, 4, result.stderr);
	t.match(result.stdout.toString(), /up\n(.*\n)*.*told/);
	t.equal(fs.readFileSync(path.join(pod, "stage1/rootfs/rkt/status/app"), "utf8").trim(), "4");
	for (const time of ["once", "twice"]) {
		const collected = await stage0("gc");
		t.match(collected, { status: 0, stderr: "" }, time);
		t.equal(collected.stdout.length, 0, "gc prints nothing");
	}
	const mounts = await execa("findmnt", ["--noheadings", "--list", "--output=TARGET"]);
	t.notMatch(mounts.stdout, pod, "nothing is mounted for it");
	t.notOk(fs.existsSync(`/var/log/journal/${uuid.replaceAll("-", "")}`));

	const unknown = spawnSync(OTHER_STAGE0, ["run", pod, uuid, "--net=none", "--bogus"], { encoding: "utf8" });
	t.equal(unknown.status, 2);
	t.match(unknown.stderr, /flag provided but not defined: -bogus/);
}
