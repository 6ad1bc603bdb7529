import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { emptyApp } from "../../appc/schema/app.ts";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import { resolveExec } from "../../stage1/apps/app-exec.ts";
import { openAppRoot } from "../../stage1/apps/app-root.ts";
import { resolveAppUser } from "../../stage1/apps/app-user.ts";
import type { PodApp } from "../../stage1/pod.ts";
import { appFilter as filterOf } from "../../stage1/security/app-filter.ts";
import { argumentFilter } from "../../stage1/security/argument-filter.ts";
import { callsOfSet } from "../../stage1/security/call-sets.ts";
import { appCapabilities, capabilityMask } from "../../stage1/security/capabilities.ts";
import { baselineRules, defaultRules } from "../../stage1/security/filter-rules.ts";
import { type AppUnit, appUnitText } from "../../stage1/units/app-unit.ts";
import { socketUnitText } from "../../stage1/units/socket-unit.ts";
import { staticUnits } from "../../stage1/units/static-units.ts";
import { renderUnit } from "../../stage1/units/unit-text.ts";
import { resolveMounts } from "../../stage1/volumes/resolve-mounts.ts";

const syscall = createLinuxSyscall();

function podApp(app: Record<string, unknown>, more: Record<string, unknown> = {}): PodApp {
	const image = { name: "example.com/app", annotations: [], app: undefined };
	const runtime = { name: "app", mounts: [], readOnlyRootFS: false };
	return {
		name: "app",
		runtime,
		image,
		app: { ...emptyApp("0", "0"), ...app },
		...more,
	} as unknown as PodApp;
}

t.test("an app's root is never left", (t) => {
	const outside = t.testdir({ outside: { secret: "secret" }, root: { etc: { file: "inside" } } });
	const directory = path.join(outside, "root");
	fs.symlinkSync("../../outside", path.join(directory, "escape"));
	fs.symlinkSync("/etc", path.join(directory, "absolute"));
	fs.symlinkSync("loop", path.join(directory, "loop"));
	fs.symlinkSync("deep/../../../new/target", path.join(directory, "dangling"));
	spawnSync("mkfifo", [path.join(directory, "etc/fifo")]);
	const root = openAppRoot(syscall, directory);
	t.teardown(() => root.close());
	t.equal(root.readText("/absolute/file"), "inside");
	t.equal(root.readText("/escape/secret"), undefined);
	t.equal(root.readText("/../../etc/file"), "inside");
	t.equal(root.readText("/etc/fifo"), undefined, "and does not wait");
	t.equal(root.readText("/etc"), undefined);
	t.equal(root.stat("/loop"), undefined);

	fs.closeSync(root.ensureDirectory("/escape/made", 0o1777));
	t.equal(fs.statSync(path.join(directory, "outside/made")).mode & 0o7777, 0o1777, "made inside");
	t.notOk(fs.existsSync(path.join(outside, "outside/made")));
	fs.closeSync(root.ensureFile("/dangling"));
	t.ok(fs.statSync(path.join(directory, "new/target")).isFile(), "where the link leads inside the root");
	fs.closeSync(root.ensureDirectory("/a/b/../b/c"));
	t.ok(fs.existsSync(path.join(directory, "a/b/c")));
	t.throws(() => root.ensureDirectory("/etc/file"), { code: "path-in-image-invalid" });
	t.throws(() => root.ensureDirectory("/etc/file/below"), { code: "path-in-image-invalid" });
	t.throws(() => root.ensureFile("/loop"), { code: "path-in-image-invalid" });
	t.end();
});

t.test("users and groups", (t) => {
	const directory = t.testdir({
		etc: { passwd: "root:x:0:0\nweb:x:33:34:\nbad:x:-5:0\n12:x:0:0\n", group: "www:x:34:\nbad\n" },
		file: "",
	});
	const root = openAppRoot(syscall, directory);
	t.teardown(() => root.close());
	const ids = (user: string, group: string, more = {}) => {
		const { uid, gid } = resolveAppUser(podApp({ user, group }, more), root);
		return [uid, gid];
	};
	t.strictSame(ids("web", "www"), [33, 34]);
	t.strictSame(ids("12", "0"), [12, 0], "digits are a number");
	t.strictSame(ids("root", "root"), [0, 0]);
	t.strictSame(ids("4294967294", "0"), [4294967294, 0]);
	t.strictSame(ids("/file", "/file"), [process.getuid?.(), process.getgid?.()]);
	for (const user of ["4294967295", "99999999999999999999", "-1", "+4294967296"]) {
		t.throws(() => ids(user, "0"), { code: "app-user-invalid" }, user);
	}
	for (const user of ["nobody", "bad", "/missing", "we", "web:x"]) {
		t.throws(() => ids(user, "0"), { code: "app-user-unknown" }, user);
	}
	const image = {
		name: "d",
		annotations: [{ name: "appc.io/docker/repository", value: "d" }],
		app: emptyApp("web", "web"),
	};
	t.strictSame(ids("web", "web", { image }), [33, 33], "a docker image names the user as the group");
	t.end();
});

t.test("users of docker images", (t) => {
	const directory = t.testdir({
		etc: {
			passwd: "root:x:0:7:r:/root:/bin/sh\nbad:x:x:1\nweb:x:33:34::/srv:/bin/sh\nlow:x:8:9\n",
			group: "wheel:x:10:root,web\nwww:x:34:\nextra:x:77:web,web2\nbad:x:y:web\ntwice:x:77:web\n",
		},
	});
	const root = openAppRoot(syscall, directory);
	t.teardown(() => root.close());
	/** `text` is the image's User; `app` what the pod says instead. */
	const ids = (text: string, own: [string, string], app: Record<string, unknown> = {}) => {
		const [user, group] = own;
		const image = {
			...{ name: "d", app: emptyApp(user, group) },
			annotations: [
				{ name: "appc.io/docker/repository", value: "d" },
				{ name: "rkt.io/oci/user", value: text },
			],
		};
		const { uid, gid, groups } = resolveAppUser(podApp({ user, group, ...app }, { image }), root);
		return `${uid}:${gid} ${groups.join(",")}`;
	};
	t.equal(ids("", ["0", "0"]), "0:7 10", "root too has the groups of the image");
	t.equal(ids("web", ["web", "web"]), "33:34 10,77");
	t.equal(ids("33", ["33", "33"]), "33:34 10,77", "a number that /etc/passwd knows");
	t.equal(ids("4000", ["4000", "4000"]), "4000:0 ", "and one that it does not know");
	t.equal(ids("web:www", ["web", "www"]), "33:34 ", "a group in the image is the only one");
	t.equal(ids("web:5", ["web", "5"]), "33:5 ");
	t.equal(ids(":www", ["0", "www"]), "0:34 ");
	t.equal(
		ids("web", ["web", "web"], { supplementaryGIDs: [1] }),
		"33:34 1",
		"those of the pod in their place",
	);
	t.equal(ids("web", ["web", "web"], { group: "www" }), "33:34 ", "the pod's group");
	t.equal(ids("web", ["web", "web"], { user: "low", group: "5" }), "8:5 ");
	for (const [text, user, group] of [
		["who", "who", "who"],
		["bad", "bad", "bad"],
		["web:none", "web", "none"],
	] as const) {
		t.throws(() => ids(text, [user, group]), { code: "app-user-unknown" }, text);
	}
	t.equal(ids("a:b:c", ["web", "www"]), "33:34 ", "an annotation that nobody of ours wrote");
	t.end();
});

t.test("where a program is looked for", (t) => {
	const directory = t.testdir({
		bin: { sh: "" },
		usr: { bin: { tool: "" } },
		work: { own: "" },
		opt: { x: "" },
	});
	const root = openAppRoot(syscall, directory);
	t.teardown(() => root.close());
	const find = (exec: string[], environment: [string, string][] = [], workingDirectory = "/work") =>
		resolveExec(
			podApp({ exec, workingDirectory, environment: environment.map(([name, value]) => ({ name, value })) }),
			root,
		);
	t.strictSame(find(["/bin/sh", "-c"]), ["/bin/sh", "-c"]);
	t.strictSame(find(["./own"]), ["/work/./own"]);
	t.strictSame(find(["own"]), ["/work/own"], "the working directory comes first");
	t.strictSame(find(["tool"]), ["/usr/bin/tool"]);
	t.strictSame(find(["x"], [["PATH", "/nowhere:../opt"]]), ["/work/../opt/x"]);
	t.throws(() => find(["tool"], [["PATH", "/opt"]]), { code: "app-exec-not-found" }, "then nothing else");
	t.throws(() => find(["/bin"]), { code: "app-exec-not-found" }, "a directory");
	const docker = { name: "d", annotations: [{ name: "appc.io/docker/repository", value: "d" }] };
	const inDocker = (program: string) =>
		resolveExec(podApp({ exec: [program], workingDirectory: "/work" }, { image: docker }), root);
	t.strictSame(inDocker("tool"), ["/usr/bin/tool"], "docker's PATH where an image has none");
	t.throws(() => inDocker("own"), { code: "app-exec-not-found" }, "the working directory is not in it");
	fs.chmodSync(path.join(directory, "work/own"), 0o755);
	fs.writeFileSync(path.join(directory, "opt/own"), "");
	t.strictSame(
		find(["own"], [["PATH", "/opt:/work"]]),
		["/work/own"],
		"what cannot be executed is passed over",
	);
	t.strictSame(find(["x"], [["PATH", "/opt"]]), ["/opt/x"], "unless there is nothing else");
	t.throws(() => find([]), { code: "app-exec-empty" });
	t.end();
});

t.test("mounts of an app", (t) => {
	const point = (name: string, at: string, readOnly = false) => ({ name, path: at, readOnly });
	const mountPoints = [point("data", "/data/", true), point("logs", "/logs"), point("data2", "/data")];
	const volumes = [
		{ name: "data", kind: "host" as const, source: "/srv" },
		{ name: "other", kind: "empty" as const, readOnly: true },
	];
	const mounts = (list: unknown[]) =>
		resolveMounts(podApp({ mountPoints }, { runtime: { name: "app", mounts: list } }), volumes);
	t.match(mounts([{ volume: "other", path: "logs" }]), [
		{ path: "/data/", volume: { name: "data" }, readOnly: true, implicit: false },
		{ path: "/logs", readOnly: true, implicit: false },
	]);
	t.match(mounts([]).at(-1), { volume: { name: "app-logs", kind: "empty" }, implicit: true });
	t.equal(mounts([]).length, 2, "one for each path");
	t.throws(() => mounts([{ volume: "none", path: "/x" }]), { code: "volume-not-found" });
	t.end();
});

t.test("capabilities", (t) => {
	t.equal(capabilityMask(appCapabilities(undefined)), "a80425fb");
	t.equal(
		capabilityMask(appCapabilities({ mode: "retain", set: ["CAP_CHECKPOINT_RESTORE"] })),
		"10000000000",
	);
	t.equal(capabilityMask(appCapabilities({ mode: "remove", set: ["CAP_CHOWN", "CAP_BPF"] })), "a80425fa");
	t.equal(capabilityMask(appCapabilities(undefined, false)), "1ffffffffff");
	t.throws(() => appCapabilities({ mode: "retain", set: ["CAP_NONSENSE"] }), { code: "capability-unknown" });
	t.end();
});

t.test("system call filters fail closed", (t) => {
	const known = ["clone", "mkdir", "mount", "personality", "settimeofday", "socket", "unshare"];
	const appFilter = (seccomp: Parameters<typeof filterOf>[0]) => filterOf(seccomp, () => known.join("\n"));
	const standard = appFilter(undefined);
	t.strictSame(standard.files, ["app-arguments.bpf", "default.bpf"]);
	t.strictSame(appFilter({ mode: "retain", set: ["@rkt/default-whitelist"] }), standard);
	t.strictSame(appFilter({ mode: "remove", set: ["@appc.io/empty"] }), standard);
	t.strictSame(appFilter({ mode: "retain", set: ["@appc.io/all"] }), { files: [] });
	const refuseAll = { files: [], compiled: { mode: "allow", errno: 1, calls: [] } };
	t.strictSame(appFilter({ mode: "remove", set: ["@appc.io/all"] }), refuseAll);
	t.strictSame(appFilter({ mode: "retain", set: ["@appc.io/empty"] }), refuseAll);
	const named = appFilter({ mode: "remove", set: ["mount", "@systemd/clock"], errno: "ENOSYS" });
	t.match(named.compiled, { mode: "deny", errno: 38 });
	t.ok(named.compiled?.calls.includes("settimeofday"));
	const wider = appFilter({ mode: "retain", set: ["@docker/default-whitelist", "mount"] });
	t.strictSame(wider.files, ["app-arguments.bpf"], "arguments are checked still");
	t.strictSame(wider.compiled?.calls, ["mkdir", "personality", "socket", "clone", "mount"], "what is known");
	const files = (mode: "retain" | "remove", ...set: string[]) => appFilter({ mode, set }).files;
	t.strictSame(files("retain", "@docker/default-whitelist", "clone"), ["socket.bpf", "personality.bpf"]);
	t.strictSame(files("retain", "@systemd/network-io"), ["socket.bpf"]);
	t.strictSame(files("retain", "@systemd/network-io", "socket"), [], "who names a call means it");
	t.strictSame(files("remove", "mkdir"), ["socket.bpf"]);
	t.strictSame(files("remove", "@docker/default-blacklist"), ["clone.bpf", "socket.bpf"]);
	for (const mode of ["retain", "remove"] as const) {
		const unknown = { mode, set: ["mkdir", "mkdri"] };
		t.throws(() => appFilter(unknown), { code: "seccomp-call-unknown", message: /mkdri/ });
	}
	for (const name of ["@docker/nonsense", "@systemd/constructor", "@none/x"]) {
		t.throws(() => appFilter({ mode: "retain", set: [name] }), { code: "seccomp-set-unknown" }, name);
	}
	t.throws(() => appFilter({ mode: "remove", set: ["mount"], errno: "ENONSENSE" }), {
		code: "seccomp-errno-unknown",
	});
	for (const set of [
		"clock",
		"default-whitelist",
		"mount",
		"network-io",
		"obsolete",
		"privileged",
		"process",
		"raw-io",
	])
		t.ok((callsOfSet(`@systemd/${set}`)?.length ?? 0) > 2, set);
	t.end();
});

t.test("the rules that filters are built from", (t) => {
	const allowed = new Set(defaultRules().match(/^allow \w+/gm));
	for (const call of ["read", "statx", "openat2", "futex_waitv", "clone", "rseq"])
		t.ok(allowed.has(`allow ${call}`), call);
	for (const call of ["mount", "unshare", "setns", "bpf", "ptrace", "keyctl", "clone3", "io_uring_setup"])
		t.notOk(allowed.has(`allow ${call}`), call);
	t.match(baselineRules(), /^default 38\nknown allow\n/);
	for (const filter of [argumentFilter("app", "x64"), argumentFilter("baseline", "arm64")]) {
		t.equal(filter.length % 8, 0);
		t.equal(filter.readUInt32LE(filter.length - 4), 0x7fff0000, "what matches nothing is allowed");
	}
	t.throws(() => argumentFilter("app", "mips"), { code: "architecture-unknown" });
	t.end();
});

const UNIT: AppUnit = {
	app: "web",
	podUuid: "01234567-89ab-4cde-8f01-23456789abcd",
	imageName: "example.com/a%n$HOME;b",
	imageId: `sha512-${"0".repeat(128)}`,
	streams: "journal",
	notify: true,
	hasPreStart: true,
	hasPostStop: true,
	stopSignal: 3,
	limits: { memoryLimit: 1024n * 1024n, cpuLimit: 5n, cpuShares: 512, pidsLimit: 10n, oomScoreAdjust: 3 },
	devices: [{ kind: "char", major: 10, minor: 229, readOnly: true }],
	ownKernel: false,
	sockets: ["web.socket"],
};

t.test("systemd understands every unit as it is meant", (t) => {
	const sockets = [
		{ port: "http", setting: "ListenStream", address: "[::]:8080" },
		{ port: "dns", setting: "ListenDatagram", address: "53" },
		{ port: "control", setting: "ListenSequentialPacket", address: "/run/a%n.sock" },
	] as const;
	const units = {
		...staticUnits(),
		"web.service": appUnitText(UNIT),
		"web.socket": socketUnitText("web", sockets),
	};
	const terminal = { ...UNIT, app: "tty", streams: "terminal" as const, devices: [], sockets: [] };
	const directory = t.testdir({ ...units, "tty.service": appUnitText(terminal) });
	const service = fs.readFileSync(path.join(directory, "web.service"), "utf8");
	t.match(service, /^CPUQuota=5‰$/m);
	t.match(service, /^DeviceAllow=\/dev\/char\/10:229 r$/m);
	t.match(service, /^Description=Application=web Image=example\.com\/a%%n\$HOME;b$/m);
	t.match(
		fs.readFileSync(path.join(directory, "web.socket"), "utf8"),
		/ListenStream=\[::\]:8080\nListenDatagram=53\nListenSequentialPacket=\/run\/a%%n\.sock\n/,
	);
	t.notMatch(fs.readFileSync(path.join(directory, "tty.service"), "utf8"), /journal\+console/);

	const files = fs.readdirSync(directory).map((name) => path.join(directory, name));
	const result = spawnSync(
		"systemd-analyze",
		["verify", "--man=no", "--generators=no", "--recursive-errors=no", ...files],
		{
			encoding: "utf8",
			env: { ...process.env, SYSTEMD_UNIT_PATH: directory },
		},
	);
	// The programs are those of the pod. CPUShares is what cgroup v1 has.
	const problems = result.stderr
		.split("\n")
		.filter((line) => line !== "" && !/\/rkt\/|is not executable|CPUShares/.test(line));
	t.strictSame(problems, []);
	t.end();
});

t.test("a value cannot start another line of a unit", (t) => {
	for (const value of [
		"a\nExecStart=/bin/sh",
		"a\r",
		"tab\t",
		"esc\u001b",
		"continued\\",
		" a",
		"a ",
		"\ud800",
		"\uffff",
	]) {
		t.throws(() => renderUnit([["Unit", [["Description", value]]]]), { code: "unit-value-invalid" }, value);
	}
	t.equal(renderUnit([["Unit", [["A", "100% ; # $x 'y'"]]]]), "[Unit]\nA=100%% ; # $x 'y'\n");
	t.end();
});
