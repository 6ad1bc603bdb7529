import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { enterPrivateHost } from "../support/private-host.ts";
import { ALMIGHTY, createEscapeHost } from "./escape-host.ts";

/* CVE-2026-24834: what one pod does to its stage1 must not be there in the next one, which comes from the same image. */

enterPrivateHost();

const ALTER = `cd /proc/1/root/rkt && for file in launch app-status init seccomp/default.bpf ../usr/lib/systemd/system/halt.target; do
		[ -f $file ] || echo "missing $file"
		{ echo overwritten >$file.new && mv $file.new $file; } 2>/dev/null && echo "altered $file"
	done; echo done; exec sleep 100`;

t.test("a pod alters its own stage1 and no other", async (t) => {
	const host = createEscapeHost(t);
	const running = host.start([host.shell(ALTER)], { args: ALMIGHTY });
	await running.sees("done");
	t.ok(running.lines().includes("altered launch"), "this pod may", { lines: running.lines() });
	const own = path.join(running.pod.directory, "overlay/tree/upper/rkt/launch");
	t.equal(fs.readFileSync(own, "utf8"), "overwritten\n");
	t.not(fs.readFileSync(path.join(host.stage0.stage1, "rkt/launch"), "latin1"), "overwritten\n");
	const next = host.stage0.prepare([host.shell("grep Seccomp: /proc/self/status; exit 7")]);
	const result = await host.stage0.run(next);
	t.equal(result.status, 7, { stderr: result.stderr });
	t.match(result.stdout, /Seccomp:\t2/);
	host.stage0.remove(next);
});
