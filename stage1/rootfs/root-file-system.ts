import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { runCommand } from "../../lib/process.ts";
import { DEFAULT_JOURNAL_SIZE } from "../journal.ts";
import { ARGUMENT_FILTER_FILES, FILTER_FILES, KNOWN_CALLS_FILE } from "../security/app-filter.ts";
import { argumentFilter } from "../security/argument-filter.ts";
import { baselineRules, defaultRules } from "../security/filter-rules.ts";
import { staticUnits } from "../units/static-units.ts";

/*
 * The root file system that every backend boots: systemd, journald and their libraries from the Debian packages of the
 * building machine, our units and our guest programs. Runs at build time.
 */

const SYSTEMD_PROGRAMS = ["systemd", "systemd-journald", "systemd-shutdown"];

const DIRECTORIES = [
	...["dev", "etc/systemd/system", "opt/stage2", "proc", "run", "sys", "tmp", "var/log/journal"],
	...["usr/bin", "usr/lib/systemd/system/default.target.wants", "usr/lib64"],
	...["rkt/env", "rkt/reason", "rkt/seccomp", "rkt/spec", "rkt/status"],
];

const LINKS = {
	bin: "usr/bin",
	lib: "usr/lib",
	lib64: "usr/lib64",
	sbin: "usr/bin",
	"usr/sbin": "bin",
	"var/run": "../run",
} as const;

/** Nothing is dropped for being too much at once; what is too much in all makes room by age. */
const JOURNALD_CONF = `[Journal]
Storage=persistent
SplitMode=none
ReadKMsg=no
Audit=no
RateLimitIntervalSec=0
LineMax=1M
SystemMaxUse=${DEFAULT_JOURNAL_SIZE}
`;

const FILES = {
	"etc/group": "root:x:0:\ntty:x:5:\nsystemd-journal:x:190:\nnogroup:x:65534:\n",
	"etc/machine-id": "",
	"etc/nsswitch.conf": "passwd: files\ngroup: files\n",
	"etc/os-release": "NAME=rkt-stage1\nID=rkt\nVERSION_ID=2\n",
	"etc/passwd": "root:x:0:0:root:/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n",
	"etc/systemd/journald.conf": JOURNALD_CONF,
} as const;

/** Fills an empty directory. `sources` is the folder that holds `stage1/guest`. */
export function buildRootFileSystem(root: string, sources: string): void {
	for (const directory of DIRECTORIES) fs.mkdirSync(path.join(root, directory), { recursive: true });
	for (const [link, target] of Object.entries(LINKS)) fs.symlinkSync(target, path.join(root, link));
	for (const [file, text] of Object.entries(FILES)) fs.writeFileSync(path.join(root, file), text);
	for (const [unit, text] of Object.entries(staticUnits())) {
		fs.writeFileSync(path.join(root, "usr/lib/systemd/system", unit), text);
	}
	fs.writeFileSync(path.join(root, "systemd-version"), `v${systemdVersion()}\n`);
	copySystemd(root);
	const guest = path.join(sources, "stage1/guest");
	const common = ["spec", "confine", "rlimits", "filter", "app-root", "devices"].map((name) =>
		path.join(guest, `${name}.c`),
	);
	const trace = path.join(guest, "trace.c");
	const launch = ["launch", "forward-output"].map((name) => path.join(guest, `${name}.c`));
	compileStatic([...launch, trace, ...common], path.join(root, "rkt/launch"), ["-lseccomp"]);
	const status = ["app-status", "drain-journal", "show-trace"].map((name) => path.join(guest, `${name}.c`));
	compileStatic([...status, trace], path.join(root, "rkt/app-status"));
	const enter = ["enter", "terminal"].map((name) => path.join(guest, `${name}.c`));
	compileStatic([...enter, ...common], path.join(root, "rkt/enter-helper"), ["-lseccomp"]);
	const probe = ["probe", "probe-process", "probe-calls", "probe-files"].map((name) =>
		path.join(guest, `${name}.c`),
	);
	compileStatic(probe, path.join(root, "rkt/probe"));
	buildFilters(path.join(root, "rkt/seccomp"), guest);
}

/** Compiles one of the guest programs; static, because it must run in any image and find nothing there. */
export function compileStatic(files: readonly string[], output: string, libraries: string[] = []): void {
	const options = [
		"-std=gnu17",
		"-O2",
		"-Wall",
		"-Wextra",
		"-Werror",
		"-static",
		"-s",
		"-Wl,--build-id=none",
	];
	run("gcc", [...options, "-o", output, ...files, ...libraries]);
}

function copySystemd(root: string): void {
	const programs = SYSTEMD_PROGRAMS.map((name) => `/usr/lib/systemd/${name}`);
	for (const program of programs) copyInto(root, program);
	for (const library of new Set(programs.flatMap(librariesOf))) copyInto(root, library);
	// Without the cache each program looks for each library in every directory.
	run("/sbin/ldconfig", ["-X", "-r", root]);
	fs.rmSync(path.join(root, "var/cache"), { recursive: true, force: true });
}

/** Paths as the loader finds them, with the dynamic loader itself. */
function librariesOf(program: string): string[] {
	return run("ldd", [program]).match(/\/[^\s()]+/g) ?? [];
}

/** Debian 12 has merged /lib into /usr/lib; ldd still prints both. */
function copyInto(root: string, file: string): void {
	const target = path.join(root, file.startsWith("/usr/") ? file : `/usr${file}`);
	fs.mkdirSync(path.dirname(target), { recursive: true });
	fs.copyFileSync(file, target);
	fs.chmodSync(target, 0o755);
}

function systemdVersion(): string {
	const version = /^systemd (\d+)/.exec(run("systemctl", ["--version"]))?.[1];
	return version ?? fail("build-failed", "systemctl --version gives no version");
}

function buildFilters(directory: string, guest: string): void {
	const tool = path.join(directory, "make-filter");
	run("gcc", [
		"-std=gnu17",
		"-O2",
		"-Wall",
		"-Wextra",
		"-o",
		tool,
		path.join(guest, "make-filter.c"),
		"-lseccomp",
	]);
	makeFilter(tool, baselineRules(), path.join(directory, FILTER_FILES.baseline));
	makeFilter(tool, defaultRules(), path.join(directory, FILTER_FILES.default));
	const names = new Set(run(tool, ["--names"]).split("\n"));
	fs.writeFileSync(path.join(directory, KNOWN_CALLS_FILE), [...names].sort().join("\n"));
	fs.rmSync(tool);
	for (const [name, file] of Object.entries(ARGUMENT_FILTER_FILES)) {
		const code = argumentFilter(name as keyof typeof ARGUMENT_FILTER_FILES, process.arch);
		fs.writeFileSync(path.join(directory, file), code);
	}
}

function makeFilter(tool: string, rules: string, output: string): void {
	const fd = fs.openSync(output, "w");
	try {
		run("sh", ["-c", 'exec "$0" >&3', tool], { input: rules, descriptors: [fd] });
	} finally {
		fs.closeSync(fd);
	}
}

function run(file: string, args: string[], options: Parameters<typeof runCommand>[2] = {}): string {
	const result = runCommand(file, args, { inheritStderr: true, ...options });
	if (result.status === 0) return result.stdout;
	return fail("build-failed", `${file} ${args.join(" ")} failed with status ${result.status}`);
}
