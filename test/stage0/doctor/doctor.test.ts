import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import type { CommandResult } from "../../../lib/process.ts";
import { createFakeSyscall } from "../../../lib/syscall/fake.ts";
import { probeCgroups } from "../../../stage0/doctor/cgroups.ts";
import { examine } from "../../../stage0/doctor/examine.ts";
import type { DoctorHost, Finding } from "../../../stage0/doctor/finding.ts";
import { createDoctorHost } from "../../../stage0/doctor/host.ts";
import { probeKernel } from "../../../stage0/doctor/kernel.ts";
import { probeMachines } from "../../../stage0/doctor/machines.ts";
import { probeNamespaces } from "../../../stage0/doctor/namespaces.ts";
import { probeNetwork } from "../../../stage0/doctor/network.ts";
import { probeSecurityModules } from "../../../stage0/doctor/security-modules.ts";
import { probeSystemd } from "../../../stage0/doctor/systemd.ts";
import { holesOf, parseSystemdVersion, SYSTEMD_HOLES } from "../../../stage0/doctor/systemd-holes.ts";
import { probeUsers } from "../../../stage0/doctor/users.ts";

interface FakeParts {
	readonly files?: Readonly<Record<string, string>>;
	/** What a program prints, by its name; those that are not here cannot be started. */
	readonly programs?: Readonly<Record<string, Partial<CommandResult>>>;
	readonly syscall?: DoctorHost["syscall"];
}

/** A machine whose root is a directory. */
function fakeHost(
	t: Test,
	{ files = {}, programs = {}, syscall = createFakeSyscall() }: FakeParts,
): DoctorHost {
	const root = t.testdir();
	for (const [file, text] of Object.entries(files)) {
		fs.mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
		fs.writeFileSync(path.join(root, file), text, { mode: 0o755 });
	}
	const parts = {
		...{ syscall, dataDirectory: path.join(root, "data"), localConfig: "/etc/rkt" },
		...{ programDirectory: root, ownCommand: ["rkt"] },
	};
	const run = (program: string): CommandResult | undefined => {
		const known = programs[path.basename(program)];
		return known && { status: 0, stdout: "", stderr: "", ...known };
	};
	return { ...createDoctorHost(parts, root), run };
}

const byName = (findings: readonly Finding[], name: string): Finding => {
	const found = findings.find((finding) => finding.name === name);
	if (found === undefined)
		throw new Error(`no finding ${name} in ${findings.map((one) => one.name).join(", ")}`);
	return found;
};
const statusOf = (findings: readonly Finding[], name: string): string => byName(findings, name).status;

t.test("kernel: an old version, and calls that fail", async (t) => {
	const files = {
		"/proc/sys/kernel/osrelease": "5.4.0-1\n",
		"/proc/sys/kernel/seccomp/actions_avail": "kill trap allow\n",
	};
	const syscall = createFakeSyscall({
		openat2: () => fs.openSync("/", "r"),
		openTree: () => fs.openSync("/", "r"),
	});
	syscall.failNext("openat2", "ENOSYS");
	syscall.failNext("mountSetattr", "ENOSYS");
	const old = probeKernel(fakeHost(t, { files, syscall }));
	t.strictSame(
		old.map(({ status }) => status),
		["missing", "missing", "missing", "missing"],
	);
	t.ok(
		old.every(({ remedy }) => remedy !== undefined),
		"each with a remedy",
	);
	const newer = probeKernel(
		fakeHost(t, {
			files: {
				"/proc/sys/kernel/osrelease": "6.1.0\n",
				"/proc/sys/kernel/seccomp/actions_avail": "errno allow\n",
			},
			syscall,
		}),
	);
	t.strictSame(
		newer.map(({ status }) => status),
		["ok", "ok", "ok", "ok"],
	);
});

t.test("namespaces: none of a kind, none allowed, none made", async (t) => {
	const kinds = Object.fromEntries(
		["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"].map((k) => [`/proc/self/ns/${k}`, ""]),
	);
	const limit = { "/proc/sys/user/max_user_namespaces": "100\n" };
	const all = probeNamespaces(fakeHost(t, { files: { ...kinds, ...limit }, programs: { unshare: {} } }));
	t.strictSame(
		all.map(({ status }) => status),
		["ok", "ok", "ok"],
	);
	const { "/proc/self/ns/net": _, ...rest } = kinds;
	t.match(byName(probeNamespaces(fakeHost(t, { files: rest })), "namespaces"), {
		status: "missing",
		detail: /lacks net/,
	});
	const zero = { ...kinds, "/proc/sys/user/max_user_namespaces": "0\n" };
	t.match(byName(probeNamespaces(fakeHost(t, { files: zero })), "user namespaces"), {
		status: "warning",
		detail: /none are allowed/,
	});
	const forbidden = fakeHost(t, {
		files: { ...kinds, ...limit },
		programs: { unshare: { status: 1, stderr: "not permitted" } },
	});
	t.match(byName(probeNamespaces(forbidden), "user namespaces"), {
		status: "warning",
		detail: /not permitted/,
	});
});

const mountLine = (target: string, type: string, options: string): string =>
	`30 1 0:1 / ${target} rw - ${type} x ${options}\n`;

t.test("cgroups: each layout, and controllers that lack", async (t) => {
	const unified = {
		"/proc/self/mountinfo": mountLine("/sys/fs/cgroup", "cgroup2", "rw"),
		"/sys/fs/cgroup/cgroup.controllers": "cpu pids\n",
	};
	const syscall = createFakeSyscall({ loadDeviceProgram: () => fs.openSync("/dev/null", "r") });
	const two = probeCgroups(fakeHost(t, { files: unified, syscall }));
	t.equal(byName(two, "layout").detail, "version 2");
	t.strictSame(
		["memory", "cpu", "pids", "devices"].map((name) => statusOf(two, name)),
		["warning", "ok", "ok", "ok"],
	);
	syscall.failNext("loadDeviceProgram", "EPERM");
	t.match(byName(probeCgroups(fakeHost(t, { files: unified, syscall })), "devices"), {
		status: "warning",
		remedy: /CONFIG_CGROUP_BPF/,
	});
	const legacy =
		mountLine("/sys/fs/cgroup/memory", "cgroup", "rw,memory") +
		mountLine("/sys/fs/cgroup/devices", "cgroup", "rw,devices");
	const one = probeCgroups(fakeHost(t, { files: { "/proc/self/mountinfo": legacy } }));
	t.equal(byName(one, "layout").detail, "version 1");
	t.strictSame(
		["memory", "cpu", "devices"].map((name) => statusOf(one, name)),
		["ok", "warning", "ok"],
	);
	const none = probeCgroups(fakeHost(t, { files: { "/proc/self/mountinfo": mountLine("/", "ext4", "rw") } }));
	t.strictSame(
		none.map(({ name, status }) => [name, status]),
		[["layout", "missing"]],
	);
});

t.test("systemd: versions, holes, and services", async (t) => {
	t.strictSame(parseSystemdVersion("systemd 252 (252.39-1~deb12u2)"), [252, 39]);
	t.strictSame(parseSystemdVersion("systemd 249 (249)"), [249, 0]);
	t.strictSame(parseSystemdVersion("systemd 240\n"), [240, 0]);
	t.strictSame(parseSystemdVersion("257.9-1~deb13u1"), [257, 9]);
	t.equal(parseSystemdVersion("nonsense"), undefined);
	const ids = (major: number, minor: number): string[] => holesOf([major, minor]).map(({ id }) => id);
	t.ok(ids(248, 4).includes("CVE-2021-33910"));
	t.notOk(ids(248, 5).includes("CVE-2021-33910"));
	t.notOk(ids(250, 0).includes("CVE-2021-33910"));
	t.strictSame(ids(260, 0), []);
	t.strictSame(ids(257, 12), []);
	for (const { id, from, to, fixed } of SYSTEMD_HOLES) {
		t.ok(from <= to && Object.keys(fixed).every((major) => Number(major) >= from && Number(major) <= to), id);
	}
	const nspawn = (stdout: string) =>
		probeSystemd(fakeHost(t, { programs: { "systemd-nspawn": { stdout } } }));
	t.equal(statusOf(nspawn("systemd 241 (241)\n"), "systemd-nspawn"), "missing");
	t.match(byName(nspawn("systemd 245 (245.4)\n"), "systemd-nspawn"), {
		status: "warning",
		detail: /--private-users/,
	});
	const current = nspawn("systemd 252 (252.39-1)\n");
	t.equal(statusOf(current, "systemd-nspawn"), "ok");
	t.match(byName(current, "holes of systemd-nspawn"), {
		status: "ok",
		detail: /CVE-2026-40226.*reads? no such files/,
	});
	t.match(byName(nspawn("systemd 247 (247.3-7)\n"), "holes of systemd-nspawn"), {
		status: "warning",
		detail: /CVE-2021-33910/,
	});
	t.equal(statusOf(probeSystemd(fakeHost(t, {})), "systemd-nspawn"), "missing");
	const services = {
		"/run/systemd/system/x": "",
		"/usr/share/dbus-1/system-services/org.freedesktop.machine1.service": "",
		"/proc/net/unix": "0000: 00000002 00000000 00010000 0001 01 12345 /run/dbus/system_bus_socket\n",
	};
	const host = fakeHost(t, { files: services });
	t.strictSame(
		["systemd as PID 1", "machined", "journald"].map((name) => statusOf(probeSystemd(host), name)),
		["ok", "ok", "warning"],
	);
});

t.test("network: plugins and the table for addresses", async (t) => {
	const plugins = { "/usr/lib/cni/ptp": "", "/opt/cni/bin/host-local": "", "/usr/lib/cni/portmap": "" };
	t.equal(statusOf(probeNetwork(fakeHost(t, { files: plugins })), "CNI plugins"), "ok");
	const { "/usr/lib/cni/ptp": _, ...rest } = plugins;
	t.match(byName(probeNetwork(fakeHost(t, { files: rest })), "CNI plugins"), {
		status: "missing",
		detail: /^ptp not found/,
	});
	const working = fakeHost(t, { programs: { unshare: {}, iptables: { stdout: "iptables v1" } } });
	t.equal(statusOf(probeNetwork(working), "iptables"), "ok");
	t.equal(
		statusOf(probeNetwork(fakeHost(t, { programs: { unshare: { status: 3 } } })), "iptables"),
		"missing",
	);
});

t.test("machines: the answer of the probe decides", async (t) => {
	const cpuinfo = { "/proc/cpuinfo": "processor : 0\nflags : fpu svm lm\n" };
	const probed = (rkt: Partial<CommandResult>) =>
		byName(probeMachines(fakeHost(t, { files: cpuinfo, programs: { rkt } })), "KVM");
	t.match(probed({ status: 0 }), { status: "ok" });
	t.match(probed({ status: 1, stdout: "/dev/kvm: ENOENT\n" }), {
		status: "warning",
		detail: "/dev/kvm: ENOENT",
	});
	t.match(probed({ status: 137, killed: "timeout" }), { status: "warning", detail: /does not end/ });
	t.equal(statusOf(probeMachines(fakeHost(t, { files: cpuinfo })), "processor"), "ok");
	t.equal(
		statusOf(probeMachines(fakeHost(t, { files: { "/proc/cpuinfo": "flags : fpu svmx\n" } })), "processor"),
		"warning",
	);
	t.equal(
		statusOf(probeMachines(fakeHost(t, { files: { "/usr/bin/qemu-system-x86_64": "" } })), "QEMU"),
		"ok",
	);
});

t.test("users and security modules", async (t) => {
	const files = { "/etc/subuid": "alice:65536:65536\n# note\n", "/etc/group": "root:x:0:\nrkt:x:990:\n" };
	const users = probeUsers(fakeHost(t, { files }));
	t.match(byName(users, "ranges of user ids"), { status: "ok", detail: /^28670 / });
	t.strictSame(
		["group rkt", "group rkt-admin"].map((name) => statusOf(users, name)),
		["ok", "warning"],
	);
	const broken = probeUsers(fakeHost(t, { files: { "/etc/subuid": "alice:1\n" } }));
	t.match(byName(broken, "ranges of user ids"), { status: "warning", detail: /alice:1/ });
	const full = probeUsers(fakeHost(t, { files: { "/etc/subuid": "all:0:4294967295\n" } }));
	t.match(byName(full, "ranges of user ids"), { status: "warning", detail: /^0 / });
	const modules = probeSecurityModules(
		fakeHost(t, {
			files: { "/sys/kernel/security/lsm": "lockdown,selinux", "/sys/fs/selinux/enforce": "1" },
		}),
	);
	t.match(byName(modules, "active").detail, /selinux/);
	t.equal(statusOf(modules, "SELinux"), "warning");
	const withoutPolicy = {
		"/sys/fs/selinux/enforce": "0",
		"/sys/fs/selinux/initial_contexts/kernel": "kernel",
	};
	t.match(
		byName(probeSecurityModules(fakeHost(t, { files: withoutPolicy })), "SELinux").detail,
		"without a policy",
	);
});

t.test("a probe that fails is a finding, and the others go on", async (t) => {
	const found = await examine(fakeHost(t, {}), {
		broken: async () => () => {
			throw new Error("no such thing");
		},
		whole: async () => () => [{ name: "a", status: "ok", detail: "b" }],
	});
	t.match(found[0]?.findings, [{ name: "broken", status: "missing", detail: /no such thing/ }]);
	t.equal(found[1]?.findings.length, 1);
});
