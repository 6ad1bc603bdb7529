import t from "tap";
import { BUSYBOX } from "../support/busybox-host.ts";
import { onSystemdHost } from "../support/on-systemd-host.ts";
import { attempt, fetchBusybox, podStatus, podUuid, RKT, uuidFile } from "../support/systemd-pods.ts";

/** How a pod is started, and what it says about user namespaces. */
const STARTS = {
	"in a delegated service": [
		"systemd-run",
		"--quiet",
		"--wait",
		"--pipe",
		"--collect",
		"--property=Delegate=yes",
	],
	"in a service without delegation": ["systemd-run", "--quiet", "--wait", "--pipe", "--collect"],
	"from a login": ["systemd-run", "--scope", "--quiet"],
} as const;

/** Busy for three seconds; then its own ticks, of a hundred a second. */
const SPIN = [
	"IFS='. ' read s b </proc/uptime; while IFS='. ' read a b </proc/uptime; [ $((a-s)) -lt 3 ]; do :; done",
	"read -r line </proc/$$/stat; set -- $line; shift 13; echo ticks $(($1+$2)) end",
].join("; ");

if (onSystemdHost(t, ["hybrid"], 180) !== undefined) {
	t.before(fetchBusybox);
	for (const [name, [program, ...flags]] of Object.entries(STARTS)) {
		for (const users of [[], ["--private-users"]]) {
			t.test(`limits of an app ${name} ${users.join()}`, async (t) => {
				// systemd-run replaces variables in the command line of a service.
				const quoted = (word: string): string =>
					flags.includes("--scope" as never) ? word : word.replaceAll("$", "$$$$");
				const run = (app: readonly string[], ...args: readonly string[]) => {
					const pod = ["run", "--net=none", `--uuid-file-save=${uuidFile("limits")}`, ...users];
					return attempt(program, ...flags, RKT, ...pod, BUSYBOX, ...app, "--", ...args.map(quoted));
				};
				const hog = ["if=/dev/zero", "of=/dev/null", "count=1", "bs=60M"];
				const killed = run(["--memory=20M", "--exec=/bin/dd"], ...hog);
				t.equal(killed.status, 9, { stderr: killed.stderr });
				t.equal(podStatus(podUuid("limits")).get("oom-killed"), "busybox");
				const spun = run(["--cpu=200m", "--exec=/bin/sh"], "-c", SPIN).stdout;
				const share = Number(/ticks (\d+) end/.exec(spun)?.[1]) / 300;
				t.ok(share > 0.03 && share < 0.3, `a fifth of a processor: ${share}`);
			});
		}
	}
}
