import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { runCommand } from "../../lib/process.ts";
import { makePodDirectories } from "../../stage0/pod/transitions.ts";
import { createLayout, storeLayout } from "../../stage0/store/layout.ts";
import { runInSystemdHost } from "../support/systemd-host.ts";

/** A stand-in for rkt: notes how it was called, says that it is ready, and ends as its image name asks. */
const FAKE_RKT = `#!/bin/bash
echo "$*" >>/run/rkt-calls
[ -z "$NOTIFY_SOCKET" ] || systemd-notify --ready --pid=$$
case "$*" in *exit-254*) exit 254;; *exit-3*) exit 3;; gc*) exit 0;; esac
trap 'echo stopped >>/run/rkt-calls; exit 0' TERM
sleep 60 & wait
`;

/** A script for the systemd host that starts with our units installed there. */
function withUnits(directory: string, ...lines: readonly string[]): string[] {
	const script = [
		"set -e",
		`install -m 755 ${directory}/rkt /usr/bin/rkt`,
		"cp packaging/systemd/* /etc/systemd/system/",
		"systemctl daemon-reload",
		"set +e",
		...lines,
	];
	return ["bash", "-c", script.join("\n")];
}

t.test("systemd finds nothing to complain about in the units", async (t) => {
	const result = await runInSystemdHost(
		withUnits(
			t.testdir({ rkt: FAKE_RKT }),
			"systemd-analyze verify --man=no --recursive-errors=yes packaging/systemd/rkt-gc.timer packaging/systemd/rkt-gc.service packaging/systemd/rkt@.service packaging/systemd/rkt-metadata.socket packaging/systemd/rkt-metadata.service",
			"echo verify $?",
			"systemd-analyze security --offline=true --threshold=60 --no-pager packaging/systemd/rkt-gc.service >/dev/null",
			"echo security $?",
			"systemd-analyze security --offline=true --threshold=90 --no-pager packaging/systemd/rkt@.service >/dev/null",
			"echo security $?",
			"systemd-analyze security --offline=true --threshold=25 --no-pager packaging/systemd/rkt-metadata.service >/dev/null",
			"echo security $?",
		),
	);
	t.equal(result.stderr, "");
	t.equal(result.stdout, "verify 0\nsecurity 0\nsecurity 0\nsecurity 0\n");
});

t.test("the timer collects garbage at once, and the template runs its image", async (t) => {
	const unit = "'rkt@example.com-web:1.2.service'";
	const result = await runInSystemdHost(
		withUnits(
			t.testdir({ rkt: FAKE_RKT }),
			"mkdir -p /var/lib/rkt/pods",
			"systemctl start rkt-gc.timer",
			`printf '%s\\n' 'RKT_POD_FLAGS=--port=http:80 --net=host' RKT_APP_FLAGS=--memory=256M >'/etc/default/rkt@example.com-web:1.2'`,
			`systemctl start ${unit} && systemctl is-active ${unit}`,
			`systemctl show -P Slice -P Delegate ${unit}`,
			`systemctl stop ${unit}; systemctl show -P Result ${unit}`,
			"systemctl start rkt@exit\\\\x2d254 rkt@exit\\\\x2d3",
			"for i in {1..100}; do [ $(systemctl show -P NRestarts rkt@exit\\\\x2d3) -gt 0 ] && break; sleep 0.1; done",
			"systemctl show -P NRestarts rkt@exit\\\\x2d254 rkt@exit\\\\x2d3 | grep .",
			"systemctl show -P ExecMainStatus rkt-gc.service",
			"sort /run/rkt-calls | uniq",
		),
	);
	t.same(result.stdout.split("\n").slice(0, -1), [
		"active",
		"machine.slice",
		"yes",
		"success",
		"0",
		"1",
		"0",
		"gc --grace-period=24h",
		"run --port=http:80 --net=host example.com/web:1.2 --memory=256M",
		"run exit-254",
		"run exit-3",
		"stopped",
	]);
});

t.test("the metadata service starts when a pod is registered, and knows it after a restart", async (t) => {
	const ask = (method: string, where: string, path: string, body = ""): string =>
		`node -e 'require("http").request({${where},method:"${method}",path:"${path}"},(r)=>{console.log(r.statusCode);` +
		`r.pipe(process.stdout)}).end(process.argv[1])' '${body}'`;
	const uuid = "01234567-89ab-4cde-8f01-23456789abcd";
	const token = "0123456789abcdef0123456789abcdef";
	const manifest = JSON.stringify({ acKind: "PodManifest", acVersion: "0.8.11", apps: [] });
	const registration = 'socketPath:"/run/rkt/metadata-svc.sock"';
	const askUuid = ask("GET", 'host:"127.0.0.1",port:18112', `/${token}/acMetadata/v1/pod/uuid`);
	const result = await runInSystemdHost(
		withUnits(
			t.testdir({ rkt: '#!/bin/sh\nexec /usr/lib/rkt/rkt "$@"\n' }),
			// The service sees no home and no temporary directory, where this checkout may be.
			`mkdir -p /usr/lib/rkt && cp ${path.resolve("dist")}/rkt* ${path.resolve("dist")}/koffi.node /usr/lib/rkt/`,
			"systemctl start rkt-metadata.socket; systemctl is-active rkt-metadata.service",
			"stat -c '%a %U %G' /run/rkt/metadata-svc.sock",
			ask("PUT", registration, `/pods/${uuid}?token=${token}`, manifest),
			"systemctl is-active rkt-metadata.service",
			`${askUuid}; echo`,
			"systemctl restart rkt-metadata.service",
			ask("DELETE", registration, "/pods/0"),
			`echo; ${askUuid}; echo`,
			"stat -c '%a %n' /run/rkt/metadata /run/rkt/metadata/key",
			"systemctl stop rkt-metadata.service 2>/dev/null; systemctl show -P Result rkt-metadata.service",
			`journalctl -u rkt-metadata | grep -c ${token}`,
		),
	);
	t.same(result.stdout.trimEnd().split("\n"), [
		"inactive",
		"660 root root",
		"200",
		"active",
		"200",
		uuid,
		"400",
		"not the UUID of a pod",
		"",
		"200",
		uuid,
		"700 /run/rkt/metadata",
		"600 /run/rkt/metadata/key",
		"success",
		"0",
	]);
	t.equal(result.stderr, "");
});

t.test("tmpfiles.d makes what rkt makes, for the groups of sysusers.d", (t) => {
	const root = fs.realpathSync(t.testdir({ usr: { lib: {} }, etc: {} }));
	for (const name of ["sysusers.d", "tmpfiles.d"]) {
		fs.cpSync(`packaging/${name}`, path.join(root, "usr/lib", name), { recursive: true });
	}
	t.equal(runCommand("systemd-sysusers", [`--root=${root}`, "rkt.conf"]).status, 0);
	const created = runCommand("systemd-tmpfiles", ["--create", `--root=${root}`, "rkt.conf"]);
	t.equal(created.stderr, "");
	const groups = fs.readFileSync(path.join(root, "etc/group"), "utf8");
	const groupOf = (name: string): number => Number(new RegExp(`^${name}:x:(\\d+):`, "m").exec(groups)?.[1]);
	const data = path.join(root, "var/lib/rkt");

	const own = path.join(root, "own");
	createLayout(storeLayout(own));
	makePodDirectories(own);
	for (const name of listDirectories(own)) {
		t.ok(fs.existsSync(path.join(data, name)), `${name} is made`);
		const wanted = name.startsWith("pods") ? 0o2750 : modeOf(path.join(own, name));
		t.equal(modeOf(path.join(data, name)), wanted, `mode of ${name}`);
	}
	for (const name of listDirectories(data)) {
		t.equal(fs.statSync(path.join(data, name)).gid, groupOf("rkt"), `group of ${name}`);
	}
	t.equal(modeOf(path.join(root, "etc/rkt/trustedkeys/prefix.d")), 0o2775);
	t.equal(fs.statSync(path.join(root, "etc/rkt")).gid, groupOf("rkt-admin"));
	t.end();
});

function listDirectories(top: string): string[] {
	const entries = fs.readdirSync(top, { recursive: true, withFileTypes: true });
	const inside = entries.filter((entry) => entry.isDirectory());
	return ["", ...inside.map((entry) => path.relative(top, path.join(entry.parentPath, entry.name)))];
}

function modeOf(file: string): number {
	return fs.statSync(file).mode & 0o7777;
}
