import * as fs from "node:fs";
import * as path from "node:path";
import { execa } from "execa";
import t from "tap";
import { distDirectory } from "../support/dist-directory.ts";

const downloads = path.join(distDirectory(), "demo");
const found = fs.existsSync(downloads) && fs.readdirSync(downloads).some((name) => name.endsWith(".deb"));
const missing = found ? false : "Debian's package etcd-server could not be downloaded";

t.setTimeout(0);

t.test("the demo proves everything that it claims, and leaves nothing", { skip: missing }, async (t) => {
	const temporary = (): string[] => fs.readdirSync("/var/tmp").filter((name) => name.startsWith("rkt-demo-"));
	const before = temporary();
	const result = await execa("node", [path.join(distDirectory(), "scripts/demo.cjs")], {
		reject: false,
		all: true,
		timeout: 300_000,
	});
	t.equal(result.exitCode, 0, { output: result.all });
	t.match(result.stdout, /The demo proved[\s\S]*\/version answers 3\./);
	t.strictSame(temporary(), before);
});
