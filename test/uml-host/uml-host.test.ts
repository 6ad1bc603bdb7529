import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import t from "tap";

const SCRIPT = "test/uml-host/uml-host.sh";
/** Where the script keeps what it needs. */
const scratch = fs.mkdtempSync("/var/tmp/uml-host-test-");
process.env.TMPDIR = scratch;
t.teardown(() => fs.rmSync(scratch, { recursive: true }));

t.setTimeout(120_000);

t.test("a command's streams, arguments, environment, directory and status pass through", (t) => {
	const script = `printf '%s|' "$@"; echo "$GREETING"; pwd; uname -r; echo oops >&2; id -u; exit 42`;
	const result = spawnSync(
		"bash",
		[SCRIPT, "--timeout=60", "--", "sh", "-c", script, "sh", "a b", "$HOME", ""],
		{
			encoding: "utf8",
			env: { ...process.env, GREETING: "good  day" },
		},
	);
	t.equal(result.status, 42);
	const [first, directory, kernel, user] = result.stdout.split("\n");
	t.equal(first, "a b|$HOME||good  day");
	t.equal(directory, process.cwd());
	t.not(kernel, os.release(), "it is another kernel");
	t.equal(user, "0");
	t.equal(result.stderr, "oops\n");
	t.end();
});

t.test(
	"what is written on the disk before a power cut is kept if it was flushed, and lost if not",
	async (t) => {
		const directory = t.testdir({});
		const disk = `${directory}/disk`;
		fs.writeFileSync(disk, "");
		fs.truncateSync(disk, 64 << 20);
		spawnSync("mkfs.ext4", ["-q", disk]);
		const write =
			"cd /var/lib/rkt; echo kept >a; sync a; echo lost >b; echo here >/etc/uml-host-test; echo now; sleep 60";
		const host = spawn("bash", [SCRIPT, `--disk=${disk}`, "--timeout=60", "--", "sh", "-c", write]);
		host.stdout.once("data", () => host.kill());
		t.equal(await new Promise((resolve) => host.on("close", resolve)), 125);
		const read = spawnSync(
			"bash",
			[SCRIPT, `--disk=${disk}`, "--timeout=60", "--", "sh", "-c", "cd /var/lib/rkt; cat a; cat b"],
			{
				encoding: "utf8",
			},
		);
		t.equal(read.stdout, "kept\n");
		t.notOk(fs.existsSync("/etc/uml-host-test"), "the machine's files are not written");
		t.strictSame(fs.readdirSync(scratch), []);
	},
);

t.test("a command that takes too long, and wrong arguments", (t) => {
	for (const [words, message] of [
		[["--timeout=4", "--", "sleep", "60"], "the power went off before the command ended"],
		[["--disk=/no/such/disk", "--", "true"], "there is no disk /no/such/disk"],
		[["--bind=/no/such/path", "--", "true"], "cannot bind /no/such/path"],
		[["--memory=much", "--", "true"], "--memory and --timeout want numbers"],
		[["--color"], "unknown option --color"],
		[[], "there is no command"],
	] as const) {
		const result = spawnSync("bash", [SCRIPT, ...words], { encoding: "utf8" });
		t.equal(result.status, 125);
		t.match(result.stderr, `uml-host: ${message}`);
	}
	t.strictSame(fs.readdirSync(scratch), []);
	t.end();
});
