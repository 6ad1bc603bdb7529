import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { build } from "esbuild";
import t from "tap";
import { fail, isErrno, messageOf, RktError } from "../../lib/errors.ts";
import {
	listDirectory,
	lstatIfExists,
	readTextIfExists,
	renameDurable,
	writeFileAtomic,
} from "../../lib/files.ts";
import { isLocked, lockPath, waitForLock } from "../../lib/lock.ts";
import { runCommand } from "../../lib/process.ts";
import { createFakeSyscall } from "../../lib/syscall/fake.ts";
import { createLinuxSyscall } from "../../lib/syscall/linux.ts";
import { AT_FDCWD, O_PATH, RESOLVE_IN_ROOT, SyscallError } from "../../lib/syscall/syscall.ts";

const kernel = createLinuxSyscall();

t.test("RktError carries a code, a hint and the cause", async (t) => {
	const cause = new Error("deep");
	const error = new RktError("pod-missing", 'no pod "x"', { hint: "see rkt list", cause });
	t.match(error, { code: "pod-missing", hint: "see rkt list", message: 'no pod "x"' });
	t.equal(error.cause, cause);
	t.throws(() => fail("a-code", "text"), { code: "a-code" });
	t.equal(isErrno(Object.assign(new Error(""), { code: "ENOENT" }), "EPERM", "ENOENT"), true);
	t.equal(isErrno("ENOENT", "ENOENT"), false);
	t.equal(messageOf("text"), "text");
});

t.test("writeFileAtomic replaces the file, sets its mode and leaves nothing else", async (t) => {
	const dir = t.testdir({ file: "old" });
	const file = path.join(dir, "file");
	writeFileAtomic(file, "new", 0o600);
	t.equal(fs.readFileSync(file, "utf8"), "new");
	t.equal(fs.statSync(file).mode & 0o777, 0o600);
	t.throws(() => writeFileAtomic(path.join(dir, "missing", "file"), "x"), { code: "ENOENT" });
	t.same(fs.readdirSync(dir), ["file"]);
});

t.test("writeFileAtomic that cannot rename keeps the old state", async (t) => {
	const dir = t.testdir({ target: { inside: "x" } });
	t.throws(() => writeFileAtomic(path.join(dir, "target"), "new"));
	t.same(fs.readdirSync(dir), ["target"]);
});

t.test("small file helpers answer with nothing where there is nothing", async (t) => {
	const dir = t.testdir({ b: "2", a: "1" });
	t.same(listDirectory(dir), ["a", "b"]);
	t.same(listDirectory(path.join(dir, "none")), []);
	t.equal(readTextIfExists(path.join(dir, "a")), "1");
	t.equal(readTextIfExists(path.join(dir, "a", "below")), undefined);
	t.throws(() => readTextIfExists(dir), { code: "EISDIR" });
	t.equal(lstatIfExists(path.join(dir, "none")), undefined);
	renameDurable(path.join(dir, "a"), path.join(dir, "c"));
	t.same(listDirectory(dir), ["b", "c"]);
});

t.test("a lock excludes other processes and ends with its holder", async (t) => {
	const dir = t.testdir({});
	const held = lockPath(kernel, dir);
	t.equal(isLocked(kernel, dir), true);
	t.equal(lockPath(kernel, dir, { noWait: true }), undefined);
	t.equal(spawnSync("flock", ["-xn", dir, "true"]).status, 1);
	held?.release();
	t.equal(isLocked(kernel, dir), false);

	const child = spawn("flock", ["--no-fork", "-x", dir, "sh", "-c", "echo held; exec sleep 60"]);
	await new Promise((resolve) => child.stdout.once("data", resolve));
	t.equal(isLocked(kernel, dir), true, "held by another process");
	child.kill("SIGKILL");
	await new Promise((resolve) => child.once("close", resolve));
	t.equal(isLocked(kernel, dir), false, "free again");
});

t.test("shared locks go together, waitForLock makes its file", async (t) => {
	const file = path.join(t.testdir({}), "lock");
	const first = waitForLock(kernel, file, { shared: true });
	const second = lockPath(kernel, file, { shared: true, noWait: true });
	t.ok(second);
	t.equal(isLocked(kernel, file), false);
	first.release();
	second?.release();
	t.throws(() => lockPath(kernel, `${file}.none`), { code: "ENOENT" });
});

t.test("runCommand collects output, status and signals", async (t) => {
	t.match(runCommand("sh", ["-c", "cat; echo err >&2; exit 3"], { input: "in" }), {
		status: 3,
		stdout: "in",
		stderr: "err\n",
	});
	t.equal(runCommand("sh", ["-c", "kill -9 $$"]).status, 137);
	t.throws(() => runCommand("/nonexistent/program", []), { code: "program-missing" });
});

t.test("kernel errors look like Node's", async (t) => {
	t.throws(() => kernel.openat2(AT_FDCWD, "/nonexistent", { flags: O_PATH }), { code: "ENOENT" });
	t.throws(() => kernel.flock(-1, 1), SyscallError);
	t.throws(() => kernel.probeBind("tcp", "192.0.2.1", 80), { code: "EADDRNOTAVAIL" });
});

t.test("probeBind sees a listening socket", async (t) => {
	const { createServer } = await import("node:net");
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as { port: number };
	t.throws(() => kernel.probeBind("tcp", "127.0.0.1", port), { code: "EADDRINUSE" });
	t.throws(() => kernel.probeBind("tcp", "0.0.0.0", port), { code: "EADDRINUSE" });
	kernel.probeBind("udp", "127.0.0.1", port);
	await new Promise((resolve) => server.close(resolve));
});

t.test("openat2 keeps a symlink inside the root", async (t) => {
	const dir = t.testdir({ etc: { passwd: "inside" }, link: t.fixture("symlink", "/etc/passwd") });
	const root = fs.openSync(dir, "r");
	const fd = kernel.openat2(root, "link", { flags: fs.constants.O_RDONLY, resolve: RESOLVE_IN_ROOT });
	t.equal(fs.readFileSync(fd, "utf8"), "inside");
	fs.closeSync(fd);
	fs.closeSync(root);
});

t.test("extended attributes are read and written as bytes", async (t) => {
	const file = path.join(t.testdir({ file: "x" }), "file");
	t.equal(kernel.getXattrs(file).size, 0);
	kernel.setXattr(file, "user.other", Buffer.from("value"));
	t.same(kernel.getXattrs(file).get("user.other"), Buffer.from("value"));
	kernel.setXattr(file, "user.empty", Buffer.alloc(0));
	t.same(kernel.getXattrs(file).get("user.empty"), Buffer.alloc(0));
	t.throws(() => kernel.setXattr("/proc/self/stat", "user.x", Buffer.from("y")), /lsetxattr/);
	t.equal(spawnSync("setfattr", ["-n", "user.key", "-v", "0x0001ff", file]).status, 0);
	t.same(kernel.getXattrs(file).get("user.key"), Buffer.from([0, 1, 255]));
});

t.test(
	"execve replaces the process: same pid, standard streams, default signals, only the kept descriptors",
	async (t) => {
		const program = path.join(t.testdir({}), "program.cjs");
		const bundle = path.resolve("lib/syscall/linux.ts");
		await build({
			stdin: {
				contents: `import { createLinuxSyscall } from ${JSON.stringify(bundle)};
import { openSync } from "node:fs";
const kept = openSync("/", "r");
const other = openSync("/tmp", "r");
console.error(process.pid, kept, other);
createLinuxSyscall().execve("/bin/sh", ["sh", "-c", "echo $$; echo /proc/self/fd/*; grep SigIgn /proc/self/status; cat; exit 9"], { A: "b" }, [kept]);`,
				resolveDir: process.cwd(),
				loader: "ts",
			},
			bundle: true,
			platform: "node",
			format: "cjs",
			packages: "external",
			outfile: program,
		});
		const env = { ...process.env, NODE_PATH: path.resolve("node_modules") };
		const result = spawnSync(process.execPath, [program], { input: "piped", env });
		t.equal(result.status, 9);
		const [pid, kept] = result.stderr.toString().trim().split(" ");
		const [shell, descriptors, ignored, input] = result.stdout.toString().split("\n");
		t.equal(shell, pid);
		const open = descriptors?.split(" ").map((entry) => entry.replace("/proc/self/fd/", ""));
		t.same(open?.filter((fd) => Number(fd) < 3 || fd === kept).sort(), ["0", "1", "2", kept].sort());
		t.match(ignored, /SigIgn:\s+0{16}$/);
		t.equal(input, "piped");
	},
);

t.test("the fake kernel records calls and fails on demand", async (t) => {
	const fake = createFakeSyscall();
	fake.mount("a", "/b", "overlay", 0, "x");
	fake.failNext("umount", "EBUSY");
	t.throws(() => fake.umount("/b", 0), { code: "EBUSY" });
	t.same(fake.argumentsOf("mount"), [["a", "/b", "overlay", 0, "x"]]);
	t.equal(fake.calls.length, 2);
	t.type(fake.openTree(1, "", 0), "number");
});
