import * as fs from "node:fs";
import * as path from "node:path";
import t, { type Test } from "tap";
import { hiddenPaths } from "../../stage1/security/protected-paths.ts";
import { appLines } from "../stage1/conformance/run-case.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { createEscapeHost, type EscapeHost } from "./escape-host.ts";

/*
 * CVE-2025-31133, -52565, -52881 and older ones: an image that has links where a runtime mounts something, or looks for what
 * it mounts there.
 */

enterPrivateHost();

function makeImage(t: Test): { rootfs: string; host: EscapeHost } {
	const host = createEscapeHost(t);
	const rootfs = path.join(host.directory, "links");
	fs.cpSync(host.fixtures.busybox, rootfs, { recursive: true, verbatimSymlinks: true });
	return { rootfs, host };
}

t.test("hidden paths are hidden after the start, whatever the image holds", async (t) => {
	const { rootfs, host } = makeImage(t);
	fs.mkdirSync(path.join(rootfs, "dev"));
	// Where runtimes mount things: files and links of an image must not direct them elsewhere.
	for (const name of ["null", "console", "pts", "shm", "log"]) {
		fs.symlinkSync("/proc/sys/kernel", path.join(rootfs, "dev", name));
	}
	for (const name of ["hosts", "hostname", "resolv.conf"]) {
		fs.symlinkSync("../../../../../../../etc/captured", path.join(rootfs, "etc", name));
	}
	fs.symlinkSync("/etc", path.join(rootfs, "run"));
	const script = `for path in ${hiddenPaths(false).join(" ")}; do
		[ -e $path ] || continue
		[ -d $path ] && ls -A $path | head -1
		[ -f $path ] && head -c 1 $path | wc -c | grep -v '^0'
	done; echo done; ls /etc; [ -c /dev/null ] && [ -d /dev/pts ] && echo devices`;
	const pod = host.stage0.prepare([{ ...host.shell(script), rootfs }]);
	t.teardown(() => host.stage0.remove(pod));
	const result = await host.stage0.run(pod);
	const lines = appLines(result.stdout);
	t.equal(result.status, 0, { stderr: result.stderr });
	t.equal(lines[0], "done", { lines });
	t.ok(lines.includes("devices"));
	t.ok(lines.includes("captured"), "made inside the image");
	t.notOk(fs.existsSync("/etc/captured"), "and not on the host");
});

t.test("a /proc that is a link is refused", async (t) => {
	const { rootfs, host } = makeImage(t);
	fs.symlinkSync("/etc", path.join(rootfs, "proc"));
	const pod = host.stage0.prepare([{ ...host.shell("echo ran"), rootfs }]);
	t.teardown(() => host.stage0.remove(pod));
	const result = await host.stage0.run(pod);
	t.not(result.status, 0);
	t.notMatch(result.stdout, /ran/);
});
