import * as fs from "node:fs";
import * as path from "node:path";
import t from "tap";
import { openMiniUsers } from "../support/mini-stage0.ts";
import { enterPrivateHost } from "../support/private-host.ts";
import { ALMIGHTY, createEscapeHost } from "./escape-host.ts";

/* rkt issue 576: an app with CAP_SYS_ADMIN made its read-only volumes writable again. */

enterPrivateHost();

const SCRIPT = `mount -o remount,rw,bind /data && echo remounted; mount -o remount,rw /data && echo remounted
	mkdir -p /mnt/x; mount --bind /data /mnt/x && mount -o remount,rw,bind /mnt/x && echo remounted
	umount /data && echo unmounted; echo x >/data/file && echo written; echo done`;

for (const [name, args, users] of [
	["an app", [], false],
	["an app that was given everything, with users of its own", ALMIGHTY, true],
] as const) {
	t.test(name, async (t) => {
		const host = createEscapeHost(t, users ? { users: await openMiniUsers(1_200_029_696) } : {});
		const volume = { name: "data", kind: "host", source: host.fixtures.volume, readOnly: true };
		fs.chmodSync(path.join(host.fixtures.volume, "file"), 0o666);
		const mounts = { runtime: { mounts: [{ volume: "data", path: "/data" }] } };
		const running = host.start([host.shell(SCRIPT, mounts)], { args, manifest: { volumes: [volume] } });
		await running.sees("done");
		const lines = running.lines();
		t.notOk(
			lines.some((line) => /^(remounted|unmounted|written)$/.test(line)),
			{ lines },
		);
		t.equal(fs.readFileSync(path.join(host.fixtures.volume, "file"), "utf8"), "content\n");
	});
}
