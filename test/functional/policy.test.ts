import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { BUSYBOX, createBusyboxHost, firstUuid, outputLines } from "../support/busybox-host.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { busyboxFiles, imageManifest, makeAci } from "../support/make-aci.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { createSigningKey } from "../support/signing-key.ts";
import type { RktResult } from "../support/test-host.ts";

enterPrivateHost();

const OUTSIDE = "/usr/share";

/** A limit and what exceeds it: flags of the pod and of the app, and the same in a pod manifest. */
interface Denial {
	readonly rule: Record<string, unknown>;
	readonly mention: RegExp;
	/** Decided when the pod is prepared. */
	readonly pod?: readonly string[];
	readonly app?: readonly string[];
	/** Decided when it is started, as are --insecure-options. */
	readonly start?: readonly string[];
	/** Members of the pod manifest, and of its app. */
	readonly manifest?: Record<string, unknown>;
	readonly manifestApp?: Record<string, unknown>;
}

const isolator = (name: string, ...set: string[]): Record<string, unknown> => ({
	isolators: [{ name: `os/linux/${name}`, value: { set } }],
});
const hostVolume = { name: "data", kind: "host", source: OUTSIDE };

const DENIALS: Readonly<Record<string, Denial>> = {
	"the network of the host": {
		rule: { hostNetwork: false },
		mention: /uses the network of the host/,
		start: ["--net=host"],
		manifest: {},
	},
	"the IPC namespace of the host": {
		rule: { hostIpc: false },
		mention: /IPC namespace of the host/,
		start: ["--ipc=parent"],
	},
	"an insecure option": {
		rule: { insecureOptions: ["image"] },
		mention: /has paths, allowed: image/,
		start: ["--insecure-options=image,paths"],
	},
	"no filter of system calls": {
		rule: { seccomp: "default" },
		mention: /lifts the filter/,
		start: ["--insecure-options=seccomp"],
	},
	"a wider filter of system calls": {
		rule: { seccomp: "default" },
		mention: /not allowed by default/,
		app: ["--seccomp=mode=retain,@appc.io/all"],
		manifestApp: isolator("seccomp-retain-set", "@appc.io/all"),
	},
	"all capabilities": {
		rule: { capabilities: ["CAP_KILL"] },
		mention: /has CAP_CHOWN, .*CAP_SYS_ADMIN/,
		app: ["--caps-retain=CAP_KILL"],
		start: ["--insecure-options=capabilities"],
	},
	"a capability": {
		rule: { capabilities: ["CAP_KILL"] },
		mention: /has CAP_SYS_ADMIN, allowed: CAP_KILL/,
		app: ["--caps-retain=CAP_KILL,CAP_SYS_ADMIN"],
		manifestApp: isolator("capabilities-retain-set", "CAP_KILL", "CAP_SYS_ADMIN"),
	},
	"a volume of the host": {
		rule: { hostVolumes: ["/srv"] },
		mention: /the volume data is \/usr\/share, allowed: \/srv/,
		pod: [`--volume=data,kind=host,source=${OUTSIDE}`],
		manifest: { volumes: [hostVolume] },
	},
	"the host's users": {
		rule: { privateUsers: true },
		mention: /--private-users/,
		pod: ["--no-overlay"],
		manifest: {},
	},
	"another stage1": {
		rule: { stage1: ["kvm"] },
		mention: /stage1 image nspawn, allowed: kvm/,
		pod: ["--stage1-image=nspawn"],
		manifest: {},
	},
	"the image": { rule: { deny: true }, mention: /allows no such pod/, pod: ["--no-overlay"], manifest: {} },
};

t.test("policy", async (t) => {
	const host = await createBusyboxHost("policy");
	t.teardown(() => host.remove());
	const directory = path.join(host.configDirectory, "policy.d");
	const file = path.join(directory, "10-tenants.json");
	const setPolicy = (...rules: Record<string, unknown>[]): void => {
		fs.rmSync(directory, { recursive: true, force: true });
		fs.mkdirSync(directory, { recursive: true });
		const named = rules.map((rule, index) => ({ name: `rule ${index}`, ...rule }));
		fs.writeFileSync(file, JSON.stringify({ rktKind: "policy", rktVersion: "v1", rules: named }));
	};
	const noPolicy = (): void => fs.rmSync(directory, { recursive: true, force: true });
	const pods = (): string[] => {
		const root = path.join(host.dataDirectory, "pods");
		if (!fs.existsSync(root)) return [];
		return fs.readdirSync(root).flatMap((state) => fs.readdirSync(path.join(root, state)));
	};
	const refuses = async (t: Test, words: readonly string[], mention: RegExp, what: string): Promise<void> => {
		const before = pods();
		const result = await host.rkt(words);
		t.equal(result.status, 254, `${what}: ${result.stdout}${result.stderr}`);
		t.match(result.stderr, mention, what);
		t.strictSame(pods(), before, `${what}: nothing is made`);
	};
	const manifestFile = (denial: Denial): string => {
		const exec = { exec: ["/bin/true"], user: "0", group: "0", ...denial.manifestApp };
		// Forged: the image is not called so.
		const image = { name: "example.org/harmless", id: `sha512-${host.imageId.replace(/^sha512-/, "")}` };
		const app = { name: "busybox", image, app: exec };
		const base = { acKind: "PodManifest", acVersion: "0.8.11", apps: [app], ...denial.manifest };
		const target = path.join(host.directory, "pod.json");
		fs.writeFileSync(target, JSON.stringify(base));
		return target;
	};

	for (const [what, denial] of Object.entries(DENIALS)) {
		t.test(`${what} is refused in run, prepare, run-prepared and with a pod manifest`, async (t) => {
			const { rule, mention, pod = [], app = [], start = [], manifest, manifestApp } = denial;
			const full = { match: { images: ["example.com"] }, ...rule, message: "ask the operators" };
			const image = [BUSYBOX, ...app];
			const net = start.some((flag) => flag.startsWith("--net")) ? [] : ["--net=none"];
			setPolicy(full);
			await refuses(t, ["run", ...net, ...pod, ...start, ...image], mention, "run");
			if (start.length === 0) await refuses(t, ["prepare", ...pod, ...image], mention, "prepare");
			if (manifest !== undefined || manifestApp !== undefined) {
				const words = ["run", ...net, ...start, `--pod-manifest=${manifestFile(denial)}`];
				await refuses(t, words, mention, "pod manifest");
			}
			noPolicy();
			const prepared = await host.rkt(["prepare", ...pod, ...image]);
			t.equal(prepared.status, 0, prepared.stderr);
			const uuid = firstUuid(prepared.stdout);
			setPolicy(full);
			await refuses(t, ["run-prepared", ...net, ...start, uuid], mention, "run-prepared");
			t.match((await host.rkt(["status", uuid])).stdout, /^state=prepared$/m, "the pod stays prepared");
		});
	}

	t.test("the refusal names file, rule, reason and message; the code is policy-denied", async (t) => {
		setPolicy({ name: "no host network", hostNetwork: false, message: "ask the operators" });
		const { stderr } = await host.rkt(["--debug", "run", "--net=host", BUSYBOX]);
		t.ok(
			stderr.includes(
				`policy ${file}, rule "no host network": the pod uses the network of the host: ask the operators`,
			),
			stderr,
		);
		t.match(stderr, /policy-denied/);
		t.match(stderr, /rkt policy explain/);
	});

	t.test("what keeps to the policy runs, also with a volume that is bound", async (t) => {
		const shared = path.join(host.directory, "shared");
		fs.mkdirSync(shared, { recursive: true });
		fs.writeFileSync(path.join(shared, "file"), "content\n");
		fs.symlinkSync(shared, path.join(host.directory, "link"));
		setPolicy({ hostNetwork: false, hostVolumes: [path.join(host.directory, "link")], insecureOptions: [] });
		const result = await host.shell("cat /data/file", {
			pod: [`--volume=data,kind=host,source=${shared}`, "--mount=volume=data,target=/data"],
		});
		t.equal(result.status, 0, result.stderr);
		t.ok(
			outputLines(result).some((line) => line.endsWith("content")),
			result.stdout,
		);
	});

	t.test("stage1 keeps the bounds as well, for what happens to a path after it was looked at", async (t) => {
		noPolicy();
		const environment = { RKT_VOLUME_BOUNDS: JSON.stringify([["/"], [host.directory]]) };
		const run = (source: string): Promise<RktResult> =>
			host.shell(
				"true",
				{ pod: [`--volume=data,kind=host,source=${source}`, "--mount=volume=data,target=/data"] },
				{ environment },
			);
		t.equal((await run(path.join(host.directory, "shared"))).status, 0);
		fs.symlinkSync(OUTSIDE, path.join(host.directory, "out"));
		const outside = await run(path.join(host.directory, "out"));
		t.equal(outside.status, 254);
		t.match(outside.stderr, /leads to \/usr\/share, which the policy does not allow/);
		const magic = await run(`/proc/${process.pid}/root${host.directory}/shared`);
		t.equal(magic.status, 254, "through the root of another process");
	});

	t.test("a source through the root of another process is refused", async (t) => {
		setPolicy({ hostVolumes: [host.directory] });
		const source = `/proc/${process.pid}/root${host.directory}/shared`;
		await refuses(
			t,
			["run", "--net=none", `--volume=data,kind=host,source=${source}`, BUSYBOX],
			/nothing allowed/,
			"run",
		);
	});

	t.test("signers: unsigned images, signed ones, and records that others may have written", async (t) => {
		const key = await createSigningKey("policy@example.com");
		t.teardown(() => key.remove());
		const signed = path.join(host.directory, "signed.aci");
		const id = await makeAci(signed, {
			manifest: imageManifest("example.com/signed"),
			files: busyboxFiles(),
		});
		await key.sign(signed);
		noPolicy();
		await host.rkt(["trust", "--prefix=example.com/signed", "--skip-fingerprint-review", key.publicKeyFile]);
		t.equal((await host.rkt(["fetch", signed])).status, 0);
		const only = (signer: string) => setPolicy({ except: { signers: [signer] }, deny: true });
		const explain = async (image: string): Promise<number> =>
			(await host.rkt(["policy", "explain", image])).status;
		only(`openpgp:${key.fingerprint}`);
		t.equal(await explain("example.com/signed"), 0, "signed by the one");
		t.equal(await explain(BUSYBOX), 1, "not signed");
		only(`openpgp:${"0".repeat(40)}`);
		t.equal(await explain("example.com/signed"), 1, "signed by another");
		only(`openpgp:${key.fingerprint}`);
		const record = path.join(host.dataDirectory, "cas/imageinfo", `${id}.json`);
		fs.chmodSync(record, 0o660);
		t.equal(await explain("example.com/signed"), 1, "a record that a group may write");
		fs.chmodSync(record, 0o640);
		fs.chownSync(record, 1000, 0);
		t.equal(await explain("example.com/signed"), 1, "a record of somebody else");
		fs.chownSync(record, 0, 0);
		t.equal(await explain("example.com/signed"), 0, "root's record");
	});

	t.test("callers: by the user that sudo names and its groups", async (t) => {
		setPolicy({ match: { callers: ["group:nogroup"] }, hostNetwork: false });
		const words = ["policy", "explain", "--net=host", BUSYBOX];
		const status = async (environment: Record<string, string>): Promise<number> =>
			(await host.rkt(words, { environment })).status;
		t.equal(await status({}), 0);
		t.equal(await status({ SUDO_UID: "65534" }), 1);
		t.equal((await host.rkt([...words.slice(0, 2), "--caller=nobody", ...words.slice(2)])).status, 1);
		t.equal((await host.rkt([...words.slice(0, 2), "--caller=no-such-user", BUSYBOX])).status, 254);
		setPolicy({ except: { callers: ["user:root"] }, hostNetwork: false });
		t.equal(await status({}), 0);
		t.equal(await status({ SUDO_UID: "65534" }), 1, "an exception is for everybody who asks");
	});

	const login = "echo 65534 >/proc/self/loginuid";
	const keepsLogins = spawnSync("sh", ["-c", login], { stdio: "ignore" }).status === 0;
	const whereKept = keepsLogins ? {} : { skip: "the kernel keeps no logins" };
	t.test("callers: by the login that the kernel keeps", whereKept, async (t) => {
		setPolicy({ match: { callers: ["user:nobody"] }, hostNetwork: false });
		const globals = [`--dir=${host.dataDirectory}`, `--local-config=${host.configDirectory}`];
		const words = [path.join(distDirectory(), "rkt"), ...globals, "run", "--net=host", BUSYBOX];
		const result = spawnSync("sh", ["-c", `${login} && exec "$0" "$@"`, ...words], { encoding: "utf8" });
		t.equal(result.status, 254);
		t.match(result.stderr, /uses the network of the host/);
	});

	t.test("rkt policy explain says which rule decides and why, without running anything", async (t) => {
		setPolicy(
			{ name: "networks", hostNetwork: false, message: "ask the operators" },
			{ name: "others", match: { images: ["example.org"] }, deny: true },
			{ name: "options", insecureOptions: [] },
		);
		const before = pods();
		const text = await host.rkt(["policy", "explain", "--net=host", BUSYBOX]);
		t.equal(text.status, 1);
		t.match(text.stdout, /^refused for user:0$/m);
		t.match(
			text.stdout,
			/^refuses: .*10-tenants\.json: networks: the pod uses the network of the host\n {2}ask the operators$/m,
		);
		t.match(text.stdout, /^not for this pod: .*: others$/m);
		t.match(text.stdout, /^satisfied: .*: options$/m);
		const json = await host.rkt(["policy", "explain", "--format=json", "--net=none", BUSYBOX]);
		t.equal(json.status, 0);
		t.match(JSON.parse(json.stdout), {
			verdict: "allowed",
			general: [],
			rules: [
				{ file, rule: "networks", applies: true, reasons: [], message: "ask the operators" },
				{ rule: "others", applies: false },
				{ rule: "options", applies: true },
			],
		});
		noPolicy();
		t.match(
			(await host.rkt(["policy", "explain", "--net=host", BUSYBOX])).stdout,
			/^allowed: there is no policy/,
		);
		t.strictSame(pods(), before);
	});

	t.test("rkt policy check reads files before they count", async (t) => {
		const good = path.join(host.directory, "good.json");
		const bad = path.join(host.directory, "bad.json");
		const rules = [{ name: "a", hostNetwork: false }];
		fs.writeFileSync(good, JSON.stringify({ rktKind: "policy", rktVersion: "v1", rules }));
		fs.writeFileSync(bad, JSON.stringify({ rktKind: "policy", rktVersion: "v1", rules: [{ name: "b" }] }));
		const checked = await host.rkt(["policy", "check", good]);
		t.strictSame([checked.status, checked.stdout], [0, `${good}: 1 rule\n`]);
		const refused = await host.rkt(["policy", "check", good, bad]);
		t.equal(refused.status, 254);
		t.match(refused.stderr, /bad\.json: rules\[0\].* limits nothing/);
		t.match((await host.rkt(["policy", "check", "/nowhere"])).stderr, /cannot read \/nowhere/);
	});

	t.test("a policy that cannot be read or trusted starts no pod", async (t) => {
		const run = ["run", "--net=none", BUSYBOX];
		const spoil: Readonly<Record<string, readonly [change: () => void, mention: RegExp]>> = {
			"not root's": [() => fs.chownSync(file, 1000, 0), /must belong to root/],
			"writable by all": [() => fs.chmodSync(file, 0o666), /must belong to root/],
			"a link": [
				() => {
					fs.renameSync(file, path.join(host.directory, "elsewhere.json"));
					fs.symlinkSync(path.join(host.directory, "elsewhere.json"), file);
				},
				/symbolic link/,
			],
			"10 MB": [() => fs.truncateSync(file, 10_000_000), /more than/],
			"no JSON": [() => fs.writeFileSync(file, "{rules: no}"), /line 1/],
			"an unknown member": [
				() =>
					fs.writeFileSync(
						file,
						'{"rktKind":"policy","rktVersion":"v1","rules":[{"name":"a","hostNet":false}]}',
					),
				/10-tenants\.json: rules\[0\]\.hostNet is not known/,
			],
		};
		for (const [what, [change, mention]] of Object.entries(spoil)) {
			setPolicy({ hostNetwork: false });
			change();
			await refuses(t, run, mention, what);
			await refuses(t, ["prepare", BUSYBOX], mention, `${what}, prepare`);
		}
		noPolicy();
		t.equal((await host.rkt(run)).status, 0);
	});

	t.test("a data directory that others could exchange is refused as soon as a rule applies", async (t) => {
		setPolicy({ hostNetwork: false });
		const theirs = path.join(host.directory, "theirs");
		fs.mkdirSync(theirs);
		fs.chownSync(theirs, 1000, 1000);
		const words = ["--insecure-options=image", `--dir=${theirs}/data`, "run", "--net=none"];
		await refuses(
			t,
			[...words, path.join(host.directory, "example.com-busybox.aci")],
			/others than root may change .*theirs/,
			"--dir",
		);
	});

	t.test("another --local-config does not lead around the policy of /etc/rkt", async (t) => {
		noPolicy();
		const layers = ["upper", "work"].map((name) => path.join(host.directory, name));
		for (const layer of layers) fs.mkdirSync(layer);
		const options = `lowerdir=/etc,upperdir=${layers[0]},workdir=${layers[1]}`;
		const mounted = spawnSync("mount", ["-t", "overlay", "-o", options, "overlay", "/etc"], {
			encoding: "utf8",
		});
		t.equal(mounted.status, 0, mounted.stderr);
		t.teardown(() => spawnSync("umount", ["-l", "/etc"]));
		fs.mkdirSync("/etc/rkt/policy.d", { recursive: true });
		const rules = [{ name: "machine", hostNetwork: false }];
		const content = JSON.stringify({ rktKind: "policy", rktVersion: "v1", rules });
		fs.writeFileSync("/etc/rkt/policy.d/a.json", content);
		await refuses(t, ["run", "--net=host", BUSYBOX], /\/etc\/rkt\/policy\.d\/a\.json, rule "machine"/, "run");
	});
});
