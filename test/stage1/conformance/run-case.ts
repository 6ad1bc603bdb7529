import * as fs from "node:fs";
import * as path from "node:path";
import type { Test } from "tap";
import { readExitStatuses } from "../../../stage1/pod-record.ts";
import type { MiniStage0 } from "../../support/mini-stage0.ts";
import type { ConformanceCase, Fixtures } from "./cases.ts";

/** Runs one case with a backend and checks what came of it. */
export async function runCase(t: Test, stage0: MiniStage0, one: ConformanceCase): Promise<void> {
	const pod = stage0.prepare(one.apps, one.manifest);
	try {
		const result = await stage0.run(pod, one.args, one.start);
		const seen = { stdout: result.stdout, stderr: result.stderr };
		t.equal(result.status, one.status, "exit status", seen);
		const lines = appLines(result.stdout);
		for (const expected of one.lines ?? []) {
			const found = lines.some((line) =>
				typeof expected === "string" ? line === expected : expected.test(line),
			);
			t.ok(found, `a line ${expected}`, seen);
		}
		if (one.exact) t.equal(lines.length, one.lines?.length ?? 0, "no other line", seen);
		if (one.stderr) t.match(result.stderr, one.stderr);
		const statuses = readExitStatuses(pod.directory, Object.keys(one.statuses ?? {}));
		if (one.statuses) t.strictSame(Object.fromEntries(statuses), one.statuses);
	} finally {
		stage0.remove(pod);
	}
}

/** What apps printed, without what the journal puts in front of a line on the console. */
export function appLines(stdout: string): string[] {
	const lines = stdout.split("\n").filter((line) => line !== "");
	return lines.map((line) => line.replace(/^\[ *\d+\.\d+\] [\w-]+\[\d+\]: /, ""));
}

/** Makes the root file system and the volume that the cases use. */
export function makeFixtures(directory: string): Fixtures {
	const busybox = path.join(directory, "busybox");
	const volume = path.join(directory, "volume");
	for (const name of ["bin", "etc", "home", "deep"])
		fs.mkdirSync(path.join(busybox, name), { recursive: true });
	fs.copyFileSync("/usr/bin/busybox", path.join(busybox, "bin/busybox"));
	const applets =
		"sh cat chmod echo env grep head hostname id kill ls md5sum mkdir mknod mount mv nc printf ps pwd";
	const more = "readlink rm sleep sort stat stty tail test touch tr true tty umount unshare wc";
	for (const name of `${applets} ${more}`.split(" "))
		fs.symlinkSync("busybox", path.join(busybox, "bin", name));
	fs.writeFileSync(path.join(busybox, "bin/bad-script"), "#!/no/such/interpreter\n", { mode: 0o755 });
	const passwd = "root:x:0:0::/root:/bin/sh\n1000:x:0:0::/:/bin/sh\nalice:x:1234:50::/home:/bin/sh\n";
	fs.writeFileSync(path.join(busybox, "etc/passwd"), passwd);
	fs.writeFileSync(path.join(busybox, "etc/group"), "root:x:0:\nstaff:x:50:alice\n");
	fs.writeFileSync(path.join(busybox, "home/owned"), "");
	fs.chownSync(path.join(busybox, "home/owned"), 77, 78);
	fs.symlinkSync("../../../../etc/outside", path.join(busybox, "deep/link"));
	fs.mkdirSync(path.join(volume, "below"), { recursive: true });
	fs.writeFileSync(path.join(volume, "file"), "content\n");
	fs.writeFileSync(path.join(volume, "below/deep"), "");
	return { busybox, volume };
}
