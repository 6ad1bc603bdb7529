import { createHash } from "node:crypto";
import type { MiniApp, StartOptions } from "../../support/mini-stage0.ts";

/*
 * What every backend must do with the same pods. A case is data, so that each backend runs the same ones; where one may
 * differ it says so in its own test.
 */

export interface ConformanceCase {
	readonly name: string;
	readonly apps: readonly MiniApp[];
	/** Members of the pod manifest. */
	readonly manifest?: Record<string, unknown>;
	/** Arguments of `run`. */
	readonly args?: readonly string[];
	readonly start?: StartOptions;
	readonly status: number;
	/** All of these, and with `exact` nothing else, are lines that apps printed. */
	readonly lines?: readonly (string | RegExp)[];
	readonly exact?: boolean;
	readonly stderr?: RegExp;
	/** Exit statuses on record, by app. */
	readonly statuses?: Readonly<Record<string, number>>;
}

/** A root file system with busybox and what a test needs beside it. */
export interface Fixtures {
	readonly busybox: string;
	/** A directory on the host for volumes. */
	readonly volume: string;
}

export function shellApp(
	fixtures: Fixtures,
	script: string,
	more: Record<string, unknown> = {},
	name = "app",
): MiniApp {
	const { runtime, annotations, ...app } = more as { runtime?: Record<string, unknown> } & Record<
		string,
		never
	>;
	return {
		name,
		rootfs: fixtures.busybox,
		app: { exec: ["/bin/sh", "-c", script], ...app },
		...(runtime ? { runtime } : {}),
		...(annotations ? { annotations } : {}),
	};
}

export function conformanceCases(fixtures: Fixtures): ConformanceCase[] {
	const shell = (script: string, more?: Record<string, unknown>, name?: string): MiniApp =>
		shellApp(fixtures, script, more, name);
	return [
		...exitCases(shell),
		...environmentCases(shell),
		...userCases(shell),
		...volumeCases(shell, fixtures),
		...isolatorCases(shell),
		...dockerCases(shell),
		...badInputCases(shell, fixtures),
	];
}

type Shell = (script: string, more?: Record<string, unknown>, name?: string) => MiniApp;

const isolator = (name: string, value: unknown): Record<string, unknown> => ({
	isolators: [{ name, value }],
});

function exitCases(shell: Shell): ConformanceCase[] {
	return [
		{
			name: "an app that ends well",
			apps: [shell("echo hello")],
			status: 0,
			lines: ["hello"],
			exact: true,
			statuses: { app: 0 },
		},
		{ name: "an app that fails", apps: [shell("exit 7")], status: 7, statuses: { app: 7 } },
		{ name: "an app killed by a signal", apps: [shell("kill -9 $$")], status: 9, statuses: { app: 9 } },
		{
			name: "an app that SIGTERM ends by itself",
			apps: [shell("kill -TERM $$")],
			status: 15,
			statuses: { app: 15 },
		},
		{
			name: "a failing app ends the others, and its status is the pod's",
			apps: [
				// By then the other one has its trap, on a busy machine too.
				shell("sleep 1; exit 3", {}, "first"),
				shell("trap 'echo told; exit 4' TERM; sleep 20 & wait", {}, "second"),
			],
			status: 3,
			lines: ["told"],
			statuses: { first: 3, second: 4 },
		},
		{
			name: "an app that ends well leaves the others",
			apps: [shell("echo early", {}, "first"), shell("sleep 0.5; echo late", {}, "second")],
			status: 0,
			lines: ["early", "late"],
			statuses: { first: 0, second: 0 },
		},
		{
			name: "hooks run before and after the app",
			apps: [
				shell("echo app; cat /before", {
					eventHandlers: [
						{ name: "pre-start", exec: ["/bin/sh", "-c", "echo hook >/before; echo pre"] },
						{ name: "post-stop", exec: ["/bin/sh", "-c", "echo post; exit 5"] },
					],
				}),
			],
			status: 0,
			lines: ["pre", "app", "hook", "post"],
			exact: true,
			statuses: { app: 0 },
		},
		{
			name: "hooks are confined as the app is",
			apps: [
				shell("true", {
					user: "1000",
					group: "100",
					eventHandlers: [
						{
							name: "pre-start",
							exec: ["/bin/sh", "-c", "id; grep -E '^(CapBnd|Seccomp):' /proc/self/status"],
						},
					],
				}),
			],
			status: 0,
			lines: [/^uid=1000 gid=100/, "CapBnd:\t00000000a80425fb", "Seccomp:\t2"],
		},
		{
			name: "the same by the executable",
			apps: [shell("echo hello; exit 7")],
			start: { script: true },
			status: 7,
			lines: ["hello"],
		},
	];
}

/** Everything that means something to systemd or to a shell. */
export const HOSTILE_VALUES = [
	"two\nlines",
	// biome-ignore lint/suspicious/noTemplateCurlyInString: a shell would expand it
	"percent %n %% $HOME ${HOME} `id`",
	"quotes \" ' \\ \\n",
	"; rm -rf / #",
	"tab\tand\u0007bell and \u001b[31m",
	" leading and trailing ",
	"ExecStartPre=/bin/false",
	"ünïcödé \u{1f680}",
	"-",
	"@/bin/sh",
];

function environmentCases(shell: Shell): ConformanceCase[] {
	const hostile = HOSTILE_VALUES.map((value, index) => ({ name: `V${index}`, value }));
	const printAll = HOSTILE_VALUES.map((_, index) => `printf '%s' "$V${index}" | md5sum`).join("; ");
	const script = 'for word in "$@"; do printf %s "$word" | md5sum; done';
	return [
		{
			name: "hostile environment values arrive as they are",
			apps: [shell(printAll, { environment: hostile })],
			status: 0,
			lines: HOSTILE_VALUES.map(md5Line),
			exact: true,
		},
		{
			name: "hostile arguments arrive as they are",
			apps: [shell("", { exec: ["/bin/sh", "-c", script, "sh", ...HOSTILE_VALUES] })],
			status: 0,
			lines: HOSTILE_VALUES.map(md5Line),
			exact: true,
		},
		{
			name: "the loopback has an IPv6 address",
			apps: [shell("grep -c '^0*1 .* lo$' /proc/net/if_inet6")],
			status: 0,
			lines: ["1"],
			exact: true,
		},
		{
			name: "the environment and nothing more",
			apps: [
				shell("", {
					exec: ["/bin/env"],
					environment: [{ name: "a.b-c", value: "1" }],
				}),
			],
			status: 0,
			lines: [
				"AC_APP_NAME=app",
				"HOME=/root",
				"LOGNAME=root",
				"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
				"SHELL=/bin/sh",
				"USER=root",
				"a.b-c=1",
				"container=rkt",
			],
			exact: true,
		},
		{
			name: "the working directory",
			apps: [shell("pwd", { workingDirectory: "/etc" })],
			status: 0,
			lines: ["/etc"],
		},
		{
			name: "a missing working directory",
			apps: [shell("pwd", { workingDirectory: "/nowhere" })],
			status: 200,
			lines: [/cannot change to the working directory \/nowhere/],
		},
		{
			name: "a program is found in the app's PATH, relative to the working directory",
			apps: [
				shell("", {
					exec: ["sh", "-c", "echo found"],
					workingDirectory: "/",
					environment: [{ name: "PATH", value: "nowhere:bin" }],
				}),
			],
			status: 0,
			lines: ["found"],
		},
		{
			name: "the hostname and the files that name things",
			apps: [
				shell("hostname; cat /etc/hostname; grep -c box /etc/hosts; cat /etc/resolv.conf 2>&1 | head -1"),
			],
			args: ["--hostname=box"],
			status: 0,
			lines: ["box", "box", "1"],
		},
		{
			name: "only the three descriptors",
			apps: [shell("ls /proc/self/fd | tr '\\n' ' '; echo")],
			status: 0,
			// The fourth is the directory that ls reads.
			lines: [/^0 1 2 3 ?$/],
		},
		{
			name: "interactive with a pipe",
			apps: [shell("", { exec: ["/bin/cat"] })],
			args: ["--interactive"],
			start: { input: "first\nsecond\n" },
			status: 0,
			lines: ["first", "second"],
			exact: true,
		},
	];
}

function userCases(shell: Shell): ConformanceCase[] {
	return [
		{
			name: "a numeric user and group with more groups",
			apps: [shell("id", { user: "1000", group: "100", supplementaryGIDs: [7, 4242] })],
			status: 0,
			lines: ["uid=1000 gid=100 groups=7,4242"],
		},
		{
			name: "names of the image",
			apps: [shell("id -u; id -g", { user: "alice", group: "staff" })],
			status: 0,
			lines: ["1234", "50"],
			exact: true,
		},
		{
			name: "a number is a number even where /etc/passwd knows it as a name",
			apps: [shell("id -u", { user: "1000" })],
			status: 0,
			lines: ["1000"],
		},
		{
			name: "the owner of a file",
			apps: [shell("id -u; id -g", { user: "/home/owned", group: "/home/owned" })],
			status: 0,
			lines: ["77", "78"],
		},
		{
			name: "nobody but root has no new privileges",
			apps: [shell("grep NoNewPrivs /proc/self/status", { user: "1000", group: "1000" })],
			status: 0,
			lines: ["NoNewPrivs:\t1"],
		},
	];
}

/** Images that were converted from docker have what docker gives them. */
function dockerCases(shell: Shell): ConformanceCase[] {
	const annotations = [
		{ name: "appc.io/docker/repository", value: "busybox" },
		{ name: "rkt.io/oci/user", value: "alice" },
		{ name: "rkt.io/oci/environment", value: '["1 odd name=kept"]' },
	];
	const script = `id -u; id -g; id -G; pwd; tr '\\0' '\\n' </proc/$$/environ; echo output >/dev/stdout; echo errors >>/proc/self/fd/2`;
	return [
		{
			name: "a docker image: user, environment, working directory, and output by name",
			apps: [
				shell("", {
					...{ exec: ["sh", "-c", script], user: "alice", group: "alice" },
					...{ workingDirectory: "/var/made", annotations },
				}),
			],
			args: ["--hostname=box"],
			status: 0,
			lines: [
				...["1234", "50", "/var/made", "output", "errors"],
				...["1 odd name=kept", "AC_APP_NAME=app", "HOME=/home", "HOSTNAME=box", "LOGNAME=alice"],
				"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
				...["SHELL=/bin/sh", "USER=alice", "container=rkt"],
				"50",
			],
			exact: true,
		},
	];
}

function volumeCases(shell: Shell, { volume }: Fixtures): ConformanceCase[] {
	const host = { name: "data", kind: "host", source: volume };
	const mounts = { runtime: { mounts: [{ volume: "data", path: "/data" }] } };
	return [
		{
			name: "a host volume",
			apps: [shell("cat /data/file; echo new >/data/written; grep ' /data ' /proc/self/mountinfo", mounts)],
			manifest: { volumes: [host] },
			status: 0,
			lines: ["content", / \/data rw,nosuid,nodev/],
		},
		{
			name: "a host volume whose set-user-ID programs count",
			apps: [shell("grep ' /data ' /proc/self/mountinfo", mounts)],
			manifest: { volumes: [{ ...host, suid: true }] },
			status: 0,
			lines: [/ \/data rw,nodev/],
		},
		{
			name: "a read-only host volume, with what is below it",
			apps: [shell("cat /data/file; echo x >/data/file || echo x >/data/below/file || echo refused", mounts)],
			manifest: { volumes: [{ ...host, readOnly: true }] },
			status: 0,
			lines: ["content", "refused"],
		},
		{
			name: "an empty volume shared by two apps",
			apps: [
				shell("echo shared >/data/x; stat -c '%a %u %g' /data", mounts, "writer"),
				shell("until [ -s /data/x ]; do sleep 0.05; done; cat /data/x", mounts, "reader"),
			],
			manifest: { volumes: [{ name: "data", kind: "empty", mode: "1733", uid: 5, gid: 6 }] },
			status: 0,
			lines: ["1733 5 6", "shared"],
		},
		{
			name: "a mount point without a volume gets an empty one, and a warning",
			apps: [shell("stat -c %a /state", { mountPoints: [{ name: "state", path: "/state" }] })],
			status: 0,
			lines: ["755"],
			stderr: /no volume specified for mount point "state"/,
		},
		{
			name: "an implicit volume of a docker image starts with what the image has there",
			apps: [
				shell("stat -c '%n %u %g' /home/*", {
					mountPoints: [{ name: "home", path: "/home" }],
					annotations: [{ name: "appc.io/docker/repository", value: "busybox" }],
				}),
			],
			status: 0,
			lines: ["/home/owned 77 78"],
		},
		{
			name: "a mount point behind links of the image stays in the image",
			apps: [
				shell("cat /deep/link/file; ls /deep; readlink -f /deep/link", {
					runtime: { mounts: [{ volume: "data", path: "/deep/link" }] },
				}),
			],
			manifest: { volumes: [host] },
			status: 0,
			lines: ["content", "/etc/outside"],
		},
		{
			name: "volumes in the app's /dev, one of them read-only",
			apps: [
				shell(
					`cat /dev/data/file /dev/sub/file; echo kept >/dev/data/kept; cat /dev/data/kept
					echo x >/dev/sub/file || echo refused; stat -c '%n %a' /dev/sub; ls /dev/shm
					echo x >/dev/null && [ -c /dev/null ] && grep -E ' /dev/(data|sub/file|shm) ' /proc/self/mountinfo`,
					{
						runtime: {
							mounts: [
								{ volume: "file", path: "/dev/sub/file" },
								{ volume: "data", path: "/dev/data" },
								{ volume: "memory", path: "/dev/shm" },
							],
						},
					},
				),
			],
			manifest: {
				volumes: [
					host,
					{ ...host, name: "file", source: `${volume}/file`, readOnly: true },
					{ ...host, name: "memory", source: `${volume}/below` },
				],
			},
			status: 0,
			lines: [
				"content",
				"kept",
				"refused",
				"/dev/sub 755",
				"deep",
				/ \/dev\/data rw,nosuid,nodev/,
				/ \/dev\/sub\/file r[ow],nosuid,nodev/,
				/ \/dev\/shm rw,nosuid,nodev/,
			],
		},
		{
			name: "a volume in another that comes after it",
			apps: [
				shell("cat /data/file; ls /data/below; cat /data/below/nested/file", {
					runtime: {
						mounts: [
							{ volume: "data", path: "/data/below/nested" },
							{ volume: "data", path: "/data" },
						],
					},
				}),
			],
			manifest: { volumes: [host] },
			status: 0,
			lines: ["content", "deep", "nested", "content"],
			exact: true,
		},
		{
			name: "a read-only root with a writable volume",
			apps: [
				shell("touch /x || echo refused; touch /data/y && echo allowed", {
					runtime: { ...mounts.runtime, readOnlyRootFS: true },
				}),
			],
			manifest: { volumes: [host] },
			status: 0,
			lines: ["refused", "allowed"],
		},
		{
			name: "a device as a volume",
			apps: [
				shell("echo x >/dev/host-full; ls -l /dev/host-full; cat /dev/host-zero | head -c 4 | md5sum", {
					runtime: {
						mounts: [
							{ volume: "full", path: "/dev/host-full" },
							{ volume: "zero", path: "/dev/host-zero" },
						],
					},
				}),
			],
			manifest: {
				volumes: [
					{ name: "full", kind: "host", source: "/dev/full" },
					{ name: "zero", kind: "host", source: "/dev/zero", readOnly: true },
				],
			},
			status: 0,
			lines: [/write error: No space left/, /^crw/, "f1d3ff8443297732862df21dc4e57262  -"],
		},
	];
}

function isolatorCases(shell: Shell): ConformanceCase[] {
	return [
		{
			name: "the default capabilities and filter",
			apps: [shell("grep -E '^(Cap|NoNew|Seccomp)' /proc/self/status")],
			status: 0,
			lines: [
				"CapInh:\t0000000000000000",
				"CapPrm:\t00000000a80425fb",
				"CapEff:\t00000000a80425fb",
				"CapBnd:\t00000000a80425fb",
				"CapAmb:\t0000000000000000",
				"NoNewPrivs:\t0",
				"Seccomp:\t2",
			],
		},
		{
			name: "retained capabilities",
			apps: [
				shell(
					"grep CapEff /proc/self/status",
					isolator("os/linux/capabilities-retain-set", { set: ["CAP_NET_ADMIN"] }),
				),
			],
			status: 0,
			lines: ["CapEff:\t0000000000001000"],
		},
		{
			name: "removed capabilities",
			apps: [
				shell(
					"grep CapEff /proc/self/status",
					isolator("os/linux/capabilities-remove-set", { set: ["CAP_CHOWN"] }),
				),
			],
			status: 0,
			lines: ["CapEff:\t00000000a80425fa"],
		},
		{
			name: "no new privileges",
			apps: [shell("grep NoNewPrivs /proc/self/status", isolator("os/linux/no-new-privileges", true))],
			status: 0,
			lines: ["NoNewPrivs:\t1"],
		},
		{
			name: "a removed system call answers the error that is named",
			apps: [
				shell(
					"mkdir /new 2>&1; echo $?",
					isolator("os/linux/seccomp-remove-set", { set: ["mkdir", "mkdirat"], errno: "ENOSPC" }),
				),
			],
			status: 0,
			lines: [/No space left on device/, "1"],
		},
		{
			name: "a retained set without a call",
			apps: [
				shell(
					"chmod 700 /etc 2>&1",
					isolator("os/linux/seccomp-remove-set", {
						set: ["@docker/default-blacklist", "chmod", "fchmodat"],
					}),
				),
			],
			status: 1,
			lines: [/Operation not permitted/],
		},
		{
			name: "an allow-list that ends up empty refuses everything",
			apps: [shell("echo hello", isolator("os/linux/seccomp-retain-set", { set: ["@appc.io/empty"] }))],
			// What the C library's start-up code ends with when it cannot even report.
			status: 127,
			lines: [],
			exact: true,
		},
		{
			name: "an unknown system call is refused",
			apps: [shell("true", isolator("os/linux/seccomp-remove-set", { set: ["mkdir", "mkdri"] }))],
			status: 254,
			stderr: /names an unknown system call mkdri/,
		},
		{
			name: "a widened default set with an error of its own",
			apps: [
				shell(
					"unshare -m true 2>&1; mount -t tmpfs none /etc 2>&1; ls -d /etc",
					isolator("os/linux/seccomp-retain-set", {
						set: ["@rkt/default-whitelist", "unshare"],
						errno: "EXDEV",
					}),
				),
			],
			status: 0,
			lines: [/unshare.*Operation not permitted/, /mount.*(cross-device|Cross-device)/, "/etc"],
		},
		{
			name: "an unknown set is refused",
			apps: [shell("true", isolator("os/linux/seccomp-retain-set", { set: ["@appc.io/nonexistent"] }))],
			status: 254,
			stderr: /@appc\.io\/nonexistent/,
		},
		{
			name: "a memory limit",
			apps: [
				shell("head -c 60000000 /dev/zero | tail -c 60000000 | wc -c", {
					isolators: [{ name: "resource/memory", value: { limit: "20M" } }],
				}),
			],
			status: 0,
			lines: ["0"],
		},
		{
			name: "parameters of the pod's namespaces, and nothing of the host's",
			apps: [
				shell(
					"cd /proc/sys; cat net/core/somaxconn kernel/shmmax kernel/sem fs/mqueue/msg_max kernel/domainname",
					isolator("os/unix/sysctl", {
						"net.core.somaxconn": "77",
						"kernel/shmmax": "1048576",
						"kernel.sem": "300\t32000\t32\t100",
						"fs.mqueue.msg_max": "13",
						"kernel.domainname": "a domain",
					}),
				),
			],
			status: 0,
			lines: ["77", "1048576", "300\t32000\t32\t100", "13", "a domain"],
			exact: true,
		},
		{
			name: "a parameter of the whole kernel is refused",
			apps: [shell("true", isolator("os/unix/sysctl", { "kernel.core_pattern": "|/bin/sh" }))],
			status: 254,
			stderr: /may not set kernel.core_pattern: it belongs to the whole kernel/,
		},
		{
			name: "resource limits of an app and its hooks",
			apps: [
				shell("ulimit -n; ulimit -H -n; ulimit -c; ulimit -s", {
					isolators: [
						{
							name: "os/unix/rlimits",
							value: {
								RLIMIT_NOFILE: { soft: 77, hard: 88 },
								RLIMIT_CORE: { hard: 0 },
								RLIMIT_STACK: { soft: 2097152, hard: "unlimited" },
							},
						},
					],
					eventHandlers: [{ name: "pre-start", exec: ["/bin/sh", "-c", "echo hook $(ulimit -n)"] }],
				}),
			],
			status: 0,
			lines: ["hook 77", "77", "88", "0", "2048"],
			exact: true,
		},
		{
			name: "a limit that the pod itself does not have",
			apps: [
				shell("true", {
					user: "1000",
					...isolator("os/unix/rlimits", { RLIMIT_NOFILE: { hard: Number.MAX_SAFE_INTEGER } }),
				}),
			],
			status: 205,
			lines: [/cannot set RLIMIT_NOFILE/],
		},
		{
			name: "an AppArmor profile where the kernel has no such module",
			apps: [shell("true", isolator("os/linux/apparmor-profile", { profile: "docker-default" }))],
			status: 254,
			stderr: /app app asks for AppArmor, which .* does not have/,
		},
		{
			name: "an isolator without effect is named",
			apps: [shell("true", isolator("resource/network-bandwidth", { default: true, limit: "1M" }))],
			status: 0,
			stderr: /resource\/network-bandwidth has no effect/,
		},
		{
			name: "an oom score",
			apps: [shell("cat /proc/self/oom_score_adj", isolator("os/linux/oom-score-adj", 321))],
			status: 0,
			lines: ["321"],
		},
	];
}

function badInputCases(shell: Shell, { busybox }: Fixtures): ConformanceCase[] {
	const refused = (name: string, app: MiniApp, stderr: RegExp, manifest = {}): ConformanceCase => ({
		name,
		apps: [app],
		manifest,
		status: 254,
		stderr,
	});
	const mounts = { runtime: { mounts: [{ volume: "data", path: "/data" }] } };
	return [
		refused(
			"a program that is not there",
			shell("", { exec: ["/bin/nothing"] }),
			/unable to find "\/bin\/nothing"/,
		),
		refused("no program", shell("", { exec: [] }), /empty "exec"/),
		refused("an unknown user", shell("", { user: "mallory" }), /no user "mallory"/),
		refused("an unknown group", shell("", { group: "mallory" }), /no group "mallory"/),
		refused("a user id too large", shell("", { user: "4294967296" }), /4294967296 is no user or group id/),
		refused("a negative user id", shell("", { user: "-1" }), /-1 is no user or group id/),
		refused("a mount of no volume", shell("", mounts), /could not find volume "data"/),
		refused("a volume without its source", shell("", mounts), /\/nowhere\/at\/all does not exist/, {
			volumes: [{ name: "data", kind: "host", source: "/nowhere/at/all" }],
		}),
		refused(
			"capabilities both retained and removed",
			shell("", {
				isolators: ["retain", "remove"].map((kind) => ({
					name: `os/linux/capabilities-${kind}-set`,
					value: { set: ["CAP_KILL"] },
				})),
			}),
			/both retains and removes/,
		),
		refused(
			"the name of a service of stage1",
			{ name: "systemd-journald", rootfs: busybox, app: { exec: ["/bin/sh"] } },
			/systemd-journald/,
		),
		refused("an unknown flag", shell("true"), /flag provided but not defined: -bogus/, {}),
		{
			name: "a script whose interpreter is missing",
			apps: [shell("", { exec: ["/bin/bad-script"] })],
			status: 203,
			lines: [/its interpreter or loader is missing/],
		},
	].map((one) => (one.name === "an unknown flag" ? { ...one, args: ["--bogus"] } : one));
}

function md5Line(value: string): string {
	return `${createHash("md5").update(value).digest("hex")}  -`;
}
