import * as fs from "node:fs";
import t from "tap";
import { enterPrivateHost } from "../support/private-host.ts";
import { createEscapeHost } from "./escape-host.ts";

/* CVE-2016-9962 and CVE-2024-21626: a descriptor or a working directory of the host that a process of the pod inherits. */

enterPrivateHost();

/** The descriptor beyond the first three is the directory that ls reads. */
const LOOK =
	"echo $1 $(ls /proc/self/fd); echo $1 $(readlink /proc/self/cwd); for fd in /proc/self/fd/*; do readlink $fd; done; true";

t.test("an app, its hook and enter inherit nothing", async (t) => {
	const host = createEscapeHost(t);
	// Without close-on-exec, as a careless caller has them; Node passes none on that it does not know of.
	const secrets = ["/etc", "/etc/shadow", "/root"].map((file) => fs.openSync(file, fs.constants.O_RDONLY));
	t.teardown(() => secrets.forEach((fd) => void fs.closeSync(fd)));
	const hook = { name: "pre-start", exec: ["/bin/sh", "-c", LOOK, "sh", "hook"] };
	const exec = ["/bin/sh", "-c", `${LOOK}; echo done; exec sleep 100`, "sh", "app"];
	const running = host.start([host.shell("", { exec, eventHandlers: [hook] })], {
		start: { descriptors: secrets },
	});
	await running.sees("done");
	await host.stage0.containerPid(running.pod);
	const entered = host.stage0.enter(running.pod, "app", ["sh", "-c", LOOK, "sh", "enter"], secrets);
	const lines = [...running.lines(), ...entered.stdout.split("\n")];
	for (const origin of ["app", "hook", "enter"]) {
		const seen = lines.filter((line) => line.startsWith(`${origin} `));
		t.strictSame(seen, [`${origin} 0 1 2 3`, `${origin} /`], { lines, stderr: entered.stderr });
	}
	t.notMatch(lines.join("\n"), /shadow|\/root|^\/etc/m);
});
