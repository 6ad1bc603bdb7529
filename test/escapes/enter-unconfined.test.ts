import t from "tap";
import { enterPrivateHost } from "../support/private-host.ts";
import { createEscapeHost } from "./escape-host.ts";

/* CVE-2019-10144, -10145, -10147: what `enter` runs had all capabilities, no filter and the control group of the caller. */

enterPrivateHost();

const LOOK = [
	"grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups)' /proc/self/status",
	"cat /proc/self/cgroup",
	"grep -v Units /proc/self/limits",
	"cat /proc/self/oom_score_adj",
	"for name in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$name; done",
	"umask",
].join("; ");

t.test("a command of enter may do what the app may, and no more", async (t) => {
	const host = createEscapeHost(t);
	const isolators = [
		{ name: "os/linux/capabilities-retain-set", value: { set: ["CAP_CHOWN", "CAP_NET_RAW"] } },
		{ name: "os/unix/rlimits", value: { RLIMIT_NOFILE: { soft: 99, hard: 199 } } },
		{ name: "os/linux/oom-score-adj", value: 77 },
		{ name: "os/linux/no-new-privileges", value: true },
	];
	const running = host.start([host.shell(`${LOOK}; echo done; exec sleep 100`, { isolators })]);
	await running.sees("done");
	await host.stage0.containerPid(running.pod);
	const entered = host.stage0.enter(running.pod, "app", ["sh", "-c", LOOK]);
	const own = running.lines().slice(0, running.lines().indexOf("done"));
	const first = own.findIndex((line) => line.startsWith("CapInh"));
	const squeeze = (lines: readonly string[]) => lines.map((line) => line.replace(/\s+/g, " ").trim());
	const app = squeeze(own.slice(first >= 0 ? first - 1 : 0)).filter((line) => !line.startsWith("networking"));
	t.strictSame(squeeze(entered.stdout.trim().split("\n")), app, { stderr: entered.stderr });
	t.match(entered.stdout, /CapEff:\s+0000000000002001\n/);
	t.match(entered.stdout, /Max open files +99 +199/);
});
