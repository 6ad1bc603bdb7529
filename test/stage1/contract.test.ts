import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import * as args from "../../stage1/arguments.ts";
import { readEntrypoints } from "../../stage1/entrypoints.ts";
import { parseGoFlags } from "../../stage1/go-flags.ts";
import { kernelAnnotations, readGuestKernel } from "../../stage1/guest-kernel.ts";
import { stage1Manifest } from "../../stage1/image/manifest.ts";
import { metadataUrl } from "../../stage1/metadata-url.ts";
import { readPodFile, readPodLink } from "../../stage1/pod-files.ts";
import * as podPaths from "../../stage1/pod-paths.ts";
import * as record from "../../stage1/pod-record.ts";
import { readTrace } from "../../stage1/trace.ts";

const UUID = "01234567-89ab-4cde-8f01-23456789abcd";

t.test("run arguments are those of rkt, in its order, and can be read back", (t) => {
	const options: args.RunOptions = {
		uuid: UUID,
		debug: true,
		net: "default:IP=1.2.3.4,other",
		interactive: true,
		privateUsers: "65536:65536",
		mdsToken: "f".repeat(32),
		localConfig: "/etc/rkt",
		hostname: "box",
		dnsConfMode: { resolv: "stage0", hosts: "host" },
		disableCapabilities: true,
		disablePaths: true,
		disableSeccomp: true,
		mutable: true,
		ipc: "parent",
	};
	const { argv, warnings } = args.buildRunArguments(options, 6);
	t.strictSame(argv, [
		"--debug",
		"--net=default:IP=1.2.3.4,other",
		"--interactive",
		"--private-users=65536:65536",
		`--mds-token=${"f".repeat(32)}`,
		"--local-config=/etc/rkt",
		"--hostname=box",
		"--dns-conf-mode=resolv=stage0,hosts=host",
		"--disable-capabilities-restriction",
		"--disable-paths",
		"--disable-seccomp",
		"--mutable",
		"--ipc=parent",
		UUID,
	]);
	t.strictSame(warnings, []);
	t.strictSame(args.parseRunArguments(argv), options);

	const old = args.buildRunArguments(options, 1);
	t.notMatch(old.argv.join(" "), /hostname|dns|disable|mutable|ipc/);
	t.match(old.warnings.join("\n"), /--hostname=box is ignored[\s\S]*--ipc=parent is ignored/);
	const plain = args.buildRunArguments({ uuid: UUID, net: "none" }, 6);
	t.strictSame(plain.argv, ["--net=none", UUID]);
	t.equal(args.parseRunArguments([UUID]).net, "default");
	t.end();
});

t.test("the other entry points", (t) => {
	const enter = { pid: 77, app: "web", command: ["sh", "-c", "--", "x"] };
	t.strictSame(args.buildEnterArguments(enter), ["--pid=77", "--appname=web", "--", "sh", "-c", "--", "x"]);
	t.strictSame(args.parseEnterArguments(args.buildEnterArguments(enter)), enter);
	t.strictSame(args.buildGcArguments({ uuid: UUID, debug: true, localConfig: "/l" }, 6), [
		"--debug",
		"--local-config",
		"/l",
		UUID,
	]);
	t.strictSame(args.buildGcArguments({ uuid: UUID, localConfig: "/l" }, 4), [UUID]);
	t.equal(args.parseGcArguments(["--local-config", "/l", UUID]).localConfig, "/l");
	t.strictSame(args.buildStopArguments({ uuid: UUID, force: true }), ["--force", UUID]);
	t.equal(args.parseStopArguments(["-force=true", UUID]).force, true);
	for (const wrong of [[], [UUID, UUID], ["x"], ["--bogus", UUID], ["--force=maybe", UUID]]) {
		t.throws(() => args.parseStopArguments(wrong), { code: "stage1-arguments-invalid" }, wrong.join(" "));
	}
	for (const wrong of [["--pid=0", "--", "x"], ["--pid=1;2", "--", "x"], ["--pid=5"], ["--pid"]]) {
		t.throws(() => args.parseEnterArguments(wrong), { code: "stage1-arguments-invalid" }, wrong.join(" "));
	}
	for (const wrong of ["--ipc=bogus", "--dns-conf-mode=resolv=bogus,hosts=host"]) {
		t.throws(() => args.parseRunArguments([wrong, UUID]), { code: "stage1-arguments-invalid" });
	}
	t.end();
});

t.test("flags have Go's syntax", (t) => {
	const kinds = { flag: "boolean", text: "string" } as const;
	t.strictSame(parseGoFlags(["-flag", "--text", "a", "rest", "--flag"], kinds), {
		flags: { flag: true, text: "a" },
		rest: ["rest", "--flag"],
	});
	t.strictSame(parseGoFlags(["-text=--", "-flag=F", "--", "-x"], kinds).flags, { text: "--", flag: false });
	t.strictSame(parseGoFlags(["-"], kinds).rest, ["-"]);
	t.strictSame(parseGoFlags(["--text=two\nlines"], kinds).flags.text, "two\nlines");
	for (const name of ["constructor", "__proto__", "x"]) {
		t.throws(() => parseGoFlags([`--${name}=1`], kinds), /flag provided but not defined/, name);
	}
	t.throws(() => parseGoFlags(["--text"], kinds), /flag needs an argument: -text/);
	t.end();
});

t.test("entry points of an image", (t) => {
	const own = readEntrypoints(JSON.parse(stage1Manifest("coreos.com/rkt/stage1-test", "x64")));
	t.match(own, { run: "/rkt/run", enter: "/rkt/enter", module: "/rkt/stage1.cjs", interfaceVersion: 6 });
	const image = (annotations: { name: string; value: string }[]) => ({ name: "example.com/s", annotations });
	const run = { name: "coreos.com/rkt/stage1/run", value: "/init" };
	t.match(readEntrypoints(image([run])), { run: "/init", enter: undefined, interfaceVersion: 1 });
	t.throws(() => readEntrypoints({ name: "example.com/s" }), { code: "stage1-entrypoint-missing" });
	for (const value of ["init", "/../../bin/sh", "/a\0b"]) {
		t.throws(() => readEntrypoints(image([{ ...run, value }])), { code: "stage1-entrypoint-invalid" }, value);
	}
	const version = { name: "coreos.com/rkt/stage1/interface-version", value: "six" };
	t.throws(() => readEntrypoints(image([run, version])), { code: "stage1-entrypoint-invalid" });
	t.end();
});

t.test("the kernel that an image says it brings", (t) => {
	const kernel = { release: "6.12.1", source: "linux-image 6.12.1", sha512: "0".repeat(128) };
	const manifest = (given: typeof kernel) =>
		JSON.parse(stage1Manifest("coreos.com/rkt/stage1-test", "x64", kernelAnnotations(given)));
	t.strictSame(readGuestKernel(manifest(kernel)), kernel);
	t.equal(readGuestKernel(JSON.parse(stage1Manifest("coreos.com/rkt/stage1-test", "x64"))), undefined);
	for (const bad of [{ release: "6\u001b[2J" }, { source: "" }, { sha512: "0".repeat(127) }]) {
		t.equal(readGuestKernel(manifest({ ...kernel, ...bad })), undefined, JSON.stringify(bad));
	}
	t.end();
});

t.test("what a pod wrote is read without trust", (t) => {
	const root = t.testdir({
		pod: "{}",
		ppid: "12345\n",
		"overlay-prepared": "",
		stage1TreeStoreID: "tree\n",
		"net-info.json": JSON.stringify([{ netName: "default", ip: "172.16.28.2", mask: "255.255.255.0", x: 1 }]),
		secret: "42\n",
		overlay: { tree: { upper: { rkt: { status: { good: "7\n", text: "seven", huge: "1".repeat(100) } } } } },
	});
	const upper = path.join(root, "overlay/tree/upper");
	const status = path.join(upper, "rkt/status");
	fs.symlinkSync(path.join(root, "secret"), path.join(status, "link"));
	fs.mkdirSync(path.join(status, "directory"));
	const apps = ["good", "text", "huge", "link", "directory", "missing"];
	t.strictSame([...record.readExitStatuses(root, apps)], [["good", 7]]);
	t.equal(record.isSupervisorReady(root), false);
	fs.symlinkSync("ready", path.join(upper, "rkt/supervisor-status"));
	t.equal(record.isSupervisorReady(root), true);

	fs.renameSync(path.join(upper, "rkt"), path.join(upper, "moved"));
	fs.symlinkSync("moved", path.join(upper, "rkt"));
	t.strictSame([...record.readExitStatuses(root, apps)], [], "a link on the way is not followed");
	t.equal(readPodLink(upper, "rkt"), "moved");
	t.equal(readPodFile(upper, "moved/status/good", 1), undefined, "larger than the limit");

	t.strictSame(record.readRecordedProcess(root), { kind: "ppid", pid: 12345 });
	t.match(record.readNetInfo(root), [{ netName: "default", ip: "172.16.28.2", ifName: "" }]);
	fs.writeFileSync(path.join(root, "pid"), "99\n");
	t.strictSame(record.readRecordedProcess(root), { kind: "pid", pid: 99 });
	fs.writeFileSync(path.join(root, "net-info.json"), "[{");
	t.throws(() => record.readNetInfo(root), { code: "pod-record-invalid" });
	t.end();
});

t.test("a trace is shown whatever the pod has written", (t) => {
	const pod = t.testdir({
		trace: "began 1700000000000000\nstage1 exec 1700000000500000\n",
		stage1: { rootfs: { rkt: {} } },
	});
	const inside = path.join(pod, "stage1/rootfs/rkt/trace");
	const exec = { phase: "stage1 exec", at: 500_000, took: 500_000 };
	t.strictSame(readTrace(pod), [exec], "the pod has written nothing");
	const lines = [
		"app a started 1700000000700000",
		"stage0 false 1700000000100000",
		"app \u001b[2J 1700000000700000",
		"app b 1e99",
	];
	fs.writeFileSync(inside, `${lines.join("\n")}\n${"x".repeat(5000)}`);
	t.strictSame(readTrace(pod), [exec, { phase: "app a started", at: 700_000, took: 200_000 }]);
	fs.rmSync(inside);
	fs.symlinkSync("/etc/passwd", inside);
	t.strictSame(readTrace(pod), [exec], "links are not followed");
	t.equal(readTrace(path.join(pod, "stage1")), undefined, "not traced");
	t.end();
});

t.test("paths and names", (t) => {
	t.equal(podPaths.appRootfs("/p", "web"), "/p/stage1/rootfs/opt/stage2/web/rootfs");
	t.equal(podPaths.overlayUpper("/p", "id", "web"), "/p/overlay/id/upper/web");
	t.equal(podPaths.machineId(UUID), "0123456789ab4cde8f0123456789abcd");
	t.equal(metadataUrl("tok", "172.16.28.1"), "http://172.16.28.1:18112/tok");
	t.equal(metadataUrl(undefined, "172.16.28.1"), undefined);
	t.equal(metadataUrl(undefined, undefined), undefined);
	t.throws(() => metadataUrl("tok", undefined), { code: "metadata-unreachable" });
	t.end();
});
