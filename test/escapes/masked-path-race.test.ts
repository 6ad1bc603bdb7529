import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { hiddenPaths } from "../../stage1/security/protected-paths.ts";
import { appLines } from "../stage1/conformance/run-case.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { createEscapeHost } from "./escape-host.ts";

/*
 * CVE-2019-16884, CVE-2021-30465, CVE-2023-27561, CVE-2025-31133: another process exchanges a directory for a link while a pod
 * is being started, so that what is mounted goes elsewhere, or what hides something is not where it should be.
 */

enterPrivateHost();

const STARTS = 5;

/** Exchanges a directory and a link of the same name as fast as it can, in a process of its own. */
const SWAP = `const fs = require("node:fs");
const [directory, target] = process.argv.slice(1);
process.chdir(directory);
for (;;) {
	for (const name of ["place", "dev", "proc"]) {
		try { fs.rmdirSync(name); } catch {}
		try { fs.symlinkSync(target, name); } catch {}
		try { fs.unlinkSync(name); } catch {}
		try { fs.mkdirSync(name); } catch {}
	}
}`;

function startSwapping(directory: string, target: string): ChildProcess {
	return spawn(process.execPath, ["-e", SWAP, directory, target], { stdio: "ignore" });
}

t.test("a place that changes while pods start", async (t) => {
	const host = createEscapeHost(t);
	const shared = path.join(host.directory, "shared");
	const outside = path.join(host.directory, "outside");
	for (const directory of [shared, outside]) fs.mkdirSync(directory);
	const volumes = [
		{ name: "shared", kind: "host", source: shared },
		{ name: "inner", kind: "empty" },
	];
	const paths = { shared: "/shared", inner: "/shared/place/deep" };
	const mounts = Object.entries(paths).map(([volume, at]) => ({ volume, path: at }));
	const hidden = hiddenPaths(false).join(" ");
	const script = `for path in ${hidden}; do
		[ -f $path ] && head -c 1 $path | grep -q . && echo "shown $path"
		[ -d $path ] && [ -n "$(ls -A $path)" ] && echo "shown $path"
	done; [ -c /dev/null ] && [ -w /dev/null ] || echo "no null"; echo x >/proc/sys/kernel/domainname && echo written; echo done`;
	const racer = startSwapping(shared, outside);
	t.teardown(() => racer.kill("SIGKILL"));
	let started = 0;
	for (let start = 0; start < STARTS; start += 1) {
		const pod = host.stage0.prepare([host.shell(script, { runtime: { mounts } })], { volumes });
		const { stdout } = await host.stage0.run(pod);
		const lines = appLines(stdout).filter((line) => !line.includes("Read-only file system"));
		// A start may be refused because the place is something else just then; one that works must be whole.
		if (lines.length > 0) {
			t.strictSame(lines, ["done"], { stdout });
			started += 1;
		}
		host.stage0.remove(pod);
	}
	t.comment(`${started} of ${STARTS} started`);
	t.strictSame(fs.readdirSync(outside), [], "nothing was made or mounted outside of the app");
	t.notMatch(fs.readFileSync("/proc/self/mountinfo", "utf8"), `${outside} `);
});
