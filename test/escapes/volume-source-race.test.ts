import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { formatVolumeBounds, VOLUME_BOUNDS_VARIABLE } from "../../stage1/volumes/volume-bounds.ts";
import { appLines } from "../stage1/conformance/run-case.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { createEscapeHost } from "./escape-host.ts";

/*
 * CVE-2018-15664, CVE-2026-42306: the source of a volume is exchanged for a link between the look at it and its use. What a
 * policy allows, what is looked at and what is mounted must be the same.
 */

enterPrivateHost();

const STARTS = 5;

const SWAP = `const fs = require("node:fs");
const [directory, outside] = process.argv.slice(1);
process.chdir(directory);
fs.symlinkSync(outside, "link");
for (;;) {
	fs.renameSync("place", "kept");
	fs.renameSync("link", "place");
	fs.renameSync("place", "link");
	fs.renameSync("kept", "place");
}`;

t.test("a source that is a link every other moment", async (t) => {
	const host = createEscapeHost(t);
	const inside = path.join(host.directory, "inside");
	const outside = path.join(host.directory, "outside");
	for (const directory of [path.join(inside, "place"), outside]) fs.mkdirSync(directory, { recursive: true });
	fs.writeFileSync(path.join(inside, "place/name"), "inside\n");
	fs.writeFileSync(path.join(outside, "name"), "outside\n");
	const volumes = [{ name: "data", kind: "host", source: path.join(inside, "place") }];
	const mounts = { runtime: { mounts: [{ volume: "data", path: "/data" }] } };
	const environment = { [VOLUME_BOUNDS_VARIABLE]: formatVolumeBounds([[inside]]) };
	const racer = spawn(process.execPath, ["-e", SWAP, inside, outside], { stdio: "ignore" });
	t.teardown(() => racer.kill("SIGKILL"));
	const endings = new Map<string, number>();
	for (let start = 0; start < STARTS; start += 1) {
		const app = host.shell("cat /data/name; echo written >/data/name2", mounts);
		const pod = host.stage0.prepare([app], { volumes });
		const { stdout, stderr } = await host.stage0.run(pod, [], { environment });
		const lines = appLines(stdout);
		t.notOk(lines.includes("outside"), { stdout });
		const ending = lines[0] ?? /does not allow|does not exist/.exec(stderr)?.[0] ?? stderr;
		endings.set(ending, (endings.get(ending) ?? 0) + 1);
		host.stage0.remove(pod);
	}
	t.comment([...endings].map(([ending, count]) => `${count} times: ${ending}`).join("; "));
	t.strictSame(fs.readdirSync(outside), ["name"], "nothing was written outside");
});
