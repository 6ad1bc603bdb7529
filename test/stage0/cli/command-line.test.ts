import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { RktError } from "../../../lib/errors.ts";
import { readImageWords } from "../../../stage0/cli/app-args.ts";
import { readAppFlags, readAppOverrides } from "../../../stage0/cli/app-overrides.ts";
import { lookupIn, splitWords, toCanonicalWords } from "../../../stage0/cli/argv.ts";
import { COMMANDS } from "../../../stage0/cli/command-table.ts";
import { bashCompletion } from "../../../stage0/cli/completion/bash.ts";
import { findCommand } from "../../../stage0/cli/find-command.ts";
import { GLOBAL_OPTIONS, readGlobals } from "../../../stage0/cli/globals.ts";
import { commandHelp, rootHelp } from "../../../stage0/cli/help-text.ts";
import { parseInsecureOptions } from "../../../stage0/cli/insecure-options.ts";
import { flag, type OptionSpec, text } from "../../../stage0/cli/option.ts";
import { binarySize, fullTime, relativeTime } from "../../../stage0/cli/output/human.ts";
import { formatTabTable } from "../../../stage0/cli/output/tab-table.ts";
import { parseTokens } from "../../../stage0/cli/parse-command.ts";
import { createParsedOptions, type ParsedOptions } from "../../../stage0/cli/parsed-options.ts";
import { APP_OPTIONS } from "../../../stage0/cli/tables/app-options.ts";
import { PREPARE_OPTIONS, START_OPTIONS } from "../../../stage0/cli/tables/pod-options.ts";
import { readNameResolution } from "../../../stage0/cli/values/dns.ts";
import { mergeEnvironment, readPodEnvironment } from "../../../stage0/cli/values/environment.ts";
import { mergeMounts, parseMount } from "../../../stage0/cli/values/mount.ts";
import { parsePort } from "../../../stage0/cli/values/port.ts";
import { formatDuration, parseBool, parseDuration } from "../../../stage0/cli/values/scalars.ts";
import { parseVolume } from "../../../stage0/cli/values/volume.ts";
import { createTestHost } from "../../support/test-host.ts";

const POD_OPTIONS = [...PREPARE_OPTIONS, ...START_OPTIONS];
const podLookup = lookupIn(POD_OPTIONS, GLOBAL_OPTIONS);

async function options(specs: readonly OptionSpec[], ...words: string[]): Promise<ParsedOptions> {
	const { tokens } = splitWords(words, lookupIn(specs), false);
	return createParsedOptions(specs, await parseTokens("test", specs, tokens));
}

function codeOf(action: () => unknown): string | undefined {
	try {
		action();
		return undefined;
	} catch (error) {
		return error instanceof RktError ? error.code : `no RktError: ${error}`;
	}
}

t.test("flags are read as rkt's flag library reads them", async (t) => {
	const canonical = (...words: string[]) => toCanonicalWords(splitWords(words, podLookup, false).tokens);
	t.strictSame(canonical("--net", "image"), ["--net=default"], "a bare value takes no next word");
	t.strictSame(canonical("--private-net"), ["--private-net=all"]);
	t.strictSame(canonical("--net=host", "--dns", "1.1.1.1"), ["--net=host", "--dns=1.1.1.1"]);
	t.strictSame(canonical("--interactive=false", "--debug"), ["--interactive=false", "--debug=true"]);
	t.strictSame(canonical("--volume"), ["--volume"], "a missing value is left for the parser to refuse");
	t.strictSame(canonical("--set-env=A=b=c\nd"), ["--set-env=A=b=c\nd"]);
	t.strictSame(splitWords(["a", "--debug", "b", "--", "--net"], podLookup, false).rest, ["a", "b", "--net"]);
	t.strictSame(splitWords(["--debug", "a", "--debug", "-x"], podLookup, true).rest, ["a", "--debug", "-x"]);
	t.strictSame(splitWords(["-", "-x"], podLookup, false), {
		tokens: [{ kind: "unknown", text: "-x" }],
		rest: ["-"],
	});

	const parsed = await options(
		POD_OPTIONS,
		"--no-overlay",
		"--dns=1",
		"--dns=2",
		"--hostname=a",
		"--hostname=b",
	);
	t.equal(parsed.on("no-overlay"), true, "a flag named no-… is no negation");
	t.equal(parsed.on("interactive"), false);
	t.strictSame(parsed.list("dns"), ["1", "2"]);
	t.equal(parsed.text("hostname"), "b", "the last one counts");
	t.equal(parsed.given("ipc"), false);
	t.throws(() => parsed.on("no-such-flag"), "asking for a flag that is not in the table is a bug");
	await t.rejects(options(POD_OPTIONS, "--volum=x"), { code: "flag-unknown", hint: /--volume/ });
	await t.rejects(options(POD_OPTIONS, "-i"), { code: "flag-unknown", message: /shorthand/ });
	const short = [
		{ ...flag("follow", ""), short: "f" },
		{ ...text("output", ""), short: "o" },
	];
	const spelled = ["-f -o json", "-f -ojson", "-f=true -o=json", "--follow --output json"];
	for (const words of spelled) {
		const { tokens, rest } = splitWords([...words.split(" "), "uuid"], lookupIn(short), false);
		t.strictSame(toCanonicalWords(tokens), ["--follow=true", "--output=json"], words);
		t.strictSame(rest, ["uuid"]);
	}
	await t.rejects(options(POD_OPTIONS, "--hostname"), { code: "flag-value-missing", message: /--hostname/ });
	await t.rejects(options(POD_OPTIONS, "--interactive=perhaps"), { code: "flag-value-invalid" });
	await t.rejects(options(POD_OPTIONS, "--pull-policy=often"), {
		code: "flag-value-invalid",
		message: /never/,
	});
});

t.test("the grammar of images", async (t) => {
	const grammar = { podLookup, appOptions: APP_OPTIONS, allowArguments: true };
	const read = (...words: string[]) => readImageWords(words, grammar);
	const plain = read(
		"--net=host",
		"a",
		"--exec",
		"/x",
		"--debug",
		"--",
		"-c",
		"",
		"--net",
		"---",
		"b",
		"--memory=1M",
	);
	t.strictSame(
		plain.apps.map((app) => [app.image, app.options.map((o) => `${o.spec.name}=${o.value}`), app.args]),
		[
			["a", ["exec=/x"], ["-c", "", "--net"]],
			["b", ["memory=1M"], []],
		],
		"arguments are kept as they are, also empty ones",
	);
	t.strictSame(toCanonicalWords(plain.podTokens), ["--net=host", "--debug=true"], "pod flags stand anywhere");
	t.strictSame(read("--mount", "volume=v,target=/t", "a").globalMounts, ["volume=v,target=/t"]);
	t.equal(read("a", "--mount=volume=v,target=/t").apps[0]?.options.length, 1);
	t.strictSame(
		read("--", "a", "", "---", "b").apps.map((app) => app.image),
		["a", "b"],
	);
	t.equal(
		codeOf(() => read("--", "--", "a")),
		"image-required",
	);
	t.equal(
		codeOf(() => read("--exec=/x", "a")),
		"image-required",
	);
	t.equal(
		codeOf(() => read("a", "--", "x", "---", "--", "y")),
		"app-arguments-repeated",
	);
	t.equal(
		codeOf(() => read("a", "--exec=/x", "--exec=/y")),
		"flag-repeated",
	);
	t.equal(
		codeOf(() => readImageWords(["a", "--", "x"], { ...grammar, allowArguments: false })),
		"app-arguments-unsupported",
	);
	t.equal(read("a", "--", "x", "--", "y").apps[0]?.args.join(" "), "x -- y", "only --- ends arguments");
});

t.test("finding the command", async (t) => {
	const globals = lookupIn(GLOBAL_OPTIONS);
	const name = (...words: string[]): string => {
		const { found } = findCommand(words, globals);
		return found.kind === "command" ? found.command.name : found.kind === "group" ? `${found.name}/` : "";
	};
	t.equal(name("--debug", "im", "--dir", "/x", "li"), "image list");
	t.equal(name("prepare"), "prepare");
	t.equal(name("run"), "run", "a full name wins over a longer one");
	t.equal(name("image"), "image/");
	t.equal(name(), "");
	t.strictSame(findCommand(["list", "--full", "x"], globals).rest, ["--full", "x"]);
	t.equal(
		codeOf(() => name("r")),
		"command-unknown",
		"run, run-prepared and rm begin so",
	);
	t.equal(
		codeOf(() => name("image", "frobnicate")),
		"command-unknown",
	);
	try {
		name("statsu");
	} catch (error) {
		t.match(error, { hint: /rkt status/ });
	}
});

t.test("global flags", async (t) => {
	const globals = async (...words: string[]) => readGlobals(await options(GLOBAL_OPTIONS, ...words));
	t.match(await globals(), {
		debug: false,
		dir: undefined,
		localConfig: "/etc/rkt",
		systemConfig: "/usr/lib/rkt",
	});
	t.equal((await globals("--dir=data")).dir, path.resolve("data"));
	await t.rejects(globals("--dir="), { code: "flag-value-invalid" });
	const old = (await globals("--insecure-skip-verify")).insecure;
	t.match(old, { image: true, tls: true, http: false, seccomp: false });
	t.match(parseInsecureOptions("ALL-run,tls"), {
		capabilities: true,
		paths: true,
		seccomp: true,
		tls: true,
		image: false,
	});
	t.equal(
		codeOf(() => parseInsecureOptions("image,image")),
		"flag-value-invalid",
	);
	t.equal(
		codeOf(() => parseInsecureOptions("")),
		"flag-value-invalid",
	);
	t.equal(
		codeOf(() => parseInsecureOptions("constructor")),
		"flag-value-invalid",
	);
});

t.test("values of flags", async (t) => {
	t.strictSame(parseVolume("data,kind=host,source=/srv/a+b%20c,readOnly=true,recursive=false,suid=1"), {
		name: "data",
		kind: "host",
		readOnly: true,
		recursive: false,
		suid: true,
		source: "/srv/a+b%20c",
	});
	t.strictSame(parseVolume("e,kind=empty,mode=0700,uid=1,gid=2"), {
		name: "e",
		kind: "empty",
		mode: "0700",
		uid: 1,
		gid: 2,
	});
	const badVolumes = [
		"",
		"Data,kind=empty",
		"d",
		"d,kind=odd",
		"d,kind=host",
		"d,kind=host,source=relative",
		"d,kind=host,source=/a,mode=0755",
		"d,kind=empty,source=/a",
		"d,kind=empty,mode=9",
		"d,kind=empty,uid=-1",
		"d,kind=empty,uid=4294967295",
		"d,kind=empty,readOnly=maybe",
		"d,kind=empty,colour=red",
		"d,kind=empty,kind=empty",
	];
	for (const value of badVolumes)
		t.equal(
			codeOf(() => parseVolume(value)),
			"flag-value-invalid",
			value,
		);

	t.strictSame(parsePort("http:8080"), { name: "http", hostPort: 8080 });
	t.strictSame(parsePort("http:127.0.0.1:80"), { name: "http", hostPort: 80, hostIP: "127.0.0.1" });
	for (const value of [
		"http",
		"http:",
		":80",
		"http:65536",
		"http:-1",
		"http:1e3",
		"http:[::1]:80",
		"http:::1:80",
		"h:1.2.3:80",
	]) {
		t.equal(
			codeOf(() => parsePort(value)),
			"flag-value-invalid",
			value,
		);
	}
	t.strictSame(parseMount("volume=v,target=/a%20b+c"), { volume: "v", path: "/a%20b+c" });
	for (const value of [
		"volume=v",
		"target=/a",
		"volume=V,target=/a",
		"volume=v,target=a",
		"volume=v,target=/a,x=y",
	]) {
		t.equal(
			codeOf(() => parseMount(value)),
			"flag-value-invalid",
			value,
		);
	}
	const merged = mergeMounts(
		[{ volume: "own", path: "/a/../b/" }],
		[
			{ volume: "all", path: "/b" },
			{ volume: "all", path: "/c" },
		],
	);
	t.strictSame(
		merged.map((mount) => mount.volume),
		["own", "all"],
		"an app's own mount wins",
	);

	t.equal(parseBool("TRUE"), true);
	t.equal(parseBool("yes"), undefined);
	t.equal(parseDuration("1h30m"), 5_400_000);
	t.equal(parseDuration("-1.5s"), -1500);
	t.equal(parseDuration("0"), 0);
	t.equal(parseDuration("10"), undefined);
	t.equal(parseDuration("soon"), undefined);
	t.equal(formatDuration(1_800_000), "30m0s");
	t.equal(formatDuration(0), "0s");
	t.equal(formatDuration(86_400_000), "24h0m0s");
});

t.test("name resolution", async (t) => {
	const read = async (...words: string[]) => readNameResolution(await options(START_OPTIONS, ...words));
	t.match(await read(), { resolv: "default", hosts: "default" });
	t.match(await read("--dns=host", "--hosts-entry=host"), { resolv: "host", hosts: "host" });
	const made = await read(
		"--dns=10.0.0.1,fd00::1",
		"--dns=10.0.0.2",
		"--dns-search=a.example",
		"--dns-opt=ndots:2",
	);
	t.equal(made.resolv, "stage0");
	t.match(
		made.resolvConf,
		/search a\.example\nnameserver 10\.0\.0\.1\nnameserver fd00::1\nnameserver 10\.0\.0\.2\noptions ndots:2\n/,
	);
	t.match(
		(await read("--hosts-entry=10.0.0.1=a,10.0.0.1=b", "--hosts-entry=fd00::1=c")).hostsFile,
		/10\.0\.0\.1 a b\nfd00::1 c\n/,
	);
	const bad = [
		["--dns=nowhere"],
		["--dns=none", "--dns=10.0.0.1"],
		["--dns=host", "--dns-search=a"],
		["--dns-search=a\nnameserver 6.6.6.6"],
		["--dns-opt="],
		["--hosts-entry=10.0.0.1"],
		["--hosts-entry=10.0.0.1=a b"],
		["--hosts-entry=x=a"],
		["--hosts-entry=host", "--hosts-entry=10.0.0.1=a"],
	];
	for (const words of bad) {
		const code = words[0]?.startsWith("--hosts") ? "hosts-entry-invalid" : "dns-invalid";
		await t.rejects(read(...words), { code }, words.join(" "));
	}
});

t.test("environment", async (t) => {
	const file = path.join(t.testdir(), "env");
	fs.writeFileSync(file, "# no\n; no\n\nB=file\nC=file\nD=file=x\n");
	const caller = { A: "caller", B: "caller", "BASH_FUNC_x%%": "() { :; }" };
	const pod = readPodEnvironment(
		await options(PREPARE_OPTIONS, "--inherit-env", `--set-env-file=${file}`, "--set-env=C=set"),
		caller,
	);
	const own = new Map([["D", "own\nline"]]);
	const image = [
		{ name: "A", value: "image" },
		{ name: "E", value: "image" },
	];
	const merged = Object.fromEntries(
		mergeEnvironment(image, pod, own).map(({ name, value }) => [name, value]),
	);
	t.strictSame(merged, { A: "image", B: "file", C: "set", D: "own\nline", E: "image" });
	const refused = async (word: string) =>
		t.rejects(
			options(PREPARE_OPTIONS, word).then((parsed) => readPodEnvironment(parsed, {})),
			{ code: "flag-value-invalid" },
			word,
		);
	for (const word of ["--set-env=X", "--set-env==x", "--set-env=1A=x", "--set-env=A\nB=x", "--set-env=A B=x"])
		await refused(word);
	fs.writeFileSync(file, "GOOD=1\nBAD\n");
	const bad = await options(PREPARE_OPTIONS, `--set-env-file=${file}`);
	t.throws(() => readPodEnvironment(bad, {}), { code: "environment-file-invalid", message: /line 2/ });
});

t.test("flags of an app", async (t) => {
	const read = (...words: string[]) => {
		const app = readImageWords(["image", ...words], {
			podLookup,
			appOptions: APP_OPTIONS,
			allowArguments: true,
		}).apps[0];
		if (app === undefined) throw new Error("no app");
		return readAppOverrides(app, readAppFlags(app, APP_OPTIONS), []);
	};
	const all = read(
		"--name=web",
		"--user=1000",
		"--group=/etc/passwd",
		"--supplementary-gids=1,2",
		"--working-dir=/srv",
		"--readonly-rootfs=false",
		"--environment=A=b",
		"--annotation=example.com/x=y",
		"--user-label=k=v=w",
		"--stdin=tty",
		"--memory=1.5Gi",
		"--cpu=500m",
		"--cpu-shares=100",
		"--oom-score-adj=-5",
		"--caps-retain=CAP_CHOWN,CAP_KILL",
		"--seccomp=mode=remove,errno=EPERM,mount,@rkt/default-blacklist",
		"--",
		"arg",
	);
	t.match(all, {
		name: "web",
		user: "1000",
		group: "/etc/passwd",
		supplementaryGIDs: [1, 2],
		workingDirectory: "/srv",
	});
	t.equal(all.readOnlyRootFS, false);
	t.strictSame(all.args, ["arg"]);
	t.strictSame(all.annotations, [
		{ name: "example.com/x", value: "y" },
		{ name: "coreos.com/rkt/stage2/stdin", value: "tty" },
	]);
	t.strictSame(all.userLabels, { k: "v=w" });
	t.strictSame(
		all.isolators.map(({ isolator }) => [isolator.name, isolator.value]),
		[
			["resource/memory", { request: "1536Mi", limit: "1536Mi" }],
			["resource/cpu", { request: "500m", limit: "500m" }],
			["os/linux/cpu-shares", 100],
			["os/linux/oom-score-adj", -5],
			["os/linux/capabilities-retain-set", { set: ["CAP_CHOWN", "CAP_KILL"] }],
			["os/linux/seccomp-remove-set", { set: ["mount", "@rkt/default-blacklist"], errno: "EPERM" }],
		],
	);
	const bad = [
		"--name=Web",
		"--user=",
		"--user=a b",
		"--supplementary-gids=a",
		"--supplementary-gids=4294967295",
		"--working-dir=relative",
		"--readonly-rootfs=2",
		"--environment=A",
		"--annotation=A=b",
		"--stdin=file",
		"--memory=16m",
		"--memory=-5Gi",
		"--cpu=0",
		"--cpu-shares=1",
		"--oom-score-adj=1001",
		"--caps-retain=chown",
		"--seccomp=mode=retain",
		"--seccomp=mount",
		"--seccomp=mode=remove,errno=1,mount",
		"--seccomp=mode=remove,mode=retain,mount",
	];
	for (const word of bad)
		t.equal(
			codeOf(() => read(word)),
			"flag-value-invalid",
			word,
		);
	t.equal(
		codeOf(() => read("--memory=12Q")),
		"quantity-invalid",
	);
	t.equal(
		codeOf(() => read("--caps-retain=CAP_KILL", "--caps-remove=CAP_CHOWN")),
		"flag-value-invalid",
	);
	t.equal(
		codeOf(() => read("--memory")),
		"flag-value-missing",
	);
});

t.test("tables and times look as rkt prints them", async (t) => {
	t.equal(
		formatTabTable([
			["UUID", "APP", "STATE"],
			["12345678", "a", "running"],
			["", "a-longer-name", "x"],
		]),
		"UUID\t\tAPP\t\tSTATE\n12345678\ta\t\trunning\n\t\ta-longer-name\tx\n",
	);
	t.equal(formatTabTable([["a", "b"], ["alone"], ["longer-than-8", "c"]]), "a\tb\nalone\nlonger-than-8\tc\n");
	t.equal(
		formatTabTable([
			["é234567", "b"],
			["x", ""],
		]),
		"é234567\tb\nx\t\n",
		"characters count, not bytes",
	);
	t.equal(formatTabTable([]), "");

	const now = new Date("2026-01-01T00:00:00Z");
	const ago = (seconds: number) => relativeTime(new Date(now.getTime() - seconds * 1000), now);
	t.strictSame(
		[0, 1, 59, 60, 120, 3600, 7200, 86_400, 172_800, 604_800, 2_592_000, 31_104_000, 1e9, 1.5e9].map(ago),
		[
			"now",
			"1 second ago",
			"59 seconds ago",
			"1 minute ago",
			"2 minutes ago",
			"1 hour ago",
			"2 hours ago",
			"1 day ago",
		].concat(["2 days ago", "1 week ago", "1 month ago", "1 year ago", "32 years ago", "a long while ago"]),
	);
	t.equal(ago(-7200), "2 hours from now");
	t.match(fullTime(new Date(2026, 0, 2, 3, 4, 5, 60)), /^2026-01-02 03:04:05\.06 [+-]\d{4} \S+$/);
	t.match(fullTime(new Date(2026, 0, 2, 3, 4, 5)), /^2026-01-02 03:04:05 [+-]\d{4} \S+$/);
	t.strictSame([0, 9, 10, 1023, 1024, 7_969_178, 20_971_520].map(binarySize), [
		"0B",
		"9B",
		"10B",
		"1023B",
		"1.0KiB",
		"7.6MiB",
		"20MiB",
	]);
});

t.test("help and completion are made from the tables", async (t) => {
	const root = rootHelp();
	t.match(root, /^NAME:\n\trkt - /);
	for (const command of COMMANDS.filter((one) => !one.hidden)) {
		t.ok(root.includes(`\t${command.name}\t`), command.name);
		const help = commandHelp(command);
		for (const title of ["NAME", "USAGE", "DESCRIPTION", "OPTIONS", "GLOBAL OPTIONS"]) {
			t.ok(help.includes(`${title}:\n`), `${command.name}: ${title}`);
		}
	}
	const run = COMMANDS.find((command) => command.name === "run");
	const help = run ? commandHelp(run) : "";
	t.match(help, / {6}--net\[=default\]\t/);
	t.match(help, / {6}--pull-policy="new"\t/);
	t.match(help, / {6}--interactive\[=false\]\t/);
	t.notMatch(help, /--store-only|--private-net|--stdin/, "old and hidden flags are left out");
	t.notOk(root.includes("image fetch"));

	const complete = (...words: string[]): string[] => {
		const script = `${bashCompletion()}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})\nCOMP_CWORD=${words.length - 1}\n__rkt\nprintf '%s\\n' "\${COMPREPLY[@]}"`;
		const result = spawnSync("bash", ["-c", script], { encoding: "utf8" });
		t.equal(result.stderr, "", words.join(" "));
		return result.stdout.split("\n").filter(Boolean);
	};
	t.strictSame(complete("rkt", "ru"), ["run", "run-prepared"]);
	t.ok(complete("rkt", "image", "").includes("cat-manifest"));
	t.strictSame(complete("rkt", "--debug", "run", "--pull-policy", "=", "ne"), ["never", "new"]);
	t.ok(complete("rkt", "run", "--vol").includes("--volume="));
	t.ok(complete("rkt", "image", "list", "--no").includes("--no-legend"));
	t.ok(complete("rkt", "help", "st").includes("status"));
});

t.test("whole command lines: status, output and messages", async (t) => {
	const host = createTestHost("cli");
	t.teardown(() => host.remove());
	const cases: readonly (readonly [words: string[], status: number, output: RegExp, errors: RegExp])[] = [
		[[], 2, /^NAME:\n\trkt - .*\n\nUSAGE:/, /^rkt: missing command\n$/],
		[["no-such"], 254, /^$/, /^rkt: unknown command "no-such" for "rkt"\nhint: /],
		[["lst"], 254, /^$/, /hint: did you mean rkt list\?/],
		[["image"], 0, /image list/, /^$/],
		[["image", "nope"], 254, /^$/, /for "rkt image"/],
		[["vers"], 0, /^rkt Version: \d+\.\d+\.\d+\nappc Version: 0\.8\.11\nNode Version: v\d/, /^$/],
		[["help", "im", "list"], 0, /^NAME:\n\timage list - /, /^$/],
		[["run", "-h"], 0, /^NAME:\n\trun - /, /^$/],
		[["list", "extra"], 254, /^NAME:\n\tlist/, /^list: too many arguments\n$/],
		[["list", "--ful"], 254, /^$/, /^list: unknown flag: --ful\nhint: did you mean --full\?\n$/],
		[["--no-legend", "list"], 0, /^$/, /^$/],
		[["list", "--format=yaml"], 254, /^$/, /invalid argument "yaml" for --format/],
		[["list", "--format=json"], 0, /^null\n$/, /^$/],
		[["image", "list", "--format=json"], 0, /^null\n$/, /^$/],
		[["image", "list", "--fields=id,id"], 254, /^$/, /id is repeated/],
		[["run"], 254, /^$/, /^run: must provide at least one image\n/],
		[["run", "--pod-manifest=/x", "--set-env=A=b", "image"], 254, /^$/, /--set-env, image image/],
		[["run", "--stage1-path=a", "--stage1-hash=b", "image"], 254, /^$/, /--stage1-path and --stage1-hash/],
		[
			["run", "--store-only", "--no-store", "image"],
			254,
			/^$/,
			/Flag --store-only has been deprecated, please use/,
		],
		[["run", "--net=none", "--port=a:1", "image"], 254, /^$/, /--port needs a network/],
		[["run", "--net=host,host", "image"], 254, /^$/, /duplicate/],
		[["run", "--net=nowhere", "image"], 254, /^$/, /networks not found: nowhere/],
		[["run", "--net=none", "--hostname=a b", "image"], 254, /^$/, /hostname/],
		[["run", "--net=none", "--mds-register", "image"], 254, /^$/, /--net=none/],
		[["run", "--net=none", "--interactive", "a", "b"], 254, /^$/, /one app/],
		[["status"], 254, /^$/, /^status: must provide exactly one UUID/],
		[["status", "--wait=soon", "abc"], 254, /^$/, /soon/],
		[["status", "--uuid-file=/does/not/exist"], 1, /^$/, /does\/not\/exist/],
		[["stop", "--uuid-file=/does/not/exist"], 1, /^$/, /does\/not\/exist/],
		[["rm", "--uuid-file=/does/not/exist"], 254, /^$/, /does\/not\/exist/],
		[["rm", "zzz"], 254, /^$/, /^rm: invalid UUID: "zzz"/],
		[["enter"], 254, /^NAME:\n\tenter/, /^enter: not enough arguments/],
		[["gc", "--grace-period=5"], 254, /^$/, /expected a duration/],
		[["trust", "key.asc"], 254, /^$/, /implicit unbounded trust/],
		[["trust", "--root", "--prefix=a", "k"], 254, /^$/, /exclude each other/],
		[["trust", "--prefix=https://a", "k"], 254, /^$/, /scheme/],
		[["trust", "--insecure-options=image", "--root", "k"], 254, /^$/, /could not get the keystore/],
		[["completion", "tcsh"], 254, /^$/, /'tcsh' shell is not supported/],
		[["config", "--pretty-print=false"], 0, /^\{"stage0":\[/, /^$/],
		[["run", "--net=none", "./missing.aci", "--", "--help"], 254, /^$/, /^run: .*missing\.aci/m],
		[["--debug", "rm", "zzz"], 254, /^$/, /└─invalid UUID: "zzz" \[uuid-invalid\]/],
	];
	for (const [words, status, output, errors] of cases) {
		const result = await host.rkt(words);
		const name = words.join(" ");
		t.equal(result.status, status, name);
		t.match(result.stdout, output, name);
		t.match(result.stderr, errors, name);
	}
	t.notOk(fs.existsSync(path.join(host.dataDirectory, "pods")), "nothing of it made a pod");
});
