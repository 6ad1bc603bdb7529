import * as fs from "node:fs";
import * as path from "node:path";
import { execaSync } from "execa";
import t from "tap";
import { busyboxFiles } from "../support/make-aci.ts";
import { makeOciImage } from "../support/oci-image.ts";
import { directoryEntry, fileEntry, layerFiles, makeLayer, symlinkEntry } from "../support/oci-layer.ts";
import { writeDockerArchive } from "../support/oci-layout.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { createTestHost } from "../support/test-host.ts";
import { waitFor } from "../support/wait-for.ts";

/* An image as people have them, run without flags: everything that `docker run` would do, it does. */

enterPrivateHost();

const host = createTestHost("docker-run");
t.teardown(() => host.remove());

// Of this mount namespace.
const resolvConf = path.join(host.directory, "resolv.conf");
fs.writeFileSync(resolvConf, "nameserver 127.0.0.53\nnameserver 192.0.2.53\n");
execaSync("mount", ["--bind", resolvConf, "/etc/resolv.conf"]);

const program = `#!/bin/sh
echo "args: $*"
echo "ids: $(id -u) $(id -g) $(id -G)"
echo "place: $(pwd) $HOME $ODD"
echo "volume: $(cat /data/seed) $(stat -c '%u %a' /data)"
echo "names: $(grep -c "localhost.* $(hostname)$" /etc/hosts) $(cat /etc/resolv.conf)"
echo "access log" >>/var/log/access.log
echo "error log" >>/var/log/error.log
trap 'echo asked to quit; exit 6' QUIT
trap 'echo told to end; exit 7' TERM
[ "$1" = wait ] || exit 3
echo waiting
while :; do sleep 0.1; done
`;
const layers = [
	makeLayer(layerFiles(busyboxFiles())),
	makeLayer(
		[
			...["usr", "usr/local", "usr/local/bin", "var", "var/log"].map((name) => directoryEntry(name)),
			fileEntry("usr/local/bin/service", program, { mode: 0o755 }),
			// Not executable, and earlier in PATH.
			...["usr/local/sbin"].map((name) => directoryEntry(name)),
			fileEntry("usr/local/sbin/service", "", { mode: 0o644 }),
			symlinkEntry("var/log/access.log", "/dev/stdout"),
			symlinkEntry("var/log/error.log", "/proc/self/fd/2"),
			// As some builders leave them behind.
			...["etc/hosts", "etc/resolv.conf"].map((name) => fileEntry(name, "")),
			directoryEntry("data", { uid: 1000, mode: 0o700 }),
			fileEntry("data/seed", "planted", { uid: 1000 }),
		],
		"zstd",
	),
];
const config = {
	...{ Entrypoint: ["service"], Cmd: ["first", "second"], User: "worker", WorkingDir: "/made/here" },
	...{ Env: ["ODD=a b"], Volumes: { "/data": {} }, StopSignal: "SIGQUIT", ExposedPorts: { "80/tcp": {} } },
};
const file = path.join(host.directory, "saved.tar");
writeDockerArchive(file, [{ image: makeOciImage({ layers, config }), repoTags: ["example.org/service:1"] }]);
const IMAGE = `docker-archive:${file}`;
const options = ["--insecure-options=image", "--net=none"];

/** What the app printed, without what the console puts in front; sorted, as its two outputs may overtake each other. */
const printed = (stdout: string): string[] =>
	stdout
		.split("\n")
		.filter((line) => line !== "")
		.map((line) => line.replace(/^\[ *\d+\.\d+\] [\w-]+\[\d+\]: /, ""))
		.sort();

t.test("without flags", async (t) => {
	const result = await host.rkt(["run", ...options, IMAGE]);
	t.strictSame(
		printed(result.stdout),
		[
			"access log",
			"args: first second",
			"error log",
			"ids: 1000 1001 1001 1002",
			"names: 1 nameserver 192.0.2.53",
			"place: /made/here / a b",
			"volume: planted 1000 700",
		],
		result.stderr,
	);
	t.equal(result.status, 3);
});

t.test("another user and arguments; stop sends the signal of the image", async (t) => {
	const uuidFile = path.join(host.directory, "uuid");
	const given = [...options, "--pull-policy=never", "--dns=none", `--uuid-file-save=${uuidFile}`];
	const app = ["--user=root", "--group=root", "--exec=service", "--", "wait", "more"];
	const pod = host.start(["run", ...given, "example.org/service:1", ...app]);
	let output = "";
	pod.stdout?.on("data", (chunk) => {
		output += chunk;
	});
	await waitFor("the service", () => output.includes("waiting"));
	await host.rkt(["stop", `--uuid-file=${uuidFile}`]);
	const { exitCode } = await pod;
	t.strictSame(printed(output), [
		"access log",
		"args: wait more",
		"asked to quit",
		"error log",
		"ids: 0 0 0",
		"names: 1",
		"place: /made/here /root a b",
		"volume: planted 1000 700",
		"waiting",
	]);
	t.equal(exitCode, 6);
	const logs = await host.rkt(["logs", `--uuid-file=${uuidFile}`]);
	for (const line of ["access log", "error log"]) {
		t.match(logs.stdout, `: ${line}\n`, "the journal has what was written by name");
	}
});

t.test("arguments behind -- come after those of the image", async (t) => {
	const result = await host.rkt(["run", ...options, "example.org/service:1", "--", "third"]);
	t.ok(printed(result.stdout).includes("args: first second third"));
});
