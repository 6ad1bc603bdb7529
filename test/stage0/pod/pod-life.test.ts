import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { readMounts } from "../../../lib/mountinfo.ts";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import { allocateUserRange } from "../../../stage0/pod/allocate-user-range.ts";
import { podPlace } from "../../../stage0/pod/pod-directories.ts";
import { observePod, tryHoldPod, tryLockPod } from "../../../stage0/pod/pod-lock.ts";
import { createPod, toGarbage, toPrepared, toRun } from "../../../stage0/pod/transitions.ts";
import { distDirectory } from "../../support/dist-directory.ts";
import { enterPrivateHost } from "../../support/private-host.ts";
import { readSourceFiles } from "../../support/source-files.ts";
import { waitFor } from "../../support/wait-for.ts";
import { createFakeHost, type FakeHost } from "./fake-stage1.ts";

enterPrivateHost();

const COLLECT = ["gc", "--grace-period=0s", "--expire-prepared=0s"];

t.test("states, locks and transitions", async (t) => {
	const data = fs.mkdtempSync("/var/tmp/rkt-states-");
	t.teardown(() => fs.rmSync(data, { recursive: true }));
	const syscall = createLinuxSyscall();
	const state = (uuid: string) => observePod(syscall, data, uuid)?.state;
	const pod = createPod(syscall, data);
	t.match(pod.uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
	t.equal(fs.statSync(pod.directory).mode & 0o777, 0o750);
	t.equal(state(pod.uuid), "preparing");
	t.equal(tryLockPod(syscall, pod), undefined, "another one does not get an owned pod");
	const prepared = toPrepared(data, pod);
	t.equal(state(pod.uuid), "prepared");
	const locked = tryLockPod(syscall, prepared);
	if (locked === undefined) return t.fail("a prepared pod can be locked");
	const running = toRun(data, locked, true);
	t.equal(state(pod.uuid), "running");
	t.equal(tryLockPod(syscall, prepared), undefined, "it is not there any more");
	running.lock.release();
	t.equal(state(pod.uuid), "exited");
	const held = tryHoldPod(syscall, podPlace(data, "run", pod.uuid));
	t.equal(state(pod.uuid), "exited", "who only holds it does not own it");
	t.equal(tryLockPod(syscall, podPlace(data, "run", pod.uuid)), undefined, "but it stays");
	held?.release();
	t.ok(held);
	const exited = tryLockPod(syscall, podPlace(data, "run", pod.uuid));
	t.equal(tryHoldPod(syscall, podPlace(data, "run", pod.uuid)), undefined, "it is owned");
	const marked = exited && toGarbage(data, exited);
	t.equal(marked?.where, "exited-garbage");
	t.equal(state(pod.uuid), "exited deleting");
	t.equal(tryHoldPod(syscall, podPlace(data, "run", pod.uuid)), undefined, "it is not there any more");
	marked?.lock.release();
	t.equal(state(pod.uuid), "exited garbage");

	const aborted = createPod(syscall, data);
	aborted.lock.release();
	t.equal(state(aborted.uuid), "aborted prepare");
	t.equal(state("00000000-0000-4000-8000-000000000000"), undefined);

	const ranges = Array.from({ length: 20 }, () => {
		const one = createPod(syscall, data);
		one.lock.release();
		return allocateUserRange({ syscall, dataDirectory: data, pod: one.directory });
	});
	t.equal(new Set(ranges.map((range) => range.shift)).size, ranges.length, "no range is given twice");
	t.ok(
		ranges.every(
			({ shift, count }) => shift % 65536 === 0 && shift >= 65536 && shift < 2 ** 31 && count === 65536,
		),
	);
});

t.test("pods of a stage1 that only takes notes", async (t) => {
	const host = await createFakeHost("life");
	t.teardown(() => host.remove());
	const { environment } = host;
	const run = (probe: string, pod: readonly string[] = [], more: Record<string, string> = {}) =>
		host.rkt(["run", host.stage1, "--net=none", ...pod, host.app], {
			environment: { ...environment, PROBE: probe, ...more },
		});
	const look =
		"cd stage1/rootfs/opt/stage2/app/rootfs; stat -c '%a %u %g' etc/owned; readlink etc/mtab; stat -c %u ../../../../rkt/status; stat -c '%n %u' .";

	t.test("with overlay: owners, modes and what stage0 adds", async (t) => {
		const result = await run(`${look}; cat ../manifest | head -c 9; echo; stat -f -c %T .`);
		t.equal(result.status, 0, result.stderr);
		t.equal(result.stdout, '4750 1000 1001\n../proc/self/mounts\n0\n. 0\n{"acKind"\noverlayfs\n');
		const failing = await run("exit 0", [`--uuid-file-save=${host.directory}/uuid`], { STATUS: "9" });
		t.equal(failing.status, 9, "the status is that of stage1");
		const uuid = fs.readFileSync(path.join(host.directory, "uuid"), "utf8");
		t.match(
			(await host.rkt(["status", uuid])).stdout,
			/^state=exited\ncreated=.*\nstarted=.*\nnetworks=\npid=\d+\nexited=true\napp-app=9\n$/,
		);
		const json = JSON.parse((await host.rkt(["status", "--format=json", uuid])).stdout);
		t.match(json, {
			name: uuid,
			state: "exited",
			app_names: ["app"],
			apps: [{ name: "app", state: "exited", exit_code: 9, image_id: /^sha512-/ }],
		});
	});

	t.test("files of --dns and --hosts-entry", async (t) => {
		const flags = ["--dns=10.1.1.1", "--hosts-entry=10.2.2.2=name"];
		const result = await run("cat stage1/rootfs/etc/rkt-resolv.conf stage1/rootfs/etc/rkt-hosts", flags);
		t.match(result.stdout, /nameserver 10\.1\.1\.1\n[\s\S]*10\.2\.2\.2 name\n/);
	});

	t.test("sockets passed by systemd, the lock and nothing else stay open", async (t) => {
		const file = path.join(host.directory, "socket");
		fs.writeFileSync(file, "passed on");
		const fd = fs.openSync(file, "r");
		const places = [`--dir=${host.dataDirectory}`, `--local-config=${host.configDirectory}`];
		const words = [...places, "run", host.stage1, "--net=none", host.app];
		const script = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"';
		const result = spawnSync("sh", ["-c", script, path.join(distDirectory(), "rkt"), ...words], {
			stdio: ["ignore", "pipe", "pipe", fd],
			encoding: "utf8",
			env: { ...process.env, PROBE: "cat <&3; echo; for fd in /proc/$PPID/fd/*; do readlink $fd; done" },
		});
		fs.closeSync(fd);
		t.equal(result.status, 0, result.stderr);
		const [content, ...open] = result.stdout.trim().split("\n");
		t.equal(content, "passed on");
		const known = /^(\/dev\/null|pipe:.*|socket:.*)$/;
		const rest = open
			.filter((target) => !known.test(target))
			.map((target) => target.replace(/[0-9a-f-]{36}/, "UUID"));
		t.strictSame(
			rest.sort(),
			[
				path.join(fs.realpathSync(host.dataDirectory), "pods/run/UUID"),
				file,
				path.join(fs.realpathSync(host.dataDirectory), "pods/run/UUID/stage1/rootfs/run"),
			].sort(),
		);
	});

	t.test("--no-overlay copies", async (t) => {
		const result = await run(`${look}; stat -f -c %T .; ls ../../../../../../overlay 2>&1`, ["--no-overlay"]);
		t.equal(result.status, 0, result.stderr);
		t.match(result.stdout, /^4750 1000 1001\n\.\.\/proc\/self\/mounts\n0\n\. 0\n(?!overlayfs)/);
		t.match(result.stdout, /No such file/);
	});

	t.test("--private-users shifts the owners, with and without overlay", async (t) => {
		for (const flags of [["--private-users"], ["--private-users", "--no-overlay"]]) {
			const name = flags.join(" ");
			const result = await run(
				`cat private-users-prepared; echo; ${look}; touch made; stat -c %u made; ls ../../../../../../shifted 2>&1`,
				flags,
			);
			t.equal(result.status, 0, result.stderr);
			const [range = "", owned, , status, root, , shifted] = result.stdout.split("\n");
			const shift = Number(range.split(":")[0]);
			t.equal(owned, `4750 ${shift + 1000} ${shift + 1001}`, `${name}: set-user-id bits survive`);
			t.equal(status, `${shift}`, name);
			t.equal(root, `. ${shift}`, name);
			t.match(shifted, /No such file/, `${name}: the shifted view is gone`);
		}
	});

	t.test("prepare, cat-manifest, run-prepared", async (t) => {
		const flags = ["--port=web:8080", "--set-env=A=b", "--volume=v,kind=empty"];
		const prepared = await host.rkt([
			"prepare",
			host.stage1,
			...flags,
			host.app,
			"--mount=volume=v,target=/v",
			"--name=n",
			"--",
			"",
			"x",
		]);
		t.equal(prepared.status, 0, prepared.stderr);
		const uuid = prepared.stdout.trim();
		const manifest = JSON.parse((await host.rkt(["cat-manifest", uuid.slice(0, 9)])).stdout);
		t.match(manifest, {
			acVersion: "0.8.11",
			apps: [{ name: "n", app: { exec: ["/bin/app", "", "x"], environment: [{ name: "A", value: "b" }] } }],
			annotations: [{ name: "coreos.com/rkt/stage1/mutable", value: "false" }],
			ports: [{ name: "web", hostPort: 8080 }],
		});
		t.match(
			fs.readFileSync(path.join(host.dataDirectory, "pods/prepared", uuid, "pod"), "utf8"),
			/"isolators":null/,
		);
		const refused = await host.rkt(["run-prepared", "--net=host", uuid]);
		t.equal(refused.status, 254, "the ports need a network");
		t.match((await host.rkt(["status", uuid])).stdout, /^state=prepared$/m, "a refusal leaves it prepared");
		const ran = await host.rkt(["run-prepared", uuid], { environment: { ...environment, STATUS: "4" } });
		t.equal(ran.status, 4, ran.stderr);
		t.match((await host.rkt(["run-prepared", uuid])).stderr, /is not prepared, it is exited/);
	});

	t.test("what is refused leaves no pod", async (t) => {
		await host.rkt(COLLECT, { environment });
		const app = [host.app];
		const cases: readonly (readonly [words: string[], mention: RegExp])[] = [
			[["--uuid-file-save=/does/not/exist/x", ...app], /\/does\/not\/exist\/x/],
			[["--port=other:80", ...app], /"other"[\s\S]*web/],
			[["--volume=v,kind=host,source=/does/not/exist", ...app], /does\/not\/exist/],
			[["--volume=v,kind=empty", "--volume=v,kind=empty", ...app], /declared twice/],
			[[...app, "--mount=volume=v,target=/v"], /dangling mount point "\/v"/],
			[[...app, ...app], /two apps of the pod have the name "app"/],
			[[...app, "--caps-retain=CAP_MAGIC"], /CAP_MAGIC/],
			[["example.com/fake-stage1"], /--exec=PATH/],
			[["example.com/fake-stage1", "--exec=/run"], /is the stage1 image/],
			[["--pod-manifest=/etc/passwd"], /\/etc\/passwd/],
			[["--pod-manifest=/does/not/exist"], /cannot read the pod manifest/],
		];
		for (const [words, mention] of cases) {
			const result = await host.rkt(["run", host.stage1, ...words]);
			t.equal(result.status, 254, words.join(" "));
			t.match(result.stderr, mention);
			t.strictSame(host.pods(), [], words.join(" "));
		}
		t.strictSame(podMounts(host), []);
	});

	t.test("a running pod: list, enter, rm, gc, stop", async (t) => {
		const uuidFile = path.join(host.directory, "running");
		const child = host.start(["run", host.stage1, "--net=none", `--uuid-file-save=${uuidFile}`, host.app], {
			environment: { ...environment, HOLD: "1" },
		});
		const ready = await waitFor("the pod", async () => {
			if (!fs.existsSync(uuidFile)) return false;
			return (await host.rkt(["status", "--wait-ready=5s", fs.readFileSync(uuidFile, "utf8")])).status === 0;
		});
		t.not(ready, false);
		const uuid = fs.readFileSync(uuidFile, "utf8");
		t.match(
			(await host.rkt(["list", "--no-legend"])).stdout,
			new RegExp(`^${uuid.slice(0, 8)}\\tapp\\texample.com/app:1.0.0\\trunning\\t`),
		);
		t.match((await host.rkt(["rm", uuid])).stderr, /is running\nhint: stop it first/);
		t.equal((await host.rkt(["gc", "--grace-period=0s"], { environment })).status, 0);
		t.strictSame(host.pods(), [`run/${uuid}`], "gc leaves it alone");
		const late = await host.rkt(["status", "--wait=200ms", uuid]);
		t.match([late.status, late.stderr], [254, /context deadline exceeded/]);
		t.match((await host.rkt(["enter", "--app=other", uuid])).stderr, /has no app "other"[\s\S]*app/);
		const stopped = await host.rkt(["stop", "--force", uuid], { environment });
		t.strictSame([stopped.status, stopped.stdout], [0, `"${uuid}"\n`]);
		await child;
		t.match(fs.readFileSync(host.recordFile, "utf8"), new RegExp(`stop --force ${uuid}\n$`));
		const again = await host.rkt(["stop", uuid], { environment });
		t.strictSame([again.status, again.stdout], [0, `pod "${uuid}" is already stopped\n`]);
		const gone = await host.rkt(["status", "--wait=10s", uuid]);
		t.match(gone.stdout, /^state=exited$/m);
		t.match((await host.rkt(["status", "--wait-ready", uuid])).status, 0);
	});

	t.test("gc: marks, keeps, collects; a failing clean-up does not keep the pod", async (t) => {
		await host.rkt(COLLECT, { environment });
		t.strictSame(host.pods(), []);
		await run("true");
		const prepared = (await host.rkt(["prepare", host.stage1, host.app])).stdout.trim();
		const marked = await host.rkt(["gc", "--mark-only"], { environment });
		t.match(marked.stderr, /^gc: moving pod "[0-9a-f-]{36}" to garbage\n$/);
		t.equal(marked.stdout, "");
		t.match(
			(await host.rkt(["gc"], { environment })).stderr,
			/not removed: still within grace period \(30m0s\)/,
		);
		t.match((await host.rkt(["list"])).stdout, /exited garbage/);
		fs.writeFileSync(host.recordFile, "");
		const collected = await host.rkt(["gc", "--grace-period=0s"], {
			environment: { ...environment, GC_STATUS: "3" },
		});
		t.match(collected.stdout, /^Garbage collecting pod "[0-9a-f-]{36}"\n$/);
		t.match(
			collected.stderr,
			/problem performing stage1 GC on "[0-9a-f-]{36}": gc of example.com\/fake-stage1 ended with status 3/,
		);
		t.match(fs.readFileSync(host.recordFile, "utf8"), /^gc --local-config \S+ [0-9a-f-]{36}\n$/);
		t.strictSame(host.pods(), [`prepared/${prepared}`]);
		const removed = await host.rkt(["rm", prepared, "zz"], { environment });
		t.strictSame([removed.status, removed.stdout, host.pods()], [254, `"${prepared}"\n`, []]);
		t.strictSame(podMounts(host), []);
	});

	t.test("removal follows no link and leaves no mount", async (t) => {
		const outside = path.join(host.directory, "outside");
		fs.mkdirSync(outside);
		fs.writeFileSync(path.join(outside, "kept"), "");
		const odd = "we\\ ird\\\\134";
		const probe = `ln -s ${outside} stage1/rootfs/out; rm -rf stage1/rootfs/rkt; ln -s ${outside} stage1/rootfs/rkt; mkdir ${odd}; mount -t tmpfs tmpfs ${odd}; mount --bind ${outside} stage1/rootfs/opt/stage2/app/rootfs/etc`;
		t.equal((await run(probe)).status, 0);
		const collected = await host.rkt(COLLECT, { environment });
		t.equal(collected.stderr.replace(/gc: moving pod .*\n/, ""), "");
		t.strictSame([host.pods(), podMounts(host)], [[], []]);
		t.strictSame(fs.readdirSync(outside), ["kept"]);
	});

	t.test("many collectors at once", async (t) => {
		for (let index = 0; index < 6; index += 1) await run("true");
		const results = await Promise.all(Array.from({ length: 5 }, () => host.rkt(COLLECT, { environment })));
		t.strictSame(
			results.map((result) => result.status),
			[0, 0, 0, 0, 0],
		);
		const lines = results.flatMap((result) => result.stdout.split("\n").filter(Boolean));
		t.equal(lines.length, 6, "each pod is collected once");
		t.strictSame(host.pods(), []);
	});

	t.test("entries that are no pods are told and skipped", async (t) => {
		fs.mkdirSync(path.join(host.dataDirectory, "pods/run/not-a-pod"));
		const damaged = path.join(host.dataDirectory, "pods/run/11111111-1111-4111-8111-111111111111");
		fs.mkdirSync(damaged);
		const list = await host.rkt(["list"]);
		t.equal(list.status, 0);
		t.match(
			list.stderr,
			/skipping "not-a-pod"[\s\S]*1 error\(s\) encountered when listing pods:\n-{40}\npod 11111111/,
		);
		fs.rmdirSync(path.join(host.dataDirectory, "pods/run/not-a-pod"));
		t.equal((await host.rkt(COLLECT, { environment })).status, 0);
		t.strictSame(host.pods(), []);
	});
});

t.test("SIGKILL at every step of prepare, run, rm and gc", async (t) => {
	const host = await createFakeHost("kill");
	t.teardown(() => host.remove());
	const { environment } = host;
	const points = readSourceFiles()
		.filter((file) => file.name.startsWith("stage0/pod/") || file.name.startsWith("stage0/handoff/"))
		.flatMap((file) =>
			[...file.text.matchAll(/\bcrashPoint\("([^"]+)"\)/g)].map((match) => match[1] as string),
		);
	t.ok(points.length > 10);
	for (const point of points) {
		const crash = async (...words: string[]): Promise<boolean> => {
			const result = await host.rkt(words, {
				testBuild: true,
				environment: { ...environment, RKT_CRASH_AT: point },
			});
			return result.status === 137;
		};
		const killed: boolean[] = [];
		if (/^(embryo|prepare)/.test(point)) {
			killed.push(await crash("prepare", "--private-users", host.stage1, host.app));
			killed.push(await crash("run", host.stage1, "--net=none", "--no-overlay", host.app));
		} else if (/^run/.test(point)) {
			killed.push(await crash("run", host.stage1, "--net=none", "--private-users", host.app));
			const prepared = (await host.rkt(["prepare", host.stage1, host.app])).stdout.trim();
			killed.push(await crash("run-prepared", "--net=none", prepared));
		} else {
			await host.rkt(["run", host.stage1, "--net=none", host.app], { environment });
			const ended = host.pods()[0]?.split("/")[1] ?? "";
			killed.push(await crash("rm", ended));
			killed.push(await crash(...COLLECT));
		}
		t.ok(killed.includes(true), `${point} is passed`);
		const list = await host.rkt(["list"]);
		t.strictSame([list.status, list.stderr], [0, ""], `${point}: list understands`);
		for (const uuid of list.stdout.match(/^[0-9a-f]{8}(?=\t)/gm) ?? []) {
			const status = await host.rkt(["status", uuid]);
			t.ok(status.status === 0 || /no matches/.test(status.stderr), `${point}: status ${status.stderr}`);
		}
		const collected = await host.rkt(COLLECT, { environment });
		t.equal(collected.status, 0, `${point}: ${collected.stderr}`);
		t.strictSame([host.pods(), podMounts(host)], [[], []], `${point}: one gc clears all`);
	}
});

function podMounts(host: FakeHost): string[] {
	return readMounts()
		.map((mount) => mount.target)
		.filter((target) => target.startsWith(host.directory));
}

t.test("no process of the fake stage1 is left", async (t) => {
	t.not(spawnSync("pgrep", ["-f", "rkt-(life|kill)-.*/run"]).status, 0);
});
