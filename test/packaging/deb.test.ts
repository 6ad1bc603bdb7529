import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { runCommand } from "../../lib/process.ts";
import { makeShellAci } from "../support/make-aci.ts";
import { runInSystemdHost } from "../support/systemd-host.ts";

const directory = fs.mkdtempSync("/var/tmp/rkt-deb-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
const built = runCommand("sh", ["scripts/deb.sh", directory], { timeoutMs: 120_000 });
const version = JSON.parse(fs.readFileSync("package.json", "utf8")).version;
const file = fs.readdirSync(directory).find((name) => name.endsWith(".deb")) ?? "missing.deb";
const deb = path.join(directory, file);

t.test("the package is built, named by version and architecture", (t) => {
	t.equal(built.status, 0, { stderr: built.stderr });
	t.equal(file, `rkt_${version}_${runCommand("dpkg", ["--print-architecture"]).stdout.trim()}.deb`);
	t.equal(
		runCommand("dpkg-deb", ["-f", deb, "Package", "Version"]).stdout,
		`Package: rkt\nVersion: ${version}\n`,
	);
	t.end();
});

t.test("its files are root's, and no directory of the system gets another mode", (t) => {
	const list = runCommand("dpkg-deb", ["-c", deb]).stdout.trimEnd().split("\n");
	const wrong = list.filter(
		(line) => !/^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x|lrwxrwxrwx) root\/root /.test(line),
	);
	t.same(wrong, []);
	const programs = list.filter((line) => line.startsWith("-rwx")).map((line) => line.split(" ").at(-1));
	t.same(programs, ["./usr/lib/rkt/rkt"]);
	for (const [pattern, what] of [
		[/ \.\/usr\/bin\/rkt -> \.\.\/lib\/rkt\/rkt$/m, "command"],
		[/ \.\/usr\/share\/man\/man1\/rkt-run\.1\.gz$/m, "manual"],
		[/ \.\/usr\/share\/doc\/rkt\/copyright$/m, "copyright"],
		[/ \.\/usr\/share\/doc\/rkt\/changelog\.gz$/m, "changes"],
		[/ \.\/usr\/share\/bash-completion\/completions\/rkt$/m, "bash"],
		[/ \.\/usr\/share\/zsh\/vendor-completions\/_rkt$/m, "zsh"],
		[/ \.\/usr\/share\/fish\/vendor_completions\.d\/rkt\.fish$/m, "fish"],
	] as const) {
		t.match(list.join("\n"), pattern, what);
	}
	t.end();
});

t.test("installed by apt it works; removed and purged it leaves what is the user's", async (t) => {
	await makeShellAci(path.join(directory, "hello.aci"), "example.com/hello", "echo hello; exit 7");
	const unit = "rkt@$(systemd-escape example.com/hello)";
	const script = [
		"export DEBIAN_FRONTEND=noninteractive",
		"rm -f /var/lib/man-db/auto-update # or each step builds an index of all manual pages",
		`apt-get install -y --no-install-recommends ${deb} >/run/apt.log 2>&1 || { cat /run/apt.log >&2; exit 1; }`,
		"rkt version | head -n 1",
		"getent group rkt rkt-admin | cut -d : -f 1",
		"stat -c '%a %G' /var/lib/rkt /etc/rkt /var/lib/rkt/cas/tree",
		"systemctl is-enabled rkt-gc.timer; systemctl is-active rkt-gc.timer",
		"systemctl is-enabled rkt-metadata.socket; systemctl is-active rkt-metadata.socket rkt-metadata.service",
		"systemd-analyze verify --recursive-errors=yes rkt-gc.timer rkt-gc.service rkt-metadata.service rkt@.service && echo verified",
		"man -w rkt-image-list",
		`rkt --insecure-options=image fetch ${directory}/hello.aci >/dev/null 2>&1; echo fetched $?`,
		`echo RKT_POD_FLAGS=--net=none >"/etc/default/${unit}"`,
		`systemctl start "${unit}"; for i in {1..100}; do systemctl is-active -q "${unit}" || break; sleep 0.1; done`,
		`systemctl show -P ExecMainStatus "${unit}"; systemctl stop "${unit}"`,
		"systemctl start rkt-gc.service; systemctl show -P Result rkt-gc.service",
		"dpkg -P rkt >/run/apt.log 2>&1 || cat /run/apt.log",
		"dpkg -s rkt >/dev/null 2>&1; echo purged $?",
		"ls -d /usr/lib/rkt /usr/bin/rkt /usr/share/doc/rkt 2>/dev/null",
		"find /etc/systemd /run/rkt -name '*rkt*.*' -o -name '*.sock'; systemctl list-units --all --plain --no-legend 'rkt-*'",
		"stat -c '%a %G' /var/lib/rkt/cas /etc/rkt",
		`dpkg -i ${deb} >/run/apt.log 2>&1 || cat /run/log`,
		"systemctl is-enabled rkt-gc.timer; systemctl is-active rkt-gc.timer",
		"rkt image list --fields=name --no-legend",
	].join("\n");
	const result = await runInSystemdHost(["bash", "-c", script], { binds: [directory] });
	t.equal(result.stderr, "");
	t.same(result.stdout.trimEnd().split("\n"), [
		`rkt Version: ${version}`,
		"rkt",
		"rkt-admin",
		"2750 rkt",
		"3775 rkt-admin",
		"2700 rkt",
		"enabled",
		"active",
		"enabled",
		"active",
		"inactive",
		"verified",
		"/usr/share/man/man1/rkt-image-list.1.gz",
		"fetched 0",
		"7",
		"success",
		"purged 1",
		"2770 rkt",
		"3775 rkt-admin",
		"enabled",
		"active",
		"example.com/hello:1.0.0",
		`coreos.com/rkt/stage1-nspawn:${version}`,
	]);
});
