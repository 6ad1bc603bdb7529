import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { build } from "esbuild";
import t from "tap";
import { createLinuxSyscall } from "../../../lib/syscall/linux.ts";
import { allocateUserRange, freeUserRanges, parseAccounts } from "../../../stage0/pod/allocate-user-range.ts";
import { podPlace, stateDirectory } from "../../../stage0/pod/pod-directories.ts";
import { makePodDirectories } from "../../../stage0/pod/transitions.ts";
import { readUserRange } from "../../../stage0/pod/user-range.ts";

const PROCESSES = 8;
const EACH = 1250;

const syscall = createLinuxSyscall();
let pods = 0;

function newPod(dataDirectory: string, where: "prepare" | "run" = "prepare"): string {
	const uuid = `00000000-0000-4000-8000-${String(pods++).padStart(12, "0")}`;
	const { directory } = podPlace(dataDirectory, where, uuid);
	fs.mkdirSync(directory, { recursive: true });
	return directory;
}

async function buildWorker(directory: string): Promise<string> {
	const outfile = path.join(directory, "worker.cjs");
	await build({
		entryPoints: ["test/stage0/pod/range-worker.ts"],
		...{ bundle: true, platform: "node", format: "cjs", external: ["koffi"], outfile },
		define: { __dirname: JSON.stringify(path.resolve("dist")) },
	});
	return outfile;
}

t.test("10,000 ranges for pods of eight processes, none twice", async (t) => {
	const dataDirectory = fs.mkdtempSync("/dev/shm/rkt-ranges-");
	t.teardown(() => fs.rmSync(dataDirectory, { recursive: true }));
	makePodDirectories(dataDirectory);
	const worker = await buildWorker(dataDirectory);
	const work = (): Promise<string[]> =>
		new Promise((resolve, reject) => {
			const child = spawn(process.execPath, [worker, dataDirectory, String(EACH)], {
				stdio: ["ignore", "pipe", "inherit"],
			});
			let output = "";
			child.stdout.on("data", (chunk) => {
				output += chunk;
			});
			child.once("error", reject);
			child.once("close", () => resolve(output.trim().split("\n")));
		});
	const shifts = (await Promise.all(Array.from({ length: PROCESSES }, work))).flat();
	t.equal(shifts.length, PROCESSES * EACH);
	t.equal(new Set(shifts).size, PROCESSES * EACH, "no range is given twice");
	t.ok(
		shifts.every(
			(shift) => Number(shift) % 65536 === 0 && Number(shift) >= 65536 && Number(shift) < 0x70000000,
		),
	);
	const prepared = stateDirectory(dataDirectory, "prepare");
	const recorded = fs
		.readdirSync(prepared)
		.map((uuid) => String(readUserRange(path.join(prepared, uuid))?.shift));
	t.strictSame(recorded.sort(), shifts.sort(), "and each is recorded in its pod");
});

t.test("a range is free again when its pod is gone, and only then", async (t) => {
	const dataDirectory = t.testdir();
	makePodDirectories(dataDirectory);
	const pod = newPod(dataDirectory);
	const { shift } = allocateUserRange({ syscall, dataDirectory, pod });
	const link = path.join(dataDirectory, "user-ranges", String(shift));
	t.equal(fs.readlinkSync(link), path.basename(pod));
	const { claim } = await import("../../../stage0/pod/user-range-claims.ts");
	t.notOk(claim(dataDirectory, shift, "another"));
	const moved = podPlace(dataDirectory, "exited-garbage", path.basename(pod)).directory;
	fs.renameSync(pod, moved);
	t.notOk(claim(dataDirectory, shift, "another"), "as long as it is anywhere");
	fs.rmSync(moved, { recursive: true });
	t.ok(claim(dataDirectory, shift, "another"));
	t.equal(fs.readlinkSync(link), "another");
});

t.test("pods from before there were claims keep theirs", async (t) => {
	const dataDirectory = t.testdir();
	makePodDirectories(dataDirectory);
	const old = newPod(dataDirectory, "run");
	fs.writeFileSync(path.join(old, "private-users-prepared"), "196608:131072");
	fs.mkdirSync(path.join(dataDirectory, "user-ranges.new"));
	allocateUserRange({ syscall, dataDirectory, pod: newPod(dataDirectory) });
	const claims = fs.readdirSync(path.join(dataDirectory, "user-ranges"));
	t.ok(claims.includes("196608") && claims.includes("262144"), "both halves of a range of another size");
	t.notOk(fs.existsSync(path.join(dataDirectory, "user-ranges.new")), "what a killed command left is gone");
});

t.test("what /etc/subuid leaves", async (t) => {
	t.equal(freeUserRanges(""), 28671);
	t.equal(freeUserRanges("alice:100000:65536\nbob:165536:65536\n"), 28668, "entries at no multiple take two");
	t.equal(freeUserRanges("all:0:4294967295\n"), 0);
	t.equal(freeUserRanges("no range\nalice:x:1\n"), 28671);
});

t.test("accounts of the host are not those of a pod", (t) => {
	const text =
		"root:x:0:0:root:/root:/bin/sh\nbig:x:1234567:5:a:b:c\n\ngroup:x:70000:a,b\nno account\n:x:5:\n";
	t.strictSame(
		parseAccounts(text).map(({ shift, count }) => [shift, count]),
		[0, 1234567, 70000].map((id) => [id, 1]),
	);
	t.end();
});

t.test("a range with an account of the host in it is passed over", async (t) => {
	const dataDirectory = t.testdir();
	makePodDirectories(dataDirectory);
	const free = 4711 * 65536;
	const numbers = Array.from({ length: 0x6fff }, (_, index) => (index + 1) * 65536).filter(
		(first) => first !== free,
	);
	const passwd = path.join(dataDirectory, "passwd");
	fs.writeFileSync(passwd, numbers.map((first) => `u${first}:x:${first + 65535}:0::/:\n`).join(""));
	const script = 'mount --bind "$1" /etc/passwd && shift && exec "$@"';
	const words = [passwd, process.execPath, await buildWorker(dataDirectory), dataDirectory, "1"];
	const result = spawnSync("unshare", ["--mount", "sh", "-c", script, "sh", ...words], { encoding: "utf8" });
	t.equal(result.stdout.trim(), String(free), { stderr: result.stderr });
});
