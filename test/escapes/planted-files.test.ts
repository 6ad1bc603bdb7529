import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { BUSYBOX, createBusyboxHost } from "../support/busybox-host.ts";
import { enterPrivateHost } from "../support/private-host.ts";

/*
 * A pod that was given everything plants links, pipes and endless devices in place of all files of its stage1 that commands of the
 * host read or remove after it: statuses, reasons, the journal.
 */

enterPrivateHost();

t.test("commands on the host neither follow, nor wait for, what a pod has planted", async (t) => {
	const host = await createBusyboxHost("planted");
	t.teardown(() => host.remove());
	const secrets = path.join(host.directory, "secrets");
	fs.mkdirSync(secrets);
	fs.writeFileSync(path.join(secrets, BUSYBOX.replace(/.*\//, "")), "42");
	fs.writeFileSync(path.join(secrets, "secret"), "the secret");
	const uuidFile = path.join(host.directory, "uuid");
	const script = `cd /proc/1/root/var/log/journal/* || exit 1
		mknod fifo.journal p; ln -s /dev/zero zero.journal; ln -s ${secrets}/secret secret.journal; ln -s ${secrets} secrets
		cd ../../../../rkt
		mv status status.old; ln -s ${secrets} status; mv reason reason.old; mknod reason p
		mv env env.old; ln -s ${secrets} env; mv spec spec.old; ln -s ${secrets} spec; echo planted`;
	const everything = "--insecure-options=image,capabilities,paths,seccomp";
	const words = host.shellWords(script, { pod: [`--uuid-file-save=${uuidFile}`] });
	const run = await host.rkt([everything, "run", ...words], { timeoutMs: 60_000 });
	t.match(run.stdout, /planted/, { stderr: run.stderr });
	const uuid = fs.readFileSync(uuidFile, "utf8");
	const journal = `/var/log/journal/${uuid.replaceAll("-", "")}`;
	const overlays = path.join(host.dataDirectory, "pods/run", uuid, "overlay");
	const planted = fs.readdirSync(overlays).map((tree) => path.join(overlays, tree, "upper/rkt/status"));
	t.ok(
		planted.some((file) => fs.lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink()),
		"it could",
	);
	t.ok(fs.lstatSync(path.join(journal, "secrets")).isSymbolicLink());
	const output = path.join(host.directory, "out.aci");
	for (const command of [
		["status", uuid],
		["status", "--format=json", uuid],
		["list"],
		["cat-manifest", uuid],
		["logs", uuid],
		["export", uuid, output],
		["rm", uuid],
		["gc", "--grace-period=0s"],
	]) {
		const { status, stdout, stderr } = await host.rkt(command, { timeoutMs: 30_000 });
		t.equal(status, 0, { command, stderr });
		t.notMatch(stdout, /the secret|busybox=42|"exit_code":42/, command.join(" "));
	}
	t.strictSame(fs.readdirSync(secrets).sort(), ["busybox", "secret"], "nothing was removed behind a link");
	t.equal(fs.readFileSync(path.join(secrets, "busybox"), "utf8"), "42", "or written");
	t.notOk(fs.existsSync(journal), "and nothing of the pod is left");
});
