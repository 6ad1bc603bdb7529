import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { enterPrivateHost } from "../support/private-host.ts";
import { ALMIGHTY, createEscapeHost } from "./escape-host.ts";

/*
 * rkt issue 3999 and CVE-2019-5736: a program of the host that is seen in the pod for a moment is opened through
 * /proc/PID/exe, and written when it has ended; or it is started again as the interpreter of a script.
 */

enterPrivateHost();

/** Holds open whatever runs but the pod's own systemd, which it needs, and writes it as soon as that is possible. */
const WRITER = `while :; do
	for exe in /proc/[0-9]*/exe; do
		program=$(readlink $exe)
		case $program in */busybox|*/systemd*|"") continue;; esac
		( exec 5<$exe && echo "opened $program"; echo overwritten >/proc/self/fd/5; echo overwritten >$exe ) 2>/dev/null
	done
done`;

function hashes(directory: string): string {
	const names = fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
	const hash = createHash("sha256");
	for (const name of names) {
		const file = path.join(directory, name);
		if (fs.lstatSync(file).isFile()) hash.update(name).update(fs.readFileSync(file));
	}
	return hash.digest("hex");
}

t.test("nothing that the host runs can be written by a pod that was given everything", async (t) => {
	const host = createEscapeHost(t);
	const before = hashes(host.stage0.stage1);
	const script = path.join(host.fixtures.busybox, "bin/again");
	fs.writeFileSync(script, "#!/proc/self/exe\n", { mode: 0o755 });
	const app = host.shell(`echo up; ${WRITER}`);
	// Interactive, because such a pod has a process of ours beside systemd all the time.
	const running = host.start([app], { args: [...ALMIGHTY, "--interactive"], start: { input: "" } });
	await running.sees("up");
	await host.stage0.containerPid(running.pod);
	for (let attempt = 0; attempt < 3; attempt += 1) {
		t.equal(host.stage0.enter(running.pod, "app", ["true"]).status, 0);
		t.not(
			host.stage0.enter(running.pod, "app", ["/bin/again"]).status,
			0,
			"no program of the host starts again",
		);
	}
	await running.sees("opened /rkt/init");
	t.equal(host.stage0.call(running.pod, "stop").status, 0);
	await running.stop();
	t.equal(hashes(host.stage0.stage1), before, "the image in the store");
});
