import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { compileStatic } from "../../stage1/rootfs/root-file-system.ts";
import { shellApp } from "../stage1/conformance/cases.ts";
import { appLines, makeFixtures } from "../stage1/conformance/run-case.ts";
import { distDirectory } from "../support/dist-directory.ts";
import { createMiniStage0 } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { waitFor } from "../support/wait-for.ts";

/*
 * What docs/stage1.md says of files that a guest and the host use at the same time, and of locks.
 */
enterPrivateHost();

const directory = fs.mkdtempSync("/var/tmp/rkt-test-kvm-files-");
t.teardown(() => fs.rmSync(directory, { recursive: true, force: true }));
const fixtures = makeFixtures(directory);
compileStatic(["test/stage1-kvm/locks.c"], path.join(fixtures.busybox, "bin/locks"));

const SCRIPT = `locks /home/lock; locks /data/lock
cd /data
exec 3<log; read -r line <&3; echo $line; cat replaced
echo of the guest >new; touch opened
while [ ! -e changed ]; do sleep 0.1; done
sleep 1.5
read -r line <&3; echo "open: $line"
exec 3<&-
echo "opened again: $(tail -n 1 log)"
cat replaced`;

const LOCKS = ["flock EAGAIN locked", "fcntl EAGAIN locked", "ofd EAGAIN locked"];

/** What somebody reads who has had the file open while the host appended to it. */
const OPEN = { "kvm-uml": "open:", kvm: "open: second" };

for (const [flavor, open] of Object.entries(OPEN)) {
	t.test(flavor, async (t) => {
		const stage0 = createMiniStage0(
			path.join(directory, flavor),
			path.join(distDirectory(), `stage1-${flavor}.aci`),
		);
		const shared = path.join(directory, `shared-${flavor}`);
		const inShared = (name: string): string => path.join(shared, name);
		fs.mkdirSync(shared);
		fs.writeFileSync(inShared("log"), "first\n");
		fs.writeFileSync(inShared("replaced"), "old\n");
		const mounts = { runtime: { mounts: [{ volume: "data", path: "/data" }] } };
		const volumes = [{ name: "data", kind: "host", source: shared }];
		const pod = stage0.prepare([shellApp(fixtures, SCRIPT, mounts)], { volumes });
		const ended = stage0.run(pod);

		await stage0.containerPid(pod);
		await waitFor("the app", () => fs.existsSync(inShared("opened")));
		t.equal(fs.readFileSync(inShared("new"), "utf8"), "of the guest\n");
		fs.appendFileSync(inShared("log"), "second\n");
		fs.writeFileSync(inShared("replacement"), "renamed\n");
		fs.renameSync(inShared("replacement"), inShared("replaced"));
		fs.writeFileSync(inShared("changed"), "");

		const { status, stdout } = await ended;
		t.equal(status, 0, stdout);
		const again = ["opened again: second", "renamed"];
		t.strictSame(appLines(stdout), [...LOCKS, ...LOCKS, "first", "old", open, ...again]);
		stage0.remove(pod);
	});
}
