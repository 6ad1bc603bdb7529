import * as fs from "node:fs";
import t from "tap";
import { BUSYBOX } from "../support/busybox-host.ts";
import { onSystemdHost } from "../support/on-systemd-host.ts";
import { attempt, fetchBusybox, podStatus, RKT, system, unitProperty } from "../support/systemd-pods.ts";
import { waitFor } from "../support/wait-for.ts";

/** Everything that means something to systemd or to a shell. */
const WORDS = [
	"two words",
	'quo"te',
	"it's",
	"$HOME",
	"\u0024{HOME}",
	"$$",
	"%h%%",
	"back\\slash\\",
	"",
	";",
	"a;b",
	"-x",
	"tab\there",
	"é",
	"\u0001",
	"#",
];

if (onSystemdHost(t, ["hybrid"], 120) !== undefined) {
	t.before(fetchBusybox);
	images();
	prepared();
	refusals();
}

function images(): void {
	t.test("a unit for an image: every word arrives, and the pod is removed at the end", async (t) => {
		const script =
			'for word in "$@"; do echo "<$word>"; done; trap "exit 0" TERM; while :; do sleep 0.1; done';
		const flags = ["--net=none", "--set-env=VARIABLE=a b$c%d", "--restart=no", "--keep"];
		const app = [BUSYBOX, "--exec=/bin/sh", "--memory=64M", "--", "-c", script, "sh", ...WORDS];
		install("words", ...flags, ...app);
		system("systemctl", "start", "words");
		t.equal(unitProperty("words", "ActiveState"), "active", "it is ready");
		const uuid = fs.readFileSync("/run/words.uuid", "utf8");
		const expected = WORDS.map((word) => `<${word}>`).join("\n");
		await waitFor("the words", () => system(RKT, "logs", "--output=cat", uuid).includes("<#>"));
		t.equal(system(RKT, "logs", "--output=cat", uuid), expected);
		system("systemctl", "stop", "words");
		t.equal(unitProperty("words", "Result"), "success");
		t.equal(podStatus(uuid).get("app-busybox"), "0", "--keep");

		install("gone", "--net=default", BUSYBOX, "--exec=/bin/sleep", "--", "600");
		system("systemctl", "start", "gone");
		const removed = fs.readFileSync("/run/gone.uuid", "utf8");
		t.equal(podStatus(removed).get("state"), "running");
		attempt("systemctl", "stop", "gone");
		await waitFor("the removal", () => attempt(RKT, "status", removed).status === 254);
	});

	t.test("a unit that starts again, but not for rkt's own failures", async (t) => {
		install("again", "--net=none", BUSYBOX, "--exec=/bin/sh", "--", "-c", "sleep 0.2; exit 7");
		system("systemctl", "start", "again");
		await waitFor("another start", () => Number(unitProperty("again", "NRestarts")) > 0);
		attempt("systemctl", "stop", "again");
		install("never", "--net=none", "--pull-policy=never", "example.com/none");
		t.not(attempt("systemctl", "start", "never").status, 0);
		await waitFor("the end", () => unitProperty("never", "ActiveState") === "failed");
		t.equal(unitProperty("never", "ExecMainStatus"), "254");
		t.equal(unitProperty("never", "NRestarts"), "0");
	});
}

function prepared(): void {
	t.test("a unit for a prepared pod", async (t) => {
		const uuid = system(RKT, "prepare", "--quiet", BUSYBOX, "--exec=/bin/sh", "--", "-c", "hostname; exit 3");
		install("prepared", "--net=none", "--hostname=from-unit", uuid.slice(0, 13));
		attempt("systemctl", "start", "prepared");
		await waitFor("the end", () => unitProperty("prepared", "ActiveState") === "failed");
		t.equal(unitProperty("prepared", "ExecMainStatus"), "3");
		t.equal(system(RKT, "logs", "--output=cat", uuid), "from-unit");
		const again = attempt(RKT, "generate", "unit", uuid);
		t.equal(again.status, 254);
		t.match(again.stderr, /is not prepared/);
	});
}

function refusals(): void {
	t.test("what makes no sense in a unit is refused", async (t) => {
		const uuid = system(RKT, "prepare", "--quiet", BUSYBOX);
		for (const words of [
			["--interactive", BUSYBOX],
			["--restart=sometimes", BUSYBOX],
			["--stop-timeout=0s", BUSYBOX],
			["--description=a\nb", BUSYBOX],
			["--restart=always", uuid],
			["--set-env=A=b", uuid],
			[uuid, "--exec=/bin/true"],
			[uuid, "--", "word"],
			["--net=no-such-network", BUSYBOX],
			[],
		]) {
			const result = attempt(RKT, "generate", "unit", ...words);
			t.equal(result.status, 254, words.join(" "));
			t.equal(result.stdout, "");
		}
		t.match(system(RKT, "generate", "unit", "--stage1-name=example.com/other", BUSYBOX), /^Type=exec$/m);
	});
}

/** Writes a generated unit, which systemd must have nothing to say against. */
function install(name: string, ...words: readonly string[]): void {
	const file = `/run/systemd/system/${name}.service`;
	fs.writeFileSync(file, `${system(RKT, "generate", "unit", ...words)}\n`);
	const verified = attempt("systemd-analyze", "verify", "--man=no", file);
	if (verified.status !== 0 || verified.stderr !== "") throw new Error(`${name}: ${verified.stderr}`);
	const security = ["security", "--offline=true", "--threshold=90", "--no-pager", file];
	if (attempt("systemd-analyze", ...security).status !== 0) throw new Error(`${name}: exposed too much`);
	system("systemctl", "daemon-reload");
}
