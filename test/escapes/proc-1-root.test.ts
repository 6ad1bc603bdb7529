import t from "tap";
import { enterPrivateHost } from "../support/private-host.ts";
import { createEscapeHost } from "./escape-host.ts";

/* rkt issues 2483 and 2648: through /proc/PID/root an app reached stage1, whose programs it could start or exchange. */

enterPrivateHost();

t.test("an app reaches neither stage1 nor another app's root by /proc", async (t) => {
	const host = createEscapeHost(t);
	const look = `for pid in /proc/[0-9]*; do
		[ $pid = /proc/$$ ] && continue
		for name in root/rkt cwd/. fd/0 environ mem; do cat $pid/$name >/dev/null 2>&1 && echo "read $pid/$name"; done
		ls $pid/root/rkt $pid/cwd/rkt 2>/dev/null
	done; /proc/1/root/rkt/app-status pod; echo status $?; echo done; exec sleep 100`;
	// An app of the same user is the same to the kernel: this one has more capabilities, and so is beyond reach.
	const more = {
		isolators: [{ name: "os/linux/capabilities-retain-set", value: { set: ["CAP_SYS_ADMIN"] } }],
	};
	const other = host.shell("echo other; exec sleep 100", more, "other");
	const running = host.start([other, host.shell(look)]);
	await running.sees("done");
	const lines = running.lines().filter((line) => !line.startsWith("networking"));
	t.strictSame(
		lines.filter((line) => /^read|rkt|launch/.test(line) && !/Permission denied/.test(line)),
		[],
		{ lines },
	);
	t.ok(lines.includes("status 126"), { lines });
});
