import * as fs from "node:fs";
import { createServer } from "node:net";
import t from "tap";
import { enterPrivateHost } from "../support/private-host.ts";
import { createEscapeHost } from "./escape-host.ts";

/* CVE-2020-15257: a socket without a file is reached by whoever is in its network, also from another root. */

enterPrivateHost();

const abstractSockets = (): string[] =>
	fs
		.readFileSync("/proc/net/unix", "utf8")
		.split("\n")
		.flatMap((line) => /@.*$/.exec(line)?.[0] ?? [])
		.sort();

t.test("no service of the host is reached, and none of ours is there to be", async (t) => {
	const host = createEscapeHost(t);
	const server = createServer((socket) => socket.end("reached"));
	await new Promise<void>((resolve) => server.listen("\0rkt-test-escape", resolve));
	t.teardown(() => server.close());
	const before = abstractSockets();
	t.ok(before.some((name) => name.startsWith("@rkt-test-escape")));
	const running = host.start([host.shell("cat /proc/net/unix; echo done; exec sleep 100")]);
	await running.sees("done");
	t.notMatch(running.lines().join("\n"), /@/, "in the pod");
	t.strictSame(abstractSockets(), before, "on the host, while a pod runs");
});
