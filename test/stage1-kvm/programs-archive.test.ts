import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { writeProgramsArchive } from "../../stage1-kvm/image/programs-archive.ts";

/** Files of an image: what all pods execute, and what is a pod's own. */
const FILES: Readonly<Record<string, string>> = {
	"usr/lib/systemd/systemd": "systemd, of an odd number of bytes",
	"usr/lib/empty": "",
	"rkt/launch": "launch",
	"rkt/app-status": "status",
	"rkt/seccomp/default.bpf": "filter",
	"rkt/spec/app": "of the pod",
	"rkt/vm/init": "init",
	"rkt/vm/agent": "agent",
	"rkt/vm/vmlinux": "kernel",
	"etc/passwd": "of the pod",
};

t.test("the archive of programs is unpacked to what the image has", (t) => {
	const root = t.testdir();
	for (const [name, text] of Object.entries(FILES)) {
		const file = path.join(root, name);
		fs.mkdirSync(path.dirname(file), { recursive: true });
		fs.writeFileSync(file, text);
		fs.chmodSync(file, 0o755);
	}
	fs.chmodSync(path.join(root, "usr/lib/empty"), 0o640);
	fs.symlinkSync("lib", path.join(root, "usr/lib64"));
	const archive = path.join(root, "programs.cpio");
	writeProgramsArchive(root, archive);

	const unpacked = path.join(root, "unpacked");
	fs.mkdirSync(unpacked);
	const input = fs.readFileSync(archive);
	const done = spawnSync("busybox", ["cpio", "-id"], { cwd: unpacked, input });
	t.equal(done.status, 0, String(done.stderr));
	const shared = Object.keys(FILES).filter((name) => !/spec|vmlinux|etc/.test(name));
	for (const name of shared) t.equal(fs.readFileSync(path.join(unpacked, name), "utf8"), FILES[name], name);
	t.equal(fs.statSync(path.join(unpacked, "usr/lib/systemd/systemd")).mode & 0o7777, 0o755);
	t.equal(fs.statSync(path.join(unpacked, "usr/lib/empty")).mode & 0o7777, 0o640);
	t.equal(fs.readlinkSync(path.join(unpacked, "usr/lib64")), "lib");
	t.notOk(fs.existsSync(path.join(unpacked, "etc")), "a pod's own files are not in it");
	t.notOk(fs.existsSync(path.join(unpacked, "rkt/spec")));
	t.notOk(fs.existsSync(path.join(unpacked, "rkt/vm/vmlinux")));

	const list = fs.readFileSync(path.join(unpacked, "programs"), "utf8").trimEnd().split("\n");
	t.strictSame(list, ["/usr", "/rkt/launch", "/rkt/app-status", "/rkt/seccomp", "/rkt/vm/agent"]);
	const again = path.join(root, "again.cpio");
	fs.utimesSync(path.join(root, "rkt/launch"), 1, 1);
	writeProgramsArchive(root, again);
	t.ok(fs.readFileSync(again).equals(input), "the same files give the same bytes");
	t.end();
});

t.test("an image without the first program of a guest gives no archive", (t) => {
	const root = t.testdir({ usr: {} });
	t.throws(() => writeProgramsArchive(root, path.join(root, "programs.cpio")), { code: "ENOENT" });
	t.notOk(fs.existsSync(path.join(root, "programs.cpio")));
	t.end();
});
